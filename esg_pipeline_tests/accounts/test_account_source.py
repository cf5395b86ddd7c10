"""Which source serves which URL, and how long a source that is down is waited for."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import SecretStr

from esg_pipeline.accounts import (
    AccountListError,
    AccountSourceError,
    open_account_source,
    read_with_patience,
)
from esg_pipeline.accounts.csv_file import CsvAccounts
from esg_pipeline.accounts.rest import RestAccounts
from esg_pipeline.accounts.sql import SqlAccounts
from esg_pipeline.settings import Settings


def settings(url: str | None, **more: str) -> Settings:
    return Settings(_env_file=None, accounts_url=url, **more)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("sqlite:///firm.db", SqlAccounts),
        ("postgresql+psycopg://u:p@host/firm", SqlAccounts),
        ("https://host/accounts?for=file://x", RestAccounts),
        ("http://127.0.0.1:1/accounts", RestAccounts),
        ("file:///folder/accounts.csv", CsvAccounts),
    ],
)
def test_the_scheme_chooses_the_source(url: str, kind: type[Any]) -> None:
    assert open_account_source(settings(url)) == kind(url)


def test_a_database_is_asked_the_firms_own_query_and_a_service_gets_its_token() -> None:
    query = "SELECT 1"
    assert open_account_source(settings("sqlite:///f.db", accounts_query=query)) == SqlAccounts(
        "sqlite:///f.db", query
    )
    for url in ("https://host/accounts", "http://localhost/accounts"):
        source = open_account_source(settings(url, accounts_token="hunter2"))
        assert source == RestAccounts(url, SecretStr("hunter2"))


def test_a_source_shows_no_secret() -> None:
    sql = open_account_source(settings("postgresql+psycopg://u:hunter2@host/firm"))
    rest = open_account_source(settings("https://host/accounts", accounts_token="hunter2"))
    assert "hunter2" not in f"{sql!r} {rest!r}"


def test_nothing_falls_back_to_invented_accounts() -> None:
    with pytest.raises(AccountSourceError) as refused:
        open_account_source(settings(None))
    assert str(refused.value) == "ESG_ACCOUNTS_URL: missing; say where the active accounts are"
    assert refused.value.retryable is False


def test_a_driver_that_is_not_installed_is_told() -> None:
    source = open_account_source(settings("mysql+pymysql://u:hunter2@127.0.0.1/firm"))
    with pytest.raises(AccountSourceError, match="No module named 'pymysql'") as refused:
        source.read_active_accounts()
    assert not refused.value.retryable


class Clock:
    """Time that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


class Source:
    """Fails with each error in turn, then gives a list."""

    def __init__(self, *errors: AccountSourceError) -> None:
        self.errors = list(errors)

    def read_active_accounts(self) -> pa.Table:
        if self.errors:
            raise self.errors.pop(0)
        return pa.table({"account_id": ["A1"]})

    def check(self) -> str:
        return "a list in memory"


DOWN = AccountSourceError("the database is down", retryable=True)


def test_a_source_that_comes_back_is_read(tmp_path: Path) -> None:
    clock, told = Clock(), []
    table = read_with_patience(
        Source(*[DOWN] * 6),
        patience_s=600,
        sleep=clock.sleep,
        monotonic=lambda: clock.now,
        on_wait=lambda error, wait_s: told.append((str(error), wait_s)),
    )
    assert table.num_rows == 1
    assert clock.slept == [5, 10, 20, 40, 60, 60]
    assert told == [("the database is down", wait_s) for wait_s in clock.slept]


def test_patience_ends_and_the_last_try_is_at_its_very_end() -> None:
    clock = Clock()
    with pytest.raises(AccountSourceError, match="the database is down"):
        read_with_patience(
            Source(*[DOWN] * 99), patience_s=35.5, sleep=clock.sleep, monotonic=lambda: clock.now
        )
    assert clock.slept == [5, 10, 20, 0.5]


@pytest.mark.parametrize("patience_s", [0, -10])
def test_without_patience_there_is_one_try(patience_s: float) -> None:
    clock = Clock()
    with pytest.raises(AccountSourceError):
        read_with_patience(Source(DOWN), patience_s=patience_s, sleep=clock.sleep)
    assert clock.slept == []


def test_a_wrong_list_is_not_read_again() -> None:
    clock = Clock()
    with pytest.raises(AccountListError):
        read_with_patience(
            Source(AccountListError("it is empty")), patience_s=600, sleep=clock.sleep
        )
    assert clock.slept == []
