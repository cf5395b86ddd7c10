"""What a database says against a statement is judged in one place, and said in one line."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ProgrammingError

from esg_pipeline.safe_text import register_secrets_in
from esg_pipeline.sql_errors import MAX_LENGTH, Trouble, trouble_of, words_of


def sqlite_error(file: Path, sql: str) -> DBAPIError:
    """What SQLite says against the statement."""
    engine = sa.create_engine(f"sqlite:///{file}", connect_args={"timeout": 0})
    with pytest.raises(DBAPIError) as said, engine.connect() as connection:
        connection.exec_driver_sql(sql)
    engine.dispose()
    return said.value


def make_database(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE t (x INTEGER)")


def not_there(file: Path) -> None:
    """A folder lies where the file should be."""
    file.mkdir()


def no_database(file: Path) -> None:
    file.write_text("not a database " * 100)


@pytest.mark.parametrize(
    ("prepare", "sql", "trouble"),
    [
        (make_database, "SELECT * FROM other", Trouble.NO_TABLE),
        (make_database, "SELECT y FROM t", None),
        (not_there, "SELECT 1 FROM sqlite_master", Trouble.CANNOT_OPEN),
        (no_database, "SELECT 1 FROM sqlite_master", Trouble.DAMAGED),
    ],
)
def test_sqlite_is_judged_by_its_code(
    prepare: Callable[[Path], None], sql: str, trouble: Trouble | None, tmp_path: Path
) -> None:
    prepare(tmp_path / "file.db")
    assert trouble_of(sqlite_error(tmp_path / "file.db", sql)) == trouble


def test_a_lock_of_another_is_no_fault_of_the_database(tmp_path: Path) -> None:
    file = tmp_path / "file.db"
    make_database(file)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert trouble_of(sqlite_error(file, "INSERT INTO t VALUES (1)")) == Trouble.BUSY


class DriverError(Exception):
    """As PostgreSQL's driver gives it; what is refused at connect has no code."""

    def __init__(self, said: str, sqlstate: str | None = None) -> None:
        super().__init__(said)
        self.sqlstate = sqlstate


def wrapped(kind: type[DBAPIError], said: str, sqlstate: str | None = None) -> DBAPIError:
    return kind("SELECT 1", None, DriverError(said, sqlstate))


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (wrapped(DBAPIError, "read-only", "25006"), Trouble.READ_ONLY),
        (wrapped(ProgrammingError, "permission denied", "42501"), Trouble.NOT_ALLOWED),
        (wrapped(ProgrammingError, 'relation "x" does not exist', "42P01"), Trouble.NO_TABLE),
        (wrapped(OperationalError, "no space left", "53100"), Trouble.FULL),
        (wrapped(OperationalError, "lock timeout", "55P03"), Trouble.BUSY),
        (wrapped(OperationalError, "statement timeout", "57014"), Trouble.BUSY),
        (wrapped(OperationalError, "terminating connection", "57P01"), Trouble.AWAY),
        (wrapped(OperationalError, "connection refused"), Trouble.AWAY),
        (wrapped(InterfaceError, "connection already closed"), Trouble.AWAY),
        (wrapped(OperationalError, "password authentication failed"), Trouble.LOGIN_REFUSED),
        (wrapped(OperationalError, "no password supplied"), Trouble.LOGIN_REFUSED),
        (wrapped(OperationalError, 'database "x" does not exist'), Trouble.LOGIN_REFUSED),
        (wrapped(OperationalError, "no pg_hba.conf entry"), Trouble.LOGIN_REFUSED),
        (wrapped(ProgrammingError, "syntax error", "42601"), None),
    ],
)
def test_other_databases_are_judged_by_their_code_or_by_what_they_say_at_connect(
    error: DBAPIError, trouble: Trouble | None
) -> None:
    assert trouble_of(error) == trouble


@pytest.mark.parametrize(
    ("said", "sqlstate", "words"),
    [
        ("  it is down.\nLINE 1: SELECT", None, "it is down"),
        ("All failures were:\n- refused\n- gone", None, "All failures were: - refused"),
        ("", None, "DriverError"),
        ('invalid input: "Jane Doe"', "22P02", "DriverError"),
        ("Could not decode column 'name' with text 'Jane'", None, "Could not decode column 'name'"),
        ("login of esg:hunter2 failed", None, "login of esg:*** failed"),
    ],
)
def test_the_words_are_one_line_without_password_and_values(
    said: str, sqlstate: str | None, words: str
) -> None:
    register_secrets_in("postgresql://esg:hunter2@db/esg")
    assert words_of(wrapped(OperationalError, said, sqlstate)) == words


def test_a_long_text_is_cut() -> None:
    assert len(words_of(wrapped(OperationalError, "x" * 10_000))) == MAX_LENGTH
