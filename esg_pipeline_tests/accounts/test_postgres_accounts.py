"""Accounts from a real PostgreSQL: right, wrong, refusing, slow, frozen and stopped."""

import gc
import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from esg_pipeline.accounts import AccountListError, AccountSourceError
from esg_pipeline.accounts.sql import SqlAccounts
from esg_pipeline_tests.servers.postgres import Postgres

SLOW = (
    "SELECT n::text AS account_id, 'x' AS account_name, pg_sleep(0.001)::text AS waited "
    "FROM generate_series(1, 60000) n"
)


@pytest.fixture
def url(postgres: Postgres) -> str:
    """A database with two active accounts and a retired one."""
    url = postgres.new_database()
    postgres.execute(
        "CREATE SEQUENCE numbers;"
        "CREATE TABLE accounts (account_id text, account_name text, status text, "
        "primary_esg_focus text, last_modified timestamptz);"
        "INSERT INTO accounts VALUES ('b', 'Bee', 'active', 'Social', '2026-11-20 08:00+00'), "
        "('B', '株式会社', 'active', NULL, NULL), ('c', 'n', 'retired', NULL, NULL)",
        url.rpartition("/")[2],
    )
    return url


def refusal_of(source: SqlAccounts) -> AccountSourceError:
    with pytest.raises(AccountSourceError) as refused:
        source.read_active_accounts()
    assert "\n" not in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert "Canary" not in str(refused.value)
    return refused.value


def test_active_accounts_come_sorted_by_code_point(url: str) -> None:
    rows = [tuple(row.values()) for row in SqlAccounts(url).read_active_accounts().to_pylist()]
    assert [row[:3] for row in rows] == [("B", "株式会社", None), ("b", "Bee", "social")]
    assert str(rows[1][3]).startswith("2026-11-20T")


def test_an_own_query_runs_as_it_stands(url: str) -> None:
    query = (
        "SELECT '9e0c2b9e-0000-4000-8000-000000000001'::uuid AS account_id, "
        "account_name FROM accounts WHERE account_name LIKE 'B%' AND 'a:b' <> ':x';"
    )
    table = SqlAccounts(url, query).read_active_accounts()
    assert table["account_id"].to_pylist() == ["9e0c2b9e-0000-4000-8000-000000000001"]


def test_numbers_as_ids_are_refused(url: str) -> None:
    for number, kind in (("7", "int"), ("7.0", "Decimal")):
        query = f"SELECT {number} AS account_id, 'Canary' AS account_name"
        error = refusal_of(SqlAccounts(url, query))
        assert isinstance(error, AccountListError)
        assert f"account_id must be text, but is {kind} in row 1" in str(error)


def test_a_query_cannot_change_the_database(url: str) -> None:
    query = "SELECT nextval('numbers')::text AS account_id, 'n' AS account_name"
    refused = refusal_of(SqlAccounts(url, query))
    assert "cannot execute nextval() in a read-only transaction" in str(refused)
    assert not refused.retryable
    query = "DELETE FROM accounts RETURNING account_id, account_name"
    assert not refusal_of(SqlAccounts(url, query)).retryable
    assert SqlAccounts(url).read_active_accounts().num_rows == 2


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT * FROM clients", 'relation "clients" does not exist;'),
        ("SELECT account_id FROM accounts", "ESG_ACCOUNTS_QUERY gives no column account_name"),
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("SELECT account_id, 'Canary'::int FROM accounts", "InvalidTextRepresentation;"),
    ],
)  # fmt: skip
def test_a_wrong_query_is_told_in_the_databases_own_words(url: str, query: str, told: str) -> None:
    error = refusal_of(SqlAccounts(url, query))
    assert told in str(error)
    assert not error.retryable


def test_a_missing_table_is_told(postgres: Postgres) -> None:
    error = refusal_of(SqlAccounts(postgres.new_database()))
    assert "there is no table accounts; set ESG_ACCOUNTS_QUERY" in str(error)
    assert not error.retryable


