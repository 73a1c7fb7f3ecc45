"""The tables. A change here is a new `SCHEMA_VERSION` and a step in `engine.prepare`."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, Table, Text

SCHEMA_VERSION = 1

metadata = MetaData()

schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

accounts = Table(
    "accounts",
    metadata,
    Column("directory_url", Text, primary_key=True),
    Column("key_pem", LargeBinary, nullable=False),
    Column("account_url", Text),
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
    Index("certificates_of_key", "peer_id", "public_key_sha256"),
    Index("certificates_by_end", "not_after"),
)
