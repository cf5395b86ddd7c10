"""The connection to the ledger's database: SQLite or PostgreSQL, made safe and bounded.

Everything that differs between the two databases in connecting, locking, waiting and failing is
here. Nothing here knows what the tables mean, and no error that leaves here holds a password.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Float,
    Table,
    create_engine,
    event,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from esg_pipeline.ledger.errors import LedgerUnavailable
from esg_pipeline.safe_text import register_secrets_in
from esg_pipeline.sql_errors import Trouble, trouble_of, words_of

PATIENCE_S = 10.0
LONG_PATIENCE_S = 600.0
"""For operations over a whole day's results: copy, read back, purge, migrate."""
CONNECT_S = 5
_ON_THIS_SIDE = 1.5
"""By how much longer than the server's timeout its answer is waited for."""

_REACH_IT = "Check that it runs and can be reached; a run waits for it while there is time."
_ADVICE = {
    Trouble.AWAY: _REACH_IT,
    Trouble.LOGIN_REFUSED: _REACH_IT,
    Trouble.DISK: _REACH_IT,
    Trouble.CANNOT_OPEN: _REACH_IT,
    Trouble.BUSY: "Another process holds it for long; see which with `esg-pipeline status`.",
    Trouble.FULL: "Make space on its disk.",
    Trouble.READ_ONLY: "It is read-only: point ESG_LEDGER_URL at the primary, or make the file "
    "writable.",
    Trouble.DAMAGED: "Restore it from a backup, or name another file in ESG_LEDGER_URL.",
    Trouble.NO_TABLE: "Its tables are gone: was it replaced while it was in use? Restore it from a "
    "backup.",
    Trouble.NOT_ALLOWED: "Open the ledger once as the owner of its tables (`esg-pipeline doctor`), "
    "then give this role its rights with the ledger's grants.sql.",
}
_NO_USE_IN_WAITING = {Trouble.DAMAGED, Trouble.NO_TABLE, Trouble.NOT_ALLOWED}


class Database:
    """One database, for any number of threads.

    `read()` and `write()` give a connection in a transaction. In a thread that already has a
    write transaction open both join it, so that several facts can be written as one.
    """

    def __init__(self, url: str, *, patience_s: float = PATIENCE_S) -> None:
        """Prepare, without connecting.

        Args:
            patience_s: How long a statement or a lock may take in everyday operations.

        Raises:
            LedgerUnavailable: the URL is not one of the two databases, or the SQLite file cannot
                be made.
        """
        register_secrets_in(url)
        try:
            self._url = make_url(url)
        except ArgumentError:
            raise LedgerUnavailable(
                "ESG_LEDGER_URL: not a database URL; write sqlite:////folder/ledger.db or "
                "postgresql+psycopg://user:password@host/name",
                retryable=False,
            ) from None
        self.place = _place(self._url)
        self.patience_s = patience_s
        self.engine = self._make_engine()
        self._thread = threading.local()

    @property
    def is_postgresql(self) -> bool:
        return self.engine.dialect.name == "postgresql"

    @contextmanager
    def read(self, *, patience_s: float | None = None) -> Iterator[Connection]:
        """A connection for reading.

        Raises:
            LedgerUnavailable: the database is away, full or locked for longer than the patience.
        """
        with self._transaction(patience_s, write=False) as connection:
            yield connection

    @contextmanager
    def write(self, *, patience_s: float | None = None) -> Iterator[Connection]:
        """A connection whose changes are committed together at the end.

        Raises:
            LedgerUnavailable: as `read`; also when it is unknown whether the commit was done.
        """
        with self._transaction(patience_s, write=True) as connection:
            yield connection

    @contextmanager
    def _transaction(self, patience_s: float | None, *, write: bool) -> Iterator[Connection]:
        joined: Connection | None = getattr(self._thread, "writing", None)
        if joined is not None:
            yield joined
            return
        with self._errors_for_people(), self.engine.connect() as connection:
            if write:
                connection = connection.execution_options(esg_write=True)  # noqa: PLW2901
            with connection.begin():
                self._be_patient(connection, patience_s)
                if write:
                    self._thread.writing = connection
                try:
                    yield connection
                finally:
                    self._thread.writing = None

    def _be_patient(self, connection: Connection, patience_s: float | None) -> None:
        raw = connection.connection.driver_connection
        if isinstance(raw, BoundedConnection):
            raw.patience_s = (patience_s or self.patience_s) * _ON_THIS_SIDE
            if patience_s is not None:
                for timeout in ("statement_timeout", "idle_in_transaction_session_timeout"):
                    connection.exec_driver_sql(f"SET LOCAL {timeout} = {int(patience_s * 1000)}")

    def _be_impatient(self, raw: "BoundedConnection | None", _record: Any) -> None:
        """For the next user, who first asks whether the server is still there."""
        if raw is not None:
            raw.patience_s = self.patience_s * _ON_THIS_SIDE

    def close(self) -> None:
        self.engine.dispose()

    def _make_engine(self) -> Engine:
        backend = self._url.get_backend_name()
        if backend == "sqlite":
            self._make_private_file()
            engine = create_engine(
                self._url, hide_parameters=True, connect_args={"timeout": self.patience_s}
            )
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        if backend == "postgresql" and self._url.get_driver_name() == "psycopg":
            engine = create_engine(
                self._url,
                hide_parameters=True,
                pool_pre_ping=True,
                pool_timeout=self.patience_s,
                connect_args={"connect_timeout": CONNECT_S, "application_name": "esg_pipeline"},
            )
            event.listen(engine, "do_connect", _connect_bounded)
            event.listen(engine, "connect", self._prepare_postgresql)
            event.listen(engine, "checkin", self._be_impatient)
            return engine
        raise LedgerUnavailable(
            f"ESG_LEDGER_URL: {self._url.drivername} is not supported; use sqlite:///… or "
            "postgresql+psycopg://…",
            retryable=False,
        )

    def _prepare_postgresql(self, raw: "BoundedConnection", _record: Any) -> None:
        self._be_impatient(raw, _record)
        with raw.cursor() as cursor:
            for timeout in ("statement_timeout", "lock_timeout"):
                cursor.execute(f"SET {timeout} = {int(self.patience_s * 1000)}")
            # A worker that is frozen inside a transaction must not keep its locks for ever.
            cursor.execute("SET idle_in_transaction_session_timeout = '30s'")
        raw.commit()

    def _make_private_file(self) -> None:
        """Make the SQLite file with mode 0600, before SQLite would make it with the umask's.

        An existing file is not opened here: closing it again would drop the locks that SQLite
        holds on it in this process (https://sqlite.org/howtocorrupt.html §2.2).
        """
        name = self._url.database
        if not name or name == ":memory:":
            raise LedgerUnavailable(
                "ESG_LEDGER_URL: the ledger must outlive the process; name a file, for example "
                "sqlite:////folder/ledger.db",
                retryable=False,
            )
        path = Path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                if not path.exists():
                    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            if path.stat().st_mode & 0o077:
                path.chmod(0o600)
        except OSError as error:
            raise LedgerUnavailable(
                f"The ledger {self.place} cannot be made: {error.strerror}. Check that the folder "
                "exists, is writable and has space."
            ) from error

    @contextmanager
    def _errors_for_people(self) -> Iterator[None]:
        try:
            yield
        except PoolTimeout as error:
            raise LedgerUnavailable(
                f"The ledger {self.place} has no free connection after {self.patience_s:.0f} s."
            ) from error
        except DBAPIError as error:
            trouble = trouble_of(error)
            if trouble is None:
                raise  # a mistake of our own
            raise LedgerUnavailable(
                f"The ledger {self.place} cannot be used: {words_of(error)}. {_ADVICE[trouble]}",
                retryable=trouble not in _NO_USE_IN_WAITING,
            ) from error


