"""Which certificates were revoked."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add a column."""
    op.add_column("certificates", sa.Column("revoked", sa.Boolean, nullable=False, server_default=sa.text("false")))
