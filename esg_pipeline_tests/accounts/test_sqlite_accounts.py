"""Accounts from a real SQLite file."""

import gc
import os
import sqlite3
from pathlib import Path

import pytest

from esg_pipeline.accounts import AccountListError, AccountSourceError
from esg_pipeline.accounts.sql import SqlAccounts
from esg_pipeline.safe_text import register_secret


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "firm.db"


def make(file: Path, *statements: str) -> str:
    connection = sqlite3.connect(file)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return f"sqlite:///{file}"


def rows_of(url: str, query: str | None = None) -> list[tuple[str | None, ...]]:
    table = SqlAccounts(url, query).read_active_accounts()
    return [tuple(row.values()) for row in table.to_pylist()]


def refusal_of(url: str, query: str | None = None) -> AccountSourceError:
    with pytest.raises(AccountSourceError) as refused:
        SqlAccounts(url, query, connect_timeout_s=0).read_active_accounts()
    assert "Canary" not in str(refused.value)
    assert "\n" not in str(refused.value)
    return refused.value


FULL = (
    "CREATE TABLE accounts (account_id TEXT, account_name TEXT, status TEXT, "
    "primary_esg_focus TEXT, last_modified TEXT)"
)
COLUMNS = "account_id, account_name, primary_esg_focus, last_modified"
SMALL = "CREATE TABLE accounts (status TEXT, account_name TEXT, account_id TEXT)"


def test_only_active_accounts_are_read(file: Path) -> None:
    url = make(
        file,
        FULL,
        "INSERT INTO accounts VALUES "
        "('00123', 'Müller, \"x\"', 'active', 'Social', '2026-11-20T08:00:00'), "
        "('A2', 'n', 'retired', NULL, NULL), ('A3', '', 'active', NULL, NULL)",
    )
    assert rows_of(url) == [
        ("00123", 'Müller, "x"', "social", "2026-11-20T08:00:00"),
        ("A3", "", None, None),
    ]


def test_a_table_without_the_optional_columns_will_do(file: Path) -> None:
    url = make(file, SMALL, "INSERT INTO accounts VALUES ('active', 'n', 'A1')")
    assert rows_of(url) == [("A1", "n", None, None)]


def test_an_own_query_runs_as_it_stands(file: Path) -> None:
    url = make(file, "CREATE TABLE klienten (nr INTEGER, n TEXT)",
        "INSERT INTO klienten VALUES (7, '100% :x'), (8, 'other')")  # fmt: skip
    query = (
        "SELECT printf('%05d', nr) AS account_id, n AS account_name, 1 AS more FROM klienten "
        "WHERE n LIKE '%:x' -- ours\n;"
    )
    assert rows_of(url, query) == [("00007", "100% :x", None, None)]
    query = "SELECT X.nr || '' AS account_id, n AS account_name FROM klienten X"
    assert [row[0] for row in rows_of(url, query)] == ["7", "8"]


def test_a_number_as_id_is_refused(file: Path) -> None:
    url = make(file, "CREATE TABLE accounts (account_id INTEGER, account_name TEXT, status TEXT)",
        "INSERT INTO accounts VALUES (123, 'Canary', 'active')")  # fmt: skip
    error = refusal_of(url)
    assert isinstance(error, AccountListError)
    assert "account_id must be text, but is int in row 1" in str(error)
    assert "CAST(account_id AS TEXT)" in str(error)


def test_a_missing_file_is_told_and_never_made(file: Path) -> None:
    error = refusal_of(f"sqlite:///{file}")
    assert str(error) == (
        f"SQLite file {file}: there is no such file; ESG_ACCOUNTS_URL must name an existing "
        "SQLite database"
    )
    assert error.retryable is False
    assert not file.exists()
    assert "no such file" in str(refusal_of("sqlite://"))


def test_a_query_cannot_change_the_database(file: Path) -> None:
    url = make(file, SMALL, "INSERT INTO accounts VALUES ('active', 'n', 'A1')")
    error = refusal_of(url, "DELETE FROM accounts RETURNING account_id, account_name")
    assert "attempt to write a readonly database" in str(error)
    assert len(rows_of(url)) == 1


