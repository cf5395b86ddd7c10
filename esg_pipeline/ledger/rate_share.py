"""The rate limit that the runs of several dates share, so that together they stay within it.

A run writes down how many calls a second it makes before it makes them, takes no more than the
others leave, and gives way by slowing down first and writing that down after. What another gave up
it uses a second later. So in no second do the runs make more calls than the limit, in whatever
order they come and go.
"""

from collections.abc import Collection
from datetime import date
from typing import NamedTuple

from sqlalchemy import Connection, update

from esg_pipeline.ledger.database import Database, one_at_a_time
from esg_pipeline.ledger.lease import Lease, is_alone, read_callers
from esg_pipeline.ledger.tables import leases

OLDER_DATES_SHARE = 0.2
"""Of the limit, for all dates but the newest: making up a missed day must not make today late."""

_SHARE_LOCK = 0x455348  # any number that nobody else takes


class RateShare(NamedTuple):
    """A run's part of the rate limit.

    Attributes:
        calls_per_s: The calls a second that the run may make.
        is_free: Nobody can have used it a moment ago. Otherwise what comes on top of the calls in
            use may be used only when a second has gone by.
    """

    calls_per_s: float
    is_free: bool


class SharedRateLimit:
    """The rate limit as the run of one lease has it: `ledger.shared_rate_limit(lease)`."""

    def __init__(self, database: Database, lease: Lease) -> None:
        self._database = database
        self._lease = lease

    def take(self, limit: float, in_use: float) -> RateShare:
        """The part of the limit that is the run's from now on.

        Args:
            limit: Calls a second of all runs together.
            in_use: What the run keeps to now, 0 at first. When the answer is less, the run slows
                down and asks again at once, so that the others can have what it gave up.

        Raises:
            LeaseLost, LedgerUnavailable: see `Lease.writing`.
        """
        day = self._lease.day
        with self._database.read() as connection:
            callers = read_callers(connection)
            is_written = in_use == callers.pop(day, None)
            free = limit - sum(callers.values())
            if is_written and in_use == _wanted(day, callers, limit) <= free:
                return RateShare(in_use, is_free=True)
        with self._lease.writing() as connection:
            one_at_a_time(connection, _SHARE_LOCK)
            others = read_callers(connection)
            others.pop(day, None)
            wanted = _wanted(day, others, limit)
            share = max(0.0, min(wanted, limit - sum(others.values())))
            self._write(connection, max(in_use, share))
            return RateShare(share, is_alone(connection, day))

    def give_back(self) -> None:
        """The run makes no more calls.

        Raises:
            LeaseLost, LedgerUnavailable: see `Lease.writing`.
        """
        with self._lease.writing() as connection:
            self._write(connection, None)

    def _write(self, connection: Connection, calls_per_s: float | None) -> None:
        of_day = update(leases).where(leases.c.day == self._lease.day)
        connection.execute(of_day.values(calls_per_s=calls_per_s))


def _wanted(day: date, others: Collection[date], limit: float) -> float:
    """A day's part, in whole calls a second for all dates but the newest."""
    if not others:
        return limit
    older = limit * OLDER_DATES_SHARE // len(others)
    return limit - older * len(others) if day > max(others) else older
