"""The face of every account source, and which kind of source serves which URL."""

import time
from collections.abc import Callable
from typing import Protocol

import pyarrow as pa

from esg_pipeline.accounts.csv_file import CsvAccounts
from esg_pipeline.accounts.errors import AccountSourceError
from esg_pipeline.accounts.rest import RestAccounts
from esg_pipeline.accounts.sql import SqlAccounts
from esg_pipeline.settings import Settings

FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 60.0


class AccountSource(Protocol):
    """Where the active accounts come from."""

    def read_active_accounts(self) -> pa.Table:
        """Read the whole list.

        Returns:
            ACCOUNTS_SCHEMA, checked, sorted by account_id (code point order).

        Raises:
            AccountListError: the list is wrong.
            AccountSourceError: the source cannot be read.
        """

    def check(self) -> str:
        """Make one real round trip, for `doctor`; say in one line what was reached.

        Raises:
            AccountSourceError: the source cannot be read.
        """


KINDS: dict[str, Callable[[str, Settings], AccountSource]] = {
    "file": lambda url, _: CsvAccounts(url),
    "http": lambda url, settings: RestAccounts(url, settings.accounts_token),
    "https": lambda url, settings: RestAccounts(url, settings.accounts_token),
}
"""By URL scheme; every other scheme is a SQLAlchemy dialect."""


def open_account_source(settings: Settings) -> AccountSource:
    """Give the source that `ESG_ACCOUNTS_URL` names. Nothing is connected yet.

    Raises:
        AccountSourceError: the setting is missing, or no such kind of source can be used here.
    """
    if settings.accounts_url is None:
        raise AccountSourceError(
            "ESG_ACCOUNTS_URL: missing; say where the active accounts are", retryable=False
        )
    url = settings.accounts_url.get_secret_value()
    kind = KINDS.get(url.partition("://")[0])
    return kind(url, settings) if kind else SqlAccounts(url, settings.accounts_query)


def read_with_patience(
    source: AccountSource,
    *,
    patience_s: float,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
    on_wait: Callable[[AccountSourceError, float], None] = lambda error, wait_s: None,
) -> pa.Table:
    """Read the list; while the source is down or busy, wait and read again.

    Args:
        patience_s: No new try starts later than this many seconds after the first.
        sleep, monotonic: The clock, in seconds.
        on_wait: Told each retryable error, and the seconds until the next try.

    Raises:
        AccountSourceError: not retryable, or the last one when the patience is spent.
    """
    give_up_at = monotonic() + patience_s
    wait_s = FIRST_WAIT_S
    while True:
        try:
            return source.read_active_accounts()
        except AccountSourceError as error:
            time_left_s = give_up_at - monotonic()
            if not error.retryable or time_left_s <= 0:
                raise
            this_wait_s = min(wait_s, time_left_s)
            on_wait(error, this_wait_s)
        sleep(this_wait_s)
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)
