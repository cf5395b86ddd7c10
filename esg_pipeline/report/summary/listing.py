"""Accounts told by id and name, the first of many, with the count of all.

The one place where the summary takes account names; they are for its encrypted files only.
"""

from dataclasses import dataclass

import polars as pl

LISTED = 200
"""Accounts told in one list unless the caller says otherwise; the error log has them all."""


@dataclass(frozen=True, slots=True)
class NamedAccount:
    """One account. The name is None when it is not on today's list, which is where names are."""

    account_id: str
    account_name: str | None


@dataclass(frozen=True, slots=True)
class AccountList:
    """How many accounts, and the first of them by account id."""

    count: int
    accounts: tuple[NamedAccount, ...]

    @property
    def not_listed(self) -> int:
        """Accounts that are counted but not told."""
        return self.count - len(self.accounts)


def with_names(rows: pl.DataFrame, names: pl.DataFrame) -> pl.DataFrame:
    """A few rows, each with its `account_name`; null for an id that is not among the names."""
    wanted = names.filter(pl.col("account_id").is_in(rows["account_id"].implode()))
    return rows.join(wanted, on="account_id", how="left", maintain_order="left")


def list_accounts(rows: pl.DataFrame, names: pl.DataFrame, listed: int) -> AccountList:
    """Tell the first `listed` of the rows by `account_id` and name."""
    first = with_names(rows.select("account_id").head(listed), names)
    return AccountList(rows.height, tuple(NamedAccount(*row) for row in first.iter_rows()))
