"""Accounts from a CSV file: `file:///folder/accounts.csv`.

The first line names the columns: `account_id` and `account_name`, optionally
`primary_esg_focus`, `last_modified` and `status`; other columns do no harm. With a `status`
column only the rows that say `active` count. UTF-8, with or without byte order mark. Every cell
is text: `00123`, `1E5` and `3-12` stay as they are. The file is only read.
"""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from esg_pipeline.accounts.account_list import (
    COLUMNS,
    REQUIRED_COLUMNS,
    account_batch,
    checked_accounts,
)
from esg_pipeline.accounts.errors import AccountListError, AccountSourceError
from esg_pipeline.accounts.time_limit import CHECK_LIMIT_S, within

BATCH_ROWS = 50_000
STATUS = "status"
ACTIVE = "active"
USED_COLUMNS = (*COLUMNS, STATUS)

NOT_THERE = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)
"""What waiting does not cure; other errors are those of a network share."""


@dataclass(frozen=True)
class CsvAccounts:
    """A CSV file of accounts.

    Attributes:
        url: `file:///…`.
        read_limit_s: Whole read, seconds.
    """

    url: str
    read_limit_s: float = 900

    @property
    def path(self) -> Path:
        return Path(unquote(urlsplit(self.url).path))

    def read_active_accounts(self) -> pa.Table:
        """See `AccountSource`."""
        return within(self.read_limit_s, self._read, where=str(self.path))

    def check(self) -> str:
        """See `AccountSource`."""
        return within(CHECK_LIMIT_S, self._read_header, where=str(self.path))

    def _read(self) -> pa.Table:
        with self._open() as records:
            return checked_accounts(_batches(records))

    def _read_header(self) -> str:
        with self._open() as records:
            return f"{self.path}: CSV file with columns {', '.join(_header(records))}"

    @contextmanager
    def _open(self) -> Iterator[Iterator[list[str]]]:
        """The file's records; whatever is wrong with the file becomes an error of ours."""
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                yield csv.reader(file, strict=True)
        except OSError as error:
            raise AccountSourceError(
                f"{self.path}: {error.strerror or error}; ESG_ACCOUNTS_URL must name a readable "
                "CSV file",
                retryable=not isinstance(error, NOT_THERE),
            ) from None
        except UnicodeDecodeError:
            raise AccountListError(f"{self.path} is not UTF-8; save it as UTF-8") from None
        except csv.Error as error:
            raise AccountListError(f"{self.path} is not a readable CSV file: {error}") from None


def _header(records: Iterator[list[str]]) -> list[str]:
    header = next(records, [])
    problems = [f"no column {name}" for name in REQUIRED_COLUMNS if name not in header]
    problems += [f"column {name} twice" for name in USED_COLUMNS if header.count(name) > 1]
    if problems:
        raise AccountListError(
            f"the first line of the CSV file has {', '.join(problems)}; it must name the columns "
            f"{', '.join(REQUIRED_COLUMNS)}"
        )
    return header


def _batches(records: Iterator[list[str]]) -> Iterator[pa.RecordBatch]:
    """Typed rows, some at a time. A row's number is what a spreadsheet shows: the header is 1."""
    header = _header(records)
    places = {name: header.index(name) for name in USED_COLUMNS if name in header}
    # A blank line reads as an empty record.
    numbered = ((row, record) for row, record in zip(count(2), records) if record)
    while batch := list(islice(numbered, BATCH_ROWS)):
        for row, record in batch:
            if len(record) != len(header):
                raise AccountListError(
                    f"row {row} of the CSV file has {len(record)} cells, the header has "
                    f"{len(header)}; correct the file"
                )
        if STATUS in places:
            batch = [each for each in batch if each[1][places[STATUS]].strip().lower() == ACTIVE]
        yield account_batch(
            {name: [record[at] for _, record in batch] for name, at in places.items()},
            rows=[row for row, _ in batch],
        )
