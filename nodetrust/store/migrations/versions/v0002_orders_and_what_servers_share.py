"""Orders, quotas, used proofs, servers and troubles; when a certificate is to be renewed, and the rollover of a key."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add columns and tables."""
    # A nodetrust from before there were steps looks only here, and must leave the store alone.
    op.execute("UPDATE schema_version SET version = 2")
    op.add_column("accounts", sa.Column("next_key_pem", sa.LargeBinary))
    _certificates()
    _orders()
    _what_servers_share()


def _certificates() -> None:
    for column in (
        sa.Column("directory_url", sa.Text, nullable=False, server_default=""),
        sa.Column("renew_at", sa.BigInteger),
        sa.Column("ari_checked_at", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("is_newest", sa.Boolean, nullable=False, server_default=sa.text("true")),
    ):
        op.add_column("certificates", column)
    op.execute(
        "UPDATE certificates SET is_newest = false WHERE EXISTS ("
        "SELECT 1 FROM certificates AS later WHERE later.peer_id = certificates.peer_id"
        " AND later.names = certificates.names AND later.crypto = certificates.crypto AND ("
        "later.not_after > certificates.not_after"
        " OR (later.not_after = certificates.not_after AND later.id > certificates.id)))"
    )
    op.create_index("certificates_to_check", "certificates", ["is_newest", "ari_checked_at"])


def _orders() -> None:
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("same", sa.LargeBinary, nullable=False),
        sa.Column("peer_id", sa.LargeBinary, nullable=False),
        sa.Column("names", sa.Text, nullable=False),
        sa.Column("crypto", sa.Integer, nullable=False),
        sa.Column("csr_der", sa.LargeBinary),
        sa.Column("directory_url", sa.Text, nullable=False),
        sa.Column("replaces", sa.Text),
        sa.Column("owner", sa.LargeBinary, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("placing", sa.Boolean, nullable=False),
        sa.Column("order_url", sa.Text),
        sa.Column("records", sa.Text, nullable=False),
        sa.Column("settled", sa.Boolean, nullable=False),
        sqlite_autoincrement=True,
    )
    not_settled = sa.text("NOT settled")
    op.create_index(
        "orders_open", "orders", ["same"], unique=True, sqlite_where=not_settled, postgresql_where=not_settled
    )


def _what_servers_share() -> None:
    op.create_table(
        "servers",
        sa.Column("peer_id", sa.LargeBinary, primary_key=True),
        sa.Column("epoch", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("beat_at", sa.Double, nullable=False),
        sa.Column("steady_since", sa.Double, nullable=False),
    )
    op.create_table(
        "quotas",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("full_at", sa.Double, nullable=False),
        sa.Index("quotas_by_end", "full_at"),
    )
    op.create_table(
        "proofs",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Index("proofs_by_end", "until"),
    )
    op.create_table(
        "troubles",
        sa.Column("directory_url", sa.Text, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
