"""What must outlive a restart, in SQLite or a database server that several issue servers share.

Accounts at the CAs, certificates, orders and whose they are, quotas, used proofs, troubles with CAs; what AutoTLS
brokers have set for peers, and their keys. SQLAlchemy Core, off the reactor's thread.
<https://docs.sqlalchemy.org/en/20/core/>

Read in this order: `values`, `errors`, `schema` (the tables), `rows` (values ⇄ rows, pure), `migrate` and `migrations`
(how the tables became what they are), `engine` (how a database is opened), `lane` (threads with bounds), `database`
(questions and changes), `tables` (what the next ones share), a file for each concern: `accounts`, `certificates`,
`quotas`, `servers`, `orders`, `proofs`, `registrations`, `secrets`, `troubles`; and `store`.
"""

from nodetrust.store.errors import OrderIsOpen, OrderTaken, StoreError
from nodetrust.store.servers import SERVER_SECONDS
from nodetrust.store.store import Store
from nodetrust.store.values import (
    Cleared,
    OrderRequest,
    StoredAccount,
    StoredCertificate,
    StoredDialback,
    StoredOrder,
    StoredRegistration,
    StoredTrouble,
)

__all__ = [
    "SERVER_SECONDS",
    "Cleared",
    "OrderIsOpen",
    "OrderRequest",
    "OrderTaken",
    "Store",
    "StoreError",
    "StoredAccount",
    "StoredCertificate",
    "StoredDialback",
    "StoredOrder",
    "StoredRegistration",
    "StoredTrouble",
]