@pytest.mark.parametrize(
    ("table", "query", "told"),
    [
        ("CREATE TABLE other (x)", None,
         f"there is no table accounts; set ESG_ACCOUNTS_QUERY to a SELECT of {COLUMNS}"),
        ("CREATE TABLE accounts (account_id)", None,
         "table accounts has no column account_name, status; set ESG_ACCOUNTS_QUERY to a SELECT "
         f"of {COLUMNS}"),
        (SMALL, "SELECT * FROM clients", "no such table: clients; check ESG_ACCOUNTS_URL and"),
        (SMALL, "SELECT * FROM NoneOfOurs", "no such table: NoneOfOurs; check"),
        (SMALL, "SELEC 1", 'near "SELEC": syntax error'),
        (SMALL, "PRAGMA foreign_keys = ON",
         "ESG_ACCOUNTS_QUERY gives no column account_id, no column account_name; it must be a "
         f"SELECT of {COLUMNS} (the last two may be left out)"),
        (SMALL, "SELECT account_id FROM accounts", "gives no column account_name"),
        (SMALL, "SELECT *, account_id FROM accounts", "gives column account_id twice"),
    ],
)  # fmt: skip
def test_a_wrong_table_or_query_is_told_in_one_line(
    file: Path, table: str, query: str | None, told: str
) -> None:
    error = refusal_of(make(file, table), query)
    assert told in str(error)
    assert error.retryable is False


def test_the_words_of_the_database_show_no_secret(file: Path) -> None:
    register_secret("canary-secret")
    error = refusal_of(make(file, SMALL), 'SELECT * FROM "canary-secret"')
    assert "no such table: ***" in str(error)


def test_a_file_that_is_no_database_is_told(file: Path) -> None:
    file.write_bytes(b"<html>not a database, but long enough to look at</html>" * 20)
    error = refusal_of(f"sqlite:///{file}")
    assert "file is not a database" in str(error)
    assert not error.retryable


def test_a_name_that_is_not_utf8_is_refused_and_not_shown(file: Path) -> None:
    name = f"CAST(x'{b'Canary'.hex()}ff' AS TEXT)"
    url = make(file, SMALL, f"INSERT INTO accounts VALUES ('active', {name}, 'A1')")
    assert "Could not decode to UTF-8 column 'account_name'" in str(refusal_of(url))


def test_a_locked_database_may_be_read_later(file: Path) -> None:
    url = make(file, SMALL, "INSERT INTO accounts VALUES ('active', 'n', 'A1')")
    writer = sqlite3.connect(file, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    error = refusal_of(url)
    assert "database is locked; see whether it is up" in str(error)
    assert error.retryable
    writer.close()
    assert len(rows_of(url)) == 1


def test_a_lock_is_waited_for_as_long_as_asked(file: Path) -> None:
    url = make(file, SMALL)
    query = "SELECT 'A1' AS account_id, timeout || ' ms' AS account_name FROM pragma_busy_timeout"
    source = SqlAccounts(url, query, connect_timeout_s=13)
    assert source.read_active_accounts()["account_name"].to_pylist() == ["13000 ms"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc: not Linux")
def test_the_file_is_closed_when_the_list_was_read(file: Path) -> None:
    url = make(file, SMALL, "INSERT INTO accounts VALUES ('active', 'n', 'A1')")
    gc.collect()
    gc.disable()  # what waits for the collector is not closed
    try:
        rows_of(url)
        open_files = {os.path.realpath(fd) for fd in Path("/proc/self/fd").iterdir()}
    finally:
        gc.enable()
    assert str(file.resolve()) not in open_files


def test_rows_of_many_batches_come_whole(file: Path) -> None:
    url = make(
        file,
        SMALL,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 50000) "
        "INSERT INTO accounts SELECT 'active', 'name', printf('%06d', i) FROM n",
    )
    assert [row[0] for row in rows_of(url)] == [f"{n:06}" for n in range(1, 50_001)]
    query = "SELECT nullif(account_id, '045000') AS account_id, account_name FROM accounts"
    assert "account_id is empty in row 45000;" in str(refusal_of(url, query))


def test_the_check_reads_one_account(file: Path) -> None:
    url = make(file, SMALL, "INSERT INTO accounts VALUES ('active', 'Canary', 'A1')")
    said = SqlAccounts(url).check()
    assert said == f"SQLite file {file}: gives account_id, account_name; the first account was read"
    empty = SqlAccounts(url, "SELECT * FROM accounts WHERE false").check()
    assert empty == f"SQLite file {file}: gives account_id, account_name; it has no account"
