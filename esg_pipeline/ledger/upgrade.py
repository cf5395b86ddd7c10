"""The version of the ledger's tables, and the way to the newest one.

A new ledger is made by the same steps that upgrade an old one. An upgrade is one transaction, so
one that is interrupted leaves the old version, and the next start does it again.
"""

import threading

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from esg_pipeline.ledger.database import LONG_PATIENCE_S, Database, one_at_a_time
from esg_pipeline.ledger.errors import LedgerUnavailable

VERSION_TABLE = "esg_ledger_version"
"""Not Alembic's usual name: Dagster's own tables may lie in the same database."""

_UPGRADE_LOCK = 0x455347  # any number that nobody else takes: "ESG"
_one_at_a_time = threading.Lock()  # Alembic keeps its context in a module


def upgrade(database: Database) -> str:
    """Bring the tables to the newest version, if they are not; return that version.

    Raises:
        LedgerUnavailable: the database cannot be used, or newer code has upgraded it.
    """
    config = Config()
    config.set_main_option("script_location", "esg_pipeline.ledger:migrations")
    script = ScriptDirectory.from_config(config)
    newest = script.get_current_head()
    with _one_at_a_time:
        with database.read() as connection:
            found = _version(connection)
        if found != newest:
            with database.write(patience_s=LONG_PATIENCE_S) as connection:
                one_at_a_time(connection, _UPGRADE_LOCK)
                known = {step.revision for step in script.walk_revisions()}
                found = _version(connection)
                if found is not None and found not in known:
                    raise LedgerUnavailable(
                        f"The ledger {database.place} has version {found}, this program knows up "
                        f"to {newest}. Use the newer program, or another ledger.",
                        retryable=False,
                    )
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
    return str(newest)


def _version(connection: Connection) -> str | None:
    return MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE}
    ).get_current_revision()