def clock(connection: Connection) -> ColumnElement[float]:
    """The database's clock, seconds since 1970, as it is when the statement runs."""
    text = (
        "extract(epoch FROM clock_timestamp())::float8"
        if connection.dialect.name == "postgresql"
        else "(julianday('now') - 2440587.5) * 86400.0"
    )
    return literal_column(text, Float)


def one_at_a_time(connection: Connection, key: int) -> None:
    """Wait until nobody else is in a transaction with this key; in SQLite all writers wait."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def now(connection: Connection) -> datetime:
    """The database's clock, UTC."""
    return datetime.fromtimestamp(connection.execute(select(clock(connection))).scalar_one(), UTC)


def insert_into(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that can say ON CONFLICT; both databases spell it alike."""
    is_postgresql = connection.dialect.name == "postgresql"
    return postgresql.insert(table) if is_postgresql else sqlite.insert(table)


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that never waits for ever.

    The server's own `statement_timeout` does not help when the server is frozen or the network
    swallows packets, so each wait for it is bounded on this side too.
    """

    patience_s = PATIENCE_S * _ON_THIS_SIDE

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval, self.patience_s if timeout is None else timeout)
        except psycopg.errors._WaitTimeout as error:
            # An answer may still be on its way; this connection can never be used again.
            self.pgconn.finish()
            raise psycopg.OperationalError(
                f"no answer from the server in {self.patience_s:.0f} s"
            ) from error


def _connect_bounded(
    _dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]
) -> BoundedConnection:
    return BoundedConnection.connect(*arguments, **options)


def _prepare_sqlite(raw: Any, _record: Any) -> None:
    raw.isolation_level = None  # BEGIN comes from _begin_sqlite, not from the driver
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        raw.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE: a writer that starts as a reader could not be made to wait, it would fail.
    write = connection.get_execution_options().get("esg_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _place(url: URL) -> str:
    """Where the ledger is, without user, password or options."""
    if url.get_backend_name() == "sqlite":
        return f"sqlite:///{url.database}"
    port = f":{url.port}" if url.port else ""
    return f"{url.get_backend_name()}://{url.host or ''}{port}/{url.database or ''}"