def test_a_wrong_password_or_database_is_not_tried_again(postgres: Postgres) -> None:
    ((rules,),) = postgres.execute("SHOW hba_file")
    postgres.execute("CREATE ROLE esg LOGIN PASSWORD 'right'")
    postgres.execute(
        f"COPY (VALUES ('host all esg 127.0.0.1/32 scram-sha-256'), "
        f"('host all all 127.0.0.1/32 trust')) TO '{rules}'"
    )
    postgres.execute("SELECT pg_reload_conf()")
    host = f"127.0.0.1:{postgres.port}"
    refused = refusal_of(SqlAccounts(f"postgresql+psycopg://esg:hunter2@{host}/postgres"))
    assert f"postgresql database {host}/postgres: " in str(refused)
    assert 'password authentication failed for user "esg"' in str(refused)
    assert not refused.retryable
    assert refused.retryable is False
    named = refusal_of(SqlAccounts(f"postgresql+psycopg://hunter2:hunter2@{host}/postgres"))
    assert "***" in str(named)
    missing = refusal_of(SqlAccounts(f"postgresql+psycopg://esg:right@{host}/nowhere"))
    assert 'database "nowhere" does not exist' in str(missing)
    assert not missing.retryable


def test_no_connection_is_left_behind(postgres: Postgres, url: str) -> None:
    gc.collect()
    gc.disable()  # what waits for the collector is still open
    try:
        SqlAccounts(url).read_active_accounts()
        open_ones = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = "
            f"'{url.rpartition('/')[2]}' AND backend_type = 'client backend'"
        )
        for _ in range(1000):  # the server ends a session a moment after its client
            ((count,),) = postgres.execute(open_ones)
            if not count:
                break
        assert count == 0
    finally:
        gc.enable()


def test_a_slow_query_ends_at_its_limit(url: str) -> None:
    error = refusal_of(SqlAccounts(url, SLOW, query_timeout_s=0.2))
    assert "canceling statement due to statement timeout; see whether it is up" in str(error)
    assert error.retryable


def test_a_server_frozen_in_the_middle_does_not_hang_the_run(postgres: Postgres) -> None:
    url = postgres.new_database()
    postgres.execute(f"CREATE VIEW accounts AS SELECT *, 'active' AS status FROM ({SLOW}) slow",
        url.rpartition("/")[2])  # fmt: skip
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(refusal_of, SqlAccounts(url, read_limit_s=2))
        backend = wait_for_fetch(postgres)
        os.kill(backend, signal.SIGSTOP)
        try:
            error = reading.result(timeout=20)
        finally:
            os.kill(backend, signal.SIGCONT)
            postgres.execute(f"SELECT pg_cancel_backend({backend})")
    database = url.rpartition("/")[2]
    assert str(error).startswith(
        f"postgresql database 127.0.0.1:{postgres.port}/{database}: no whole answer within 2 s"
    )
    assert error.retryable


# A cursor whose connection broke is left open by psycopg; that is collected here, not later.
@pytest.mark.filterwarnings("ignore:.*ServerCursor.* deleted while still open:ResourceWarning")
def test_a_server_stopped_in_the_middle_gives_no_part_of_the_list(
    postgres: Postgres, url: str
) -> None:
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(refusal_of, SqlAccounts(url, SLOW))
        wait_for_fetch(postgres)
        postgres.stop()
        try:
            stopped = reading.result(timeout=20)
            down = refusal_of(SqlAccounts(url))
        finally:
            postgres.start()
    # The server's last words arrive before or after its end of the connection.
    assert re.search("terminating connection|server closed the connection", str(stopped))
    assert "Connection refused" in str(down)
    assert stopped.retryable
    assert down.retryable
    assert SqlAccounts(url).read_active_accounts().num_rows == 2
    del stopped, reading
    gc.collect()


def wait_for_fetch(postgres: Postgres) -> int:
    """Wait until a list is being read; return the process id of the server's backend."""
    for _ in range(1000):
        fetching = postgres.execute(
            "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'FETCH%'"
        )
        if fetching:
            return int(str(fetching[0][0]))
    raise AssertionError("the list was never asked for")


def test_the_check_reads_one_account(postgres: Postgres, url: str) -> None:
    database = url.rpartition("/")[2]
    assert SqlAccounts(url).check() == (
        f"postgresql database 127.0.0.1:{postgres.port}/{database}: gives account_id, "
        "account_name, primary_esg_focus, last_modified; the first account was read"
    )
