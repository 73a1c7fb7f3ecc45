"""What AutoTLS brokers share: their keys, the values that they have set, and the last dial-back of each peer."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add tables."""
    op.create_table(
        "secrets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("secret", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "registrations",
        sa.Column("peer_id", sa.LargeBinary, primary_key=True),
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("set_at", sa.Double, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
        sa.Index("registrations_by_end", "until"),
    )
    op.create_table(
        "dialbacks",
        sa.Column("peer_id", sa.LargeBinary, primary_key=True),
        sa.Column("dialled_at", sa.Double, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Index("dialbacks_by_time", "dialled_at"),
    )
