"""What Alembic runs to find the database: it is given an open connection, in a transaction that is not its own."""

from alembic import context

from nodetrust.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
