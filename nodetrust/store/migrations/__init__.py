"""How the tables came to be what they are: one file a step in `versions`, run by Alembic (`nodetrust.store.migrate`).

A step is never changed once it was released. It names its columns itself, for `schema` goes on.
<https://alembic.sqlalchemy.org/>
"""
