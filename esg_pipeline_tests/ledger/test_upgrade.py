"""The tables: made and upgraded by one way, all or nothing, beside whatever else lies there."""

import os
import stat
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError

from esg_pipeline.ledger import Ledger, LedgerUnavailable
from esg_pipeline.ledger.database import Database
from esg_pipeline.ledger.tables import metadata
from esg_pipeline.ledger.upgrade import VERSION_TABLE
from esg_pipeline_tests.ledger.runs import edit


def test_the_migrations_make_exactly_the_tables_that_the_code_expects(ledger):
    with ledger._database.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, metadata) == []


def test_many_that_open_a_new_ledger_at_once_all_get_it(ledger_url, start_worker):
    results = []

    def open_it():
        ledger = Ledger.open(ledger_url)
        results.append(ledger.audit.first_broken())
        ledger.close()

    threads = [threading.Thread(target=open_it) for _ in range(3)]
    for thread in threads:
        thread.start()
    workers = [start_worker("run-1"), start_worker("run-2")]
    for thread in threads:
        thread.join()
    assert results == [None] * 3
    assert all(worker.tell("audit 1 kim") == "ok None" for worker in workers)


def test_an_upgrade_that_fails_half_way_leaves_nothing_and_can_be_repeated(ledger_url):
    database = Database(ledger_url)
    with database.engine.execution_options(esg_write=True).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE esg_probes (in_the_way INTEGER)")
    with pytest.raises(DBAPIError, match="esg_probes"):
        Ledger.open(ledger_url)
    with database.engine.execution_options(esg_write=True).begin() as connection:
        assert set(inspect(connection).get_table_names()) - {VERSION_TABLE} == {"esg_probes"}
        connection.exec_driver_sql("DROP TABLE esg_probes")
    database.close()
    Ledger.open(ledger_url).close()


def test_a_ledger_of_a_newer_program_is_left_alone(ledger, ledger_url):
    edit(ledger, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(LedgerUnavailable, match=r"version 9999.*Use the newer program") as refused:
        Ledger.open(ledger_url)
    assert not refused.value.retryable


def test_dagsters_own_tables_may_lie_in_the_same_database(ledger_url):
    database = Database(ledger_url)
    with database.engine.execution_options(esg_write=True).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('7e2f3204cf8e')")
    database.close()
    ledger = Ledger.open(ledger_url)
    assert "version 0002" in ledger.check()
    ledger.close()


def test_the_check_writes_and_reads_for_real(ledger):
    assert "written and read back in" in ledger.check()
    with ledger._database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM esg_probes").scalar() == 1
    assert "written and read back in" in ledger.check()


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def test_the_file_and_its_journal_are_for_their_owner_only(tmp_path):
    umask = os.umask(0)
    try:
        ledger = Ledger.open(f"sqlite:///{tmp_path}/new/ledger.db")
    finally:
        os.umask(umask)
    assert modes(tmp_path / "new") == {
        "ledger.db": 0o600,
        "ledger.db-wal": 0o600,
        "ledger.db-shm": 0o600,
    }
    ledger.close()


def test_a_file_that_others_can_read_is_closed_to_them(tmp_path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    Ledger.open(url).close()
    (tmp_path / "ledger.db").chmod(0o644)
    Ledger.open(url).close()
    assert modes(tmp_path)["ledger.db"] == 0o600


def test_sqlite_is_set_to_lose_nothing(tmp_path):
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    with ledger._database.read() as connection:
        found = {
            pragma: connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()
            for pragma in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    ledger.close()
    full = 2
    assert found == {
        "journal_mode": "wal",
        "synchronous": full,
        "foreign_keys": 1,
        "busy_timeout": 10_000,
    }
