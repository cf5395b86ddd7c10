"""Mornings in the ledger: what a run of a date leaves there, written by its own code."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time

from esg_pipeline.clock import central_time
from esg_pipeline.daily_run import Claim, RunOrder, claim_day
from esg_pipeline.ledger import Ledger
from esg_pipeline.settings import Settings

DAY = date(2026, 3, 10)


def at(clock: str, day: date = DAY) -> datetime:
    """The instant of a Central wall-clock time, "05:15" or "05:14:59"."""
    return central_time(day, time.fromisoformat(clock))


@contextmanager
def at_work(
    ledger: Ledger,
    settings: Settings,
    day: date = DAY,
    *,
    run_id: str = "run-1",
    scheduled: bool = True,
) -> Iterator[Claim]:
    """A run that holds the date now; it lets it go at the end, delivered or not."""
    claim = claim_day(
        ledger,
        day,
        RunOrder(),
        run_id=run_id,
        root_run_id=run_id,
        scheduled=scheduled,
        settings=settings,
    )
    try:
        yield claim
    finally:
        claim.lease.release()


def deliver(claim: Claim) -> None:
    """Mark what the run holds as delivered."""
    claim.ledger.editions.mark_delivered(claim.lease, claim.edition, manifest={})
