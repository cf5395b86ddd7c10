"""When a day's run, or who watches it, raises which alert; the alerts themselves are `alerts/`.

A rule here turns facts of the day into a condition of DESIGN §9. It writes to the outbox and sends
nothing, and no trouble with alerts ever changes how a run ends.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pyarrow as pa

from esg_pipeline import clock
from esg_pipeline.accounts import AccountSourceError
from esg_pipeline.alerts import (
    AlertFacts,
    Condition,
    Cure,
    note_delivery,
    raise_alert,
    recover,
    send_without_ledger,
)
from esg_pipeline.day import AccountListHeld, DayHold, DeadlineExceeded, count_statuses
from esg_pipeline.delivery import DeliveryError
from esg_pipeline.ledger import Edition, Ledger, LedgerUnavailable
from esg_pipeline.ratings import ProcessingStatus, Reason
from esg_pipeline.scoring import ApiUnauthorized, Progress
from esg_pipeline.settings import Settings

log = logging.getLogger(__name__)

OVERRUN_SUSTAINED = timedelta(minutes=1)
"""An estimate past the end must last so long (or a tenth of a short window) to be believed."""

CONDITION_OF_ENDING: dict[type[Exception], Condition] = {
    AccountListHeld: Condition.ACCOUNT_LIST_HELD,
    ApiUnauthorized: Condition.UNAUTHORIZED,
    DeadlineExceeded: Condition.DEADLINE_EXCEEDED,
    DeliveryError: Condition.DELIVERY_FAILED,
    clock.WindowHasPassed: Condition.NOT_STARTED,
}
"""Every other bad ending is `run_failed`."""


def alert_ending(
    ledger: Ledger | None, settings: Settings, day: date, ending: Exception, *, run_id: str
) -> None:
    """Raise the alert of a run that ends badly; without a ledger, send it at once."""
    condition = next(
        (found for kind, found in CONDITION_OF_ENDING.items() if isinstance(ending, kind)),
        Condition.RUN_FAILED,
    )
    facts = AlertFacts(since=clock.now_utc(), run_id=run_id, cause=_cause(ending))
    try:
        if ledger is not None:
            raise_alert(ledger, day, condition, facts)
            return
    except LedgerUnavailable as error:
        log.error("the alert %s of %s is sent without the ledger: %s", condition, day, error)
    send_without_ledger(settings, day, condition, facts, dagster_url=settings.dagster_url)


def _cause(ending: Exception) -> str:
    """Our own endings speak for themselves; of others only the kind is told."""
    ours = type(ending).__module__.startswith("esg_pipeline.")
    return str(ending) if ours else type(ending).__name__


def alert_started(hold: DayHold) -> None:
    """A run of the date works: end the alert that none had begun."""
    facts = AlertFacts(since=clock.now_utc(), run_id=hold.edition.run_id)
    try:
        recover(hold.ledger, hold.day, Cure.STARTED, facts)
    except LedgerUnavailable as error:
        log.error("%s: the alert not_started is not resolved yet: %s", hold.day, error)


def alert_source_down(hold: DayHold) -> Callable[[AccountSourceError, float], None]:
    """Make the callback of an account source that is waited for: people hear it at once."""

    def on_wait(error: AccountSourceError, wait_s: float) -> None:
        log.warning("account source: %s; next try in %.0f s", error, wait_s)
        cause = f"waiting for the account source: {error}"
        facts = AlertFacts(since=clock.now_utc(), run_id=hold.edition.run_id, cause=cause)
        _raise_if_possible(hold, Condition.RUN_FAILED, facts)

    return on_wait


class ProgressAlerts:
    """Watches the scoring and raises what is certain before the end, each once.

    Call it with each progress, in the thread that owns the run.
    """

    def __init__(self, hold: DayHold, settings: Settings) -> None:
        self._hold = hold
        self._threshold = settings.failure_threshold
        self._raised: set[Condition] = set()
        self._late_since: datetime | None = None

    def __call__(self, progress: Progress) -> None:
        if progress.failed > self._threshold * progress.total:
            self._raise(Condition.FAILURE_SHARE, progress)
        self._watch_estimate(progress)

    def _watch_estimate(self, progress: Progress) -> None:
        window, now = self._hold.window, clock.now_utc()
        if progress.eta is None or progress.eta <= window.calls_end_at:
            self._late_since = None
            return
        self._late_since = self._late_since or now
        sustained = min(OVERRUN_SUSTAINED, (window.calls_end_at - window.started_at) / 10)
        if now - self._late_since >= sustained:
            self._raise(Condition.PROJECTED_OVERRUN, progress)

    def _raise(self, condition: Condition, progress: Progress) -> None:
        if condition in self._raised:
            return
        self._raised.add(condition)
        facts = AlertFacts(
            since=clock.now_utc(),
            run_id=self._hold.edition.run_id,
            edition=self._hold.edition.number,
            accounts=progress.total,
            answered=progress.answered,
            failed=progress.failed,
            threshold=self._threshold,
            estimated_finish=progress.eta,
            deadline=self._hold.window.deadline_at,
        )
        _raise_if_possible(self._hold, condition, facts)


def _raise_if_possible(hold: DayHold, condition: Condition, facts: AlertFacts) -> None:
    try:
        raise_alert(hold.ledger, hold.day, condition, facts)
    except LedgerUnavailable as error:
        log.error("%s: the alert %s waits for the ledger: %s", hold.day, condition, error)


def alert_delivered(hold: DayHold, settings: Settings, ratings: pa.Table) -> None:
    """Judge what was delivered: raise what is wrong with it, resolve what it cures.

    Call it in the transaction that marks the edition delivered.
    """
    counts = count_statuses(ratings)
    reasons = {
        Reason(row["values"]): row["counts"]
        for row in ratings["reason"].drop_null().value_counts().to_pylist()
    }
    total, failed = sum(counts.values()), counts[ProcessingStatus.FAILED]
    facts = AlertFacts(
        since=clock.now_utc(),
        run_id=hold.edition.run_id,
        edition=hold.edition.number,
        accounts=total,
        answered=total - reasons.get(Reason.DEADLINE, 0),
        successful=counts[ProcessingStatus.SUCCESSFUL],
        partial=counts[ProcessingStatus.PARTIAL],
        failed=failed,
        threshold=settings.failure_threshold,
        reasons=reasons,
        mismatches=reasons.get(Reason.IDENTITY_MISMATCH),
        deadline=hold.window.deadline_at,
        is_delivered=True,
    )
    wrong = []
    if failed > settings.failure_threshold * total:
        wrong.append(Condition.FAILURE_SHARE)
    if reasons.get(Reason.IDENTITY_MISMATCH):
        wrong.append(Condition.IDENTITY_MISMATCH)
    if reasons.get(Reason.DEADLINE):
        wrong.append(Condition.DEADLINE_EXCEEDED)
    for condition in wrong:
        raise_alert(hold.ledger, hold.day, condition, facts)
    recover(hold.ledger, hold.day, Cure.DELIVERED if wrong else Cure.GOOD, facts)
    if settings.delivery_note:
        note_delivery(hold.ledger, hold.day, facts)


@dataclass(frozen=True, slots=True)
class Finding:
    """What somebody who watches the day finds wrong with it."""

    condition: Condition
    cause: str


def judge_day(ledger: Ledger, settings: Settings, day: date, now: datetime) -> list[Finding]:
    """Look at the effect, not at the scheduler: has a run of the day begun, is it delivered?

    Args:
        now: Aware.
    """
    editions = ledger.editions(day)
    if any(edition.delivered_at is not None for edition in editions):
        return []
    if not editions:
        if now >= clock.central_time(day, clock.START_WATCH):
            return [Finding(Condition.NOT_STARTED, "no run of the date has begun to work")]
        return []
    if now >= clock.central_time(day, settings.report_deadline):
        return [Finding(Condition.DEADLINE_EXCEEDED, _standing(ledger, editions[-1]))]
    return []


def _standing(ledger: Ledger, edition: Edition) -> str:
    holder = ledger.holder(edition.day)
    work = f"at work: {holder}" if holder else "no run is at work"
    return f"edition {edition.number} is {edition.state.value} and not delivered; {work}"


def raise_findings(ledger: Ledger, day: date, findings: list[Finding]) -> None:
    """Put what was found into the outbox, once a date and condition."""
    editions = ledger.editions(day)
    run_id = editions[-1].run_id if editions else None
    for finding in findings:
        facts = AlertFacts(since=clock.now_utc(), run_id=run_id, cause=finding.cause)
        raise_alert(ledger, day, finding.condition, facts)
