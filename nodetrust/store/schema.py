"""The tables as they are now. A change here comes with a new step in `migrations`, and in `migrate.STEPS`."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

metadata = MetaData()

# For a nodetrust from before there were steps, which leaves a store alone that has another number than 1 here.
schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

accounts = Table(
    "accounts",
    metadata,
    Column("directory_url", Text, primary_key=True),
    Column("key_pem", LargeBinary, nullable=False),
    Column("account_url", Text),
    Column("next_key_pem", LargeBinary),
)

certificates = Table(
    "certificates",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("peer_id", LargeBinary, nullable=False),
    Column("names", Text, nullable=False),  # sorted, one space between two
    Column("public_key_sha256", LargeBinary, nullable=False),
    Column("crypto", Integer, nullable=False),
    Column("certificate_pem", LargeBinary, nullable=False),
    Column("issuers_pem", LargeBinary, nullable=False),
    Column("not_before", BigInteger, nullable=False),  # seconds since 1970
    Column("not_after", BigInteger, nullable=False),
    Column("from_csr", Boolean, nullable=False),
    Column("directory_url", Text, nullable=False, server_default=""),
    Column("renew_at", BigInteger),
    Column("ari_checked_at", BigInteger, nullable=False, server_default="0"),  # 0: never
    # No later one has the same peer, names and algorithm.
    Column("is_newest", Boolean, nullable=False, server_default=text("true")),
    Column("revoked", Boolean, nullable=False, server_default=text("false")),
    Index("certificates_of_key", "peer_id", "public_key_sha256"),
    Index("certificates_by_end", "not_after"),
    Index("certificates_to_check", "is_newest", "ari_checked_at"),
)

# In these words in each query, for SQLite takes an index of a part of a table only where the query says the same.
is_open = text("NOT settled")

orders = Table(
    "orders",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("same", LargeBinary, nullable=False),
    Column("peer_id", LargeBinary, nullable=False),
    Column("names", Text, nullable=False),  # one space between two
    Column("crypto", Integer, nullable=False),
    Column("csr_der", LargeBinary),
    Column("directory_url", Text, nullable=False),
    Column("replaces", Text),
    Column("owner", LargeBinary, nullable=False),  # the epoch of the server that works on it
    Column("opened_at", BigInteger, nullable=False),
    Column("placing", Boolean, nullable=False),
    Column("order_url", Text),
    Column("records", Text, nullable=False),  # JSON: [[name, value], ...]
    Column("settled", Boolean, nullable=False),
    Index(
        "orders_open",
        "same",
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    ),
    sqlite_autoincrement=True,  # an order's number is never given to another: who holds an old one must not touch that
)

servers = Table(
    "servers",
    metadata,
    Column("peer_id", LargeBinary, primary_key=True),
    Column("epoch", LargeBinary, nullable=False, unique=True),
    Column("beat_at", Double, nullable=False),  # seconds since 1970
    Column("steady_since", Double, nullable=False),  # since when its clock has gone on without a jump
)

quotas = Table(
    "quotas",
    metadata,
    Column("key", Text, primary_key=True),
    Column("full_at", Double, nullable=False),  # `nodetrust.quotas`: the state of the bucket
    Index("quotas_by_end", "full_at"),
)

proofs = Table(
    "proofs",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("until", BigInteger, nullable=False),
    Index("proofs_by_end", "until"),
)

troubles = Table(
    "troubles",
    metadata,
    Column("directory_url", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("secret", LargeBinary, nullable=False),
)

registrations = Table(
    "registrations",
    metadata,
    Column("peer_id", LargeBinary, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("set_at", Double, nullable=False),  # seconds since 1970
    Column("until", Double, nullable=False),
    Index("registrations_by_end", "until"),
)

dialbacks = Table(
    "dialbacks",
    metadata,
    Column("peer_id", LargeBinary, primary_key=True),
    Column("dialled_at", Double, nullable=False),
    Column("outcome", Text, nullable=False),  # JSON, the AutoTLS broker's own
    Index("dialbacks_by_time", "dialled_at"),
)
