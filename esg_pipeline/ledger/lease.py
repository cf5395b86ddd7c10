"""The lease of a business date: one run at a time works on it, and a stale one can write nothing.

Each acquisition raises the date's fencing token; every write of a run proves, in its own
transaction, that its token is still the newest. Heartbeats are on the database's clock, so clocks
of hosts do not matter. Nothing here knows what is written under the lease.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Row, Select, select, update

from esg_pipeline.ledger.database import Database, clock, insert_into
from esg_pipeline.ledger.errors import LeaseHeld, LeaseLost, LedgerUnavailable
from esg_pipeline.ledger.process_identity import ProcessIdentity, this_process
from esg_pipeline.ledger.tables import leases

LEASE_TERM_S = 30.0
"""A holder without a heartbeat for so long may be replaced."""
HEARTBEAT_S = 5.0
FENCE_PATIENCE_S = 300.0
"""The longest publish step; a worker frozen in it keeps others out for so long."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """Who holds a date.

    Attributes:
        heartbeat_age_s: Seconds since its last heartbeat, on the database's clock.
        is_dead: It ran on this machine and its process is gone.
        has_expired: Its term is over; it may be frozen, or cut off from the ledger.
    """

    day: date
    run_id: str
    process: ProcessIdentity
    heartbeat_age_s: float
    is_dead: bool

    @property
    def has_expired(self) -> bool:
        # A heartbeat from the future means that the clock was set back: it says nothing either.
        return abs(self.heartbeat_age_s) > LEASE_TERM_S

    @property
    def may_be_replaced(self) -> bool:
        return self.is_dead or self.has_expired

    def is_this(self, run_id: str) -> bool:
        """The holder is this run, in this process."""
        return self.run_id == run_id and self.process == this_process()

    def __str__(self) -> str:
        state = "its process is gone" if self.is_dead else f"{self.heartbeat_age_s:.0f} s ago"
        return (
            f"run {self.run_id} on {self.process.host}, process {self.process.pid} "
            f"(last heartbeat: {state})"
        )


class Lease:
    """The right to work on one date; use it as a context manager.

        with ledger.leases.acquire(day, run_id=run_id) as lease:
            ...  # a thread sends the heartbeats; the date is free again at the end

    Attributes:
        token: The fencing token.
    """

    def __init__(self, database: Database, day: date, token: int, run_id: str) -> None:
        self.day = day
        self.token = token
        self.run_id = run_id
        self._database = database
        self._stop = threading.Event()
        self._heart: threading.Thread | None = None

    @contextmanager
    def writing(self, *, patience_s: float | None = None) -> Iterator[Connection]:
        """A write transaction in which nobody else can take the date over.

        Raises:
            LeaseLost: another run has taken over; nothing is written.
            LedgerUnavailable: see `Database.write`.
        """
        with self._database.write(patience_s=patience_s) as connection:
            # The row is locked against a takeover (FOR UPDATE), but not against heartbeats.
            token = connection.scalar(
                select(leases.c.token)
                .where(leases.c.day == self.day, leases.c.run_id == self.run_id)
                .with_for_update(read=True, key_share=True)
            )
            if token != self.token:
                raise self._loss()
            yield connection

    @contextmanager
    def fence(self) -> Iterator[None]:
        """Keep others from taking over while a file is published; a write transaction is open.

        Writes of the same thread inside it join the transaction. On SQLite no other process can
        write to the ledger meanwhile: keep it short.
        """
        with self.writing(patience_s=FENCE_PATIENCE_S):
            yield

    def beat(self) -> None:
        """Send one heartbeat.

        Raises:
            LeaseLost, LedgerUnavailable.
        """
        with self._database.write() as connection:
            beaten = connection.execute(
                update(leases).where(*self._mine()).values(heartbeat_at=clock(connection))
            )
            if beaten.rowcount != 1:
                raise self._loss()

    def start_heartbeat(self, every_s: float = HEARTBEAT_S) -> None:
        """Send heartbeats from a daemon thread until released or lost."""
        if self._heart is None:
            self._heart = threading.Thread(
                target=self._keep_beating,
                args=(every_s,),
                name=f"heartbeat {self.day}",
                daemon=True,
            )
            self._heart.start()

    def release(self) -> None:
        """Let the date go. Quiet if it is lost, or the ledger away: the term ends it then."""
        self._stop.set()
        if self._heart is not None:
            self._heart.join(timeout=self._database.patience_s)
        try:
            with self._database.write() as connection:
                connection.execute(
                    update(leases)
                    .where(*self._mine())
                    .values(run_id=None, heartbeat_at=clock(connection), calls_per_s=None)
                )
        except LedgerUnavailable as error:
            log.warning("The lease of %s was not released. %s", self.day, error)

    def __enter__(self) -> Self:
        self.start_heartbeat()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _mine(self) -> tuple[Any, ...]:
        return (
            leases.c.day == self.day,
            leases.c.token == self.token,
            leases.c.run_id == self.run_id,
        )

    def _keep_beating(self, every_s: float) -> None:
        while not self._stop.wait(every_s):
            try:
                self.beat()
            except LeaseLost as error:
                log.error("%s", error)
                return
            except LedgerUnavailable as error:
                log.warning("No heartbeat for %s. %s", self.day, error)

    def _loss(self) -> LeaseLost:
        return LeaseLost(
            f"{self.day}: run {self.run_id} lost its lease, another run has taken over. This run "
            "stops; it can write nothing more."
        )


class Leases:
    """Who works on which date: `ledger.leases`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire(self, day: date, *, run_id: str) -> Lease:
        """Take the date, if nobody has it or its holder is dead or silent.

        The same run in the same process may take it again (after an answer of the ledger was
        lost, or in a retried step); its earlier lease is then lost.

        Raises:
            LeaseHeld: by whom. Nothing was changed.
            LedgerUnavailable: see `Database.write`.
        """
        try:
            with self._database.write() as connection:
                return self._take(connection, day, run_id)
        except LedgerUnavailable:
            # Somebody who keeps the row locked, in its publish step, holds the date.
            holder = self.holder(day)
            if holder is None or holder.may_be_replaced or holder.is_this(run_id):
                raise
            raise _held(holder) from None

    def holder(self, day: date) -> LeaseHolder | None:
        """Who holds the date, if anybody."""
        with self._database.read() as connection:
            return read_holder(connection, day)

    def _take(self, connection: Connection, day: date, run_id: str) -> Lease:
        insert = insert_into(connection, leases)
        connection.execute(insert.values(day=day, token=0).on_conflict_do_nothing())
        row = connection.execute(_select(connection, day).with_for_update()).one()
        if row.run_id is not None:
            holder = _holder(row)
            if not (holder.may_be_replaced or holder.is_this(run_id)):
                raise _held(holder)
            log.warning("The lease of %s is taken over from %s.", day, holder)
        token = row.token + 1
        me = this_process()
        connection.execute(
            update(leases)
            .where(leases.c.day == day)
            .values(
                token=token,
                run_id=run_id,
                host=me.host,
                machine=me.machine,
                pid=me.pid,
                process_started=me.started,
                acquired_at=clock(connection),
                heartbeat_at=clock(connection),
                calls_per_s=None,
            )
        )
        return Lease(self._database, day, token, run_id)


