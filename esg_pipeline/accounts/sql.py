"""Accounts from a database that SQLAlchemy can reach, by URL: SQLite, PostgreSQL and others.

Without `ESG_ACCOUNTS_QUERY` the table `accounts` is asked for the columns it has:
`account_id` and `account_name`, and `primary_esg_focus` and `last_modified` if they are there,
where `status` is `active`. The database is only read: SQLite files are opened read-only and never
made, PostgreSQL gets a read-only transaction.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, NoSuchTableError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from esg_pipeline.accounts.account_list import (
    COLUMNS,
    REQUIRED_COLUMNS,
    account_batch,
    checked_accounts,
)
from esg_pipeline.accounts.errors import AccountSourceError
from esg_pipeline.accounts.time_limit import CHECK_LIMIT_S, within
from esg_pipeline.safe_text import mask, register_secrets_in
from esg_pipeline.sql_errors import Trouble, trouble_of, words_of

BATCH_ROWS = 20_000
STREAM = {"stream_results": True}
TABLE = "accounts"
ACTIVE = "active"
STATUS = "status"
SETTINGS_ADVICE = "check ESG_ACCOUNTS_URL and ESG_ACCOUNTS_QUERY"

WAITED_FOR = {Trouble.AWAY, Trouble.BUSY, Trouble.DISK, Trouble.FULL}
"""Whatever else is the matter will be so later, too."""


@dataclass(frozen=True)
class SqlAccounts:
    """A database of accounts.

    Attributes:
        url: SQLAlchemy URL; may hold a password.
        query: SQL that gives the active accounts, in place of the default.
        connect_timeout_s: Until the database takes the connection (SQLite: until its lock is free).
        query_timeout_s: Until each answer to a statement or a fetch (PostgreSQL).
        read_limit_s: Whole read.
    """

    url: str = field(repr=False)
    query: str | None = None
    connect_timeout_s: int = 10
    query_timeout_s: float = 300
    read_limit_s: float = 900

    def __post_init__(self) -> None:
        register_secrets_in(self.url)

    def read_active_accounts(self) -> pa.Table:
        """See `AccountSource`."""
        return within(self.read_limit_s, self._read, where=_where(self.url))

    def check(self) -> str:
        """See `AccountSource`."""
        return within(CHECK_LIMIT_S, self._read_first, where=_where(self.url))

    def _read(self) -> pa.Table:
        with self._answer() as answer:
            return checked_accounts(_batches(answer))

    def _read_first(self) -> str:
        with self._answer() as answer:
            columns = ", ".join(_places(answer))
            found = "the first account was read" if answer.fetchone() else "it has no account"
        return f"{_where(self.url)}: gives {columns}; {found}"

    @contextmanager
    def _answer(self) -> Iterator[sa.CursorResult[Any]]:
        """The query's answer, streaming; what the database says against it is our error."""
        where = _where(self.url)
        try:
            engine = self._engine()
            with engine.connect() as connection:
                connection.execution_options(postgresql_readonly=True)
                if engine.dialect.name == "postgresql":
                    timeout_ms = int(self.query_timeout_s * 1000)
                    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {timeout_ms}")
                with closing(self._ask(connection)) as answer:
                    yield answer
        except NoSuchTableError:
            raise AccountSourceError(
                f"{where}: there is no table {TABLE}; set ESG_ACCOUNTS_QUERY to a SELECT of "
                f"{', '.join(COLUMNS)}",
                retryable=False,
            ) from None
        except DBAPIError as error:
            retryable = trouble_of(error) in WAITED_FOR
            advice = "see whether it is up" if retryable else SETTINGS_ADVICE
            raise AccountSourceError(
                f"{where}: {words_of(error)}; {advice}", retryable=retryable
            ) from None
        except (SQLAlchemyError, ImportError) as error:
            reason = mask(str(error)).partition("\n")[0]
            raise AccountSourceError(
                f"{where}: {reason}; {SETTINGS_ADVICE}", retryable=False
            ) from None

    def _engine(self) -> sa.Engine:
        url = sa.make_url(self.url)
        connect_args: dict[str, Any] = {}
        if url.get_backend_name() == "postgresql":
            connect_args = {"connect_timeout": self.connect_timeout_s}
        if url.get_backend_name() != "sqlite":
            return sa.create_engine(url, poolclass=NullPool, connect_args=connect_args)
        file = Path(url.database or "")
        if not file.is_file():
            raise AccountSourceError(
                f"{_where(self.url)}: there is no such file; ESG_ACCOUNTS_URL must name an "
                "existing SQLite database",
                retryable=False,
            )
        read_only = f"{file.absolute().as_uri()}?mode=ro"
        return sa.create_engine(
            "sqlite://",
            poolclass=NullPool,
            creator=lambda: sqlite3.connect(read_only, uri=True, timeout=self.connect_timeout_s),
        )

    def _ask(self, connection: sa.Connection) -> sa.CursorResult[Any]:
        if self.query is None:
            return connection.execute(_default_query(connection), execution_options=STREAM)
        # As it stands: neither `:name` nor `%` means anything to us in the firm's own SQL.
        sql = self.query.strip().rstrip(";")
        return connection.exec_driver_sql(sql, execution_options={**STREAM, "no_parameters": True})


def _default_query(connection: sa.Connection) -> sa.Select[Any]:
    has = {column["name"] for column in sa.inspect(connection).get_columns(TABLE)}
    missing = [name for name in (*REQUIRED_COLUMNS, STATUS) if name not in has]
    if missing:
        raise AccountSourceError(
            f"table {TABLE} has no column {', '.join(missing)}; set ESG_ACCOUNTS_QUERY to a SELECT "
            f"of {', '.join(COLUMNS)}",
            retryable=False,
        )
    wanted: list[sa.ColumnClause[Any]] = [sa.column(name) for name in COLUMNS if name in has]
    return sa.select(*wanted).select_from(sa.table(TABLE)).where(sa.column(STATUS) == ACTIVE)


def _places(answer: sa.CursorResult[Any]) -> dict[str, int]:
    """Which of our columns stands where in the answer."""
    names = list(answer.keys()) if answer.returns_rows else []
    problems = [f"no column {name}" for name in REQUIRED_COLUMNS if name not in names]
    problems += [f"column {name} twice" for name in COLUMNS if names.count(name) > 1]
    if problems:
        raise AccountSourceError(
            f"ESG_ACCOUNTS_QUERY gives {', '.join(problems)}; it must be a SELECT of "
            f"{', '.join(COLUMNS)} (the last two may be left out)",
            retryable=False,
        )
    return {name: names.index(name) for name in COLUMNS if name in names}


def _batches(answer: sa.CursorResult[Any]) -> Iterator[pa.RecordBatch]:
    places = _places(answer)
    first_row = 1
    for rows in answer.partitions(BATCH_ROWS):
        columns = list(zip(*rows, strict=True))
        numbers = range(first_row, first_row + len(rows))
        yield account_batch({name: columns[at] for name, at in places.items()}, numbers)
        first_row += len(rows)


def _where(url: str) -> str:
    """The database in words, without user, password or options."""
    parts = sa.make_url(url)
    if parts.get_backend_name() == "sqlite":
        return f"SQLite file {parts.database}"
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.get_backend_name()} database {parts.host or ''}{port}/{parts.database or ''}"
