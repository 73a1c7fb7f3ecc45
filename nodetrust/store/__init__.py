"""What must outlive a restart: ACME accounts and issued certificates, in SQLite or a database server.

SQLAlchemy Core, off the reactor's thread. <https://docs.sqlalchemy.org/en/20/core/>

Read in this order: `errors`, `values`, `schema` (the tables), `rows` (values ⇄ rows, pure), `engine` (how a database is
opened), `store`.
"""

from nodetrust.store.errors import StoreError
from nodetrust.store.store import Store
from nodetrust.store.values import StoredAccount, StoredCertificate

__all__ = ["Store", "StoreError", "StoredAccount", "StoredCertificate"]
