"""alembic's entry point: run the revisions on the connection that ``leadflow.store.migrate`` has."""

from alembic import context

from leadflow.store.tables import SCHEMA, metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table="leadflow_version",
    version_table_schema=SCHEMA if connection.dialect.name == "postgresql" else None,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
