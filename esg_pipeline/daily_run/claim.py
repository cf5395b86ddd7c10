"""Claiming a date: what was asked, the lease, the edition that is opened or resumed, the window."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from esg_pipeline import __version__, clock
from esg_pipeline.daily_run.errors import AlreadyDelivered, NotBegun, NothingToAskAgain
from esg_pipeline.delivery import Store, editions
from esg_pipeline.ledger import Edition, EditionState, Lease, Ledger
from esg_pipeline.settings import Settings

log = logging.getLogger(__name__)

MATERIALIZE_ALL = (
    "Materialize all assets of the date together, from active_accounts on, or launch the job "
    "daily_esg_ratings"
)


@dataclass(frozen=True, slots=True)
class RunOrder:
    """What a person (or the schedule) asked this run to do.

    Attributes:
        failed_only: Ask again for the accounts that Failed in the newest edition.
        accounts: Ask again for these account ids only.
        by: Who asked.
        reason: Why; with `by` it also releases an account list that waits.
    """

    failed_only: bool = False
    accounts: tuple[str, ...] = ()
    by: str | None = None
    reason: str | None = None

    @property
    def mode(self) -> str:
        """The edition mode: full, failed_only or accounts."""
        if self.accounts:
            return "accounts"
        return "failed_only" if self.failed_only else "full"


@dataclass(frozen=True, slots=True)
class Claim:
    """A date that one run has claimed: its lease, its edition and the time it may use."""

    day: date
    ledger: Ledger
    lease: Lease
    edition: Edition
    window: clock.RunWindow
    order: RunOrder


def claim_day(
    ledger: Ledger,
    day: date,
    order: RunOrder | None,
    *,
    run_id: str,
    root_run_id: str,
    scheduled: bool,
    settings: Settings,
    open_store: Callable[[], Store] | None = None,
) -> Claim:
    """Claim the date for a run and open its edition, or resume the one a dead run left.

    Args:
        open_store: Gives the store, whose editions a new one must not number again.
        order: None when the run does not begin with the account list: it only resumes.

    Raises:
        LeaseHeld: another run works on this date.
        WindowHasPassed: the schedule's run, after the deadline.
        AlreadyDelivered: an automatic retry of a run that had delivered.
        NotBegun: there is no edition to resume, and `order` is None.
        NothingToAskAgain: failed-only or single accounts, and the date has no such results.
        LedgerUnavailable: the database does not answer.
        DeliveryError: the store cannot be listed.
    """
    lease = ledger.leases.acquire(day, run_id=run_id)
    lease.start_heartbeat()
    try:
        newest = ledger.editions.newest_delivered(day)
        if newest is not None and newest.root_run_id == root_run_id:
            raise AlreadyDelivered(f"{day}: edition {newest.number} of this run is delivered")
        window = clock.run_window(
            day,
            clock.now_utc(),
            deadline=settings.report_deadline,
            reserve_s=settings.deadline_reserve,
            scheduled=scheduled,
        )
        begun = [
            each for each in ledger.editions.of_day(day) if each.state is not EditionState.DELIVERED
        ]
        if order is None:
            if all(each.state is not EditionState.OPEN for each in begun):
                raise NotBegun(f"{day}: no edition is open. {MATERIALIZE_ALL}")
            order = RunOrder()
        if order.mode != "full" and not begun:  # what is begun is finished first, as it was
            check_can_ask_again(ledger, day, order)
        delivered = 0
        if open_store is not None and not begun:
            delivered = _newest_on_store(open_store(), ledger, day)
        edition = ledger.editions.open(
            lease,
            run_id=run_id,
            root_run_id=root_run_id,
            mode=order.mode,
            asked_by=order.by,
            reason=order.reason,
            label=window.label,
            code_version=__version__,
            reask=order.accounts or None,
            deadline_at=window.deadline_at,
            after=delivered,
        )
    except BaseException:
        lease.release()
        raise
    return Claim(day, ledger, lease, edition, window, order)


def _newest_on_store(store: Store, ledger: Ledger, day: date) -> int:
    """The highest number of the date's editions on the store, 0 without any."""
    newest = max(editions(store, day), default=0)
    if newest and ledger.editions.find(day, newest) is None:
        log.warning(
            "%s: the store has edition %d, which this ledger does not know; this run makes edition "
            "%d. Was the ledger lost, or is ESG_LEDGER_URL another one's?",
            day,
            newest,
            newest + 1,
        )
    return newest


def check_can_ask_again(ledger: Ledger, day: date, order: RunOrder) -> None:
    """Check that the newest edition has the accounts that are to be asked again.

    Raises:
        NothingToAskAgain: no edition, no Failed account, or ids that are not in it.
    """
    newest = ledger.editions.newest_delivered(day)
    if newest is None:
        raise NothingToAskAgain(
            f"{day}: no edition is delivered yet, so there is nothing to ask again. "
            f"Run `esg-pipeline run --date {day}` first."
        )
    if order.failed_only and not newest.failed:
        raise NothingToAskAgain(
            f"{day}: no account Failed in edition {newest.number}; it stands.", is_fine=True
        )
    known = (
        set(ledger.results.ratings(newest)["account_id"].to_pylist()) if order.accounts else set()
    )
    strangers = sorted(set(order.accounts) - known)
    if strangers:
        raise NothingToAskAgain(
            f"{day}: not among the active accounts of edition {newest.number}: "
            f"{', '.join(strangers)}"
        )