def read_holder(connection: Connection, day: date) -> LeaseHolder | None:
    """Who holds the date, in the caller's transaction."""
    row = connection.execute(_select(connection, day)).first()
    return _holder(row) if row is not None and row.run_id is not None else None


def read_callers(connection: Connection) -> dict[date, float]:
    """The dates that are being rated by a run that lives, and the calls a second of each."""
    rows = connection.execute(
        _select_all(connection).where(
            leases.c.run_id.is_not(None), leases.c.calls_per_s.is_not(None)
        )
    ).all()
    return {row.day: row.calls_per_s for row in rows if not _holder(row).may_be_replaced}


def is_alone(connection: Connection, day: date) -> bool:
    """No other date has been worked on within a lease's term."""
    rows = connection.execute(_select_all(connection).where(leases.c.day != day)).all()
    ages = (row.heartbeat_age_s for row in rows if row.heartbeat_age_s is not None)
    return all(abs(age) > LEASE_TERM_S for age in ages)


def _select(connection: Connection, day: date) -> Select[Any]:
    return _select_all(connection).where(leases.c.day == day)


def _select_all(connection: Connection) -> Select[Any]:
    age = (clock(connection) - leases.c.heartbeat_at).label("heartbeat_age_s")
    return select(leases, age)


def _holder(row: Row[Any]) -> LeaseHolder:
    process = ProcessIdentity(row.host, row.machine, row.pid, row.process_started)
    return LeaseHolder(
        row.day, row.run_id, process, row.heartbeat_age_s, process.is_provably_dead()
    )


def _held(holder: LeaseHolder) -> LeaseHeld:
    return LeaseHeld(
        f"{holder.day}: already running: {holder}. Wait for it to end, or terminate it.",
        holder=str(holder),
    )
