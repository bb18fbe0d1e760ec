"""Run by Alembic: migrates over the connection that was handed in."""

from alembic import context

from boundless_skies.cloud.schema.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    # The caller holds the one transaction in which all steps are made.
    transactional_ddl=False,
)
context.run_migrations()
