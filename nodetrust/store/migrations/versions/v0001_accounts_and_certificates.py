"""Accounts and certificates: the tables from before there were steps, which a store of then has already."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    schema_version = op.create_table(
        "schema_version", sa.Column("version", sa.Integer, primary_key=True, autoincrement=False)
    )
    op.bulk_insert(schema_version, [{"version": 1}])
    op.create_table(
        "accounts",
        sa.Column("directory_url", sa.Text, primary_key=True),
        sa.Column("key_pem", sa.LargeBinary, nullable=False),
        sa.Column("account_url", sa.Text),
    )
    op.create_table(
        "certificates",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("peer_id", sa.LargeBinary, nullable=False),
        sa.Column("names", sa.Text, nullable=False),
        sa.Column("public_key_sha256", sa.LargeBinary, nullable=False),
        sa.Column("crypto", sa.Integer, nullable=False),
        sa.Column("certificate_pem", sa.LargeBinary, nullable=False),
        sa.Column("issuers_pem", sa.LargeBinary, nullable=False),
        sa.Column("not_before", sa.BigInteger, nullable=False),
        sa.Column("not_after", sa.BigInteger, nullable=False),
        sa.Column("from_csr", sa.Boolean, nullable=False),
        sa.Index("certificates_of_key", "peer_id", "public_key_sha256"),
        sa.Index("certificates_by_end", "not_after"),
    )
