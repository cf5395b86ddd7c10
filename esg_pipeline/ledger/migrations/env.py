"""Alembic's entry point: run the missing steps on the connection that `schema.upgrade` gives.

It opens no connection, reads no configuration file and commits nothing itself.
"""

from alembic import context

from esg_pipeline.ledger.tables import metadata
from esg_pipeline.ledger.upgrade import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,  # SQLite can do it too, once BEGIN is in our hands
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
