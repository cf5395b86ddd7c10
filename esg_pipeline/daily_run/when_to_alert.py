"""When a day's run raises which alert; the alerts themselves are `alerts/`.

A rule here turns facts of the run into a condition (docs/design.md#alerts). It writes to the outbox
and sends nothing, and no trouble with alerts ever changes how a run ends.
"""

import logging
from collections.abc import Callable
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
from esg_pipeline.daily_run.claim import Claim
from esg_pipeline.daily_run.endings import ending_of
from esg_pipeline.daily_run.watch import judge_day
from esg_pipeline.failure_share import is_too_much
from esg_pipeline.ledger import Ledger, LedgerUnavailable
from esg_pipeline.ratings import ProcessingStatus, Reason, count_statuses
from esg_pipeline.scoring import Progress
from esg_pipeline.settings import Settings

log = logging.getLogger(__name__)

OVERRUN_SUSTAINED = timedelta(minutes=1)
"""An estimate past the end must last so long (or a tenth of a short window) to be believed."""
STANDSTILL = timedelta(minutes=10)
"""If nothing is answered for so long (or a quarter of a short window) there is no estimate, and
people hear that there is none."""
LEDGER_PAUSE = timedelta(seconds=30)
"""How long a ledger that did not take an alert is left alone."""


def alert_ending(
    ledger: Ledger | None, settings: Settings, day: date, ending: Exception, *, run_id: str
) -> None:
    """Raise the alert of a bad ending, if it has one; without a ledger, send it at once."""
    condition = ending_of(ending).condition
    if condition is None:
        return
    facts = AlertFacts(since=clock.now_utc(), run_id=run_id, cause=_cause(ending))
    try:
        if ledger is not None:
            for each in _what_it_means(ledger, settings, day, condition, facts.since):
                raise_alert(ledger, day, each, facts)
            return
    except LedgerUnavailable as error:
        log.error("the alert %s of %s is sent without the ledger: %s", condition, day, error)
    send_without_ledger(settings, day, condition, facts, dagster_url=settings.dagster_url)


def _what_it_means(
    ledger: Ledger, settings: Settings, day: date, condition: Condition, now: datetime
) -> list[Condition]:
    """A run that came too late may be a retry: the day may have begun, or be delivered."""
    if condition is not Condition.NOT_STARTED:
        return [condition]
    return [trouble.condition for trouble in judge_day(ledger, settings, day, now)]


def _cause(ending: Exception) -> str:
    """Our own endings speak for themselves; of others only the kind is told."""
    ours = type(ending).__module__.startswith("esg_pipeline.")
    return str(ending) if ours else type(ending).__name__


def alert_started(claim: Claim) -> None:
    """A run of the date works: end the alert that none had begun."""
    facts = AlertFacts(since=clock.now_utc(), run_id=claim.edition.run_id)
    try:
        recover(claim.ledger, claim.day, Cure.STARTED, facts)
    except LedgerUnavailable as error:
        log.error("%s: the alert not_started is not resolved yet: %s", claim.day, error)


def alert_source_down(claim: Claim) -> Callable[[AccountSourceError, float], None]:
    """Make the callback of an account source that is waited for: people hear it at once."""

    def on_wait(error: AccountSourceError, wait_s: float) -> None:
        log.warning("account source: %s; next try in %.0f s", error, wait_s)
        cause = f"waiting for the account source: {error}"
        facts = AlertFacts(since=clock.now_utc(), run_id=claim.edition.run_id, cause=cause)
        _raise_if_possible(claim, Condition.RUN_FAILED, facts)

    return on_wait


class ProgressAlerts:
    """Watches the scoring and raises what is certain before the end, each once.

    Call it with each progress, in the thread that owns the run.
    """

    def __init__(self, claim: Claim, settings: Settings) -> None:
        self._claim = claim
        self._threshold = settings.failure_threshold
        self._raised: set[Condition] = set()
        self._late_since: datetime | None = None
        self._answered = 0
        self._stands_since = clock.now_utc()
        self._ledger_pause_ends = self._stands_since

    def __call__(self, progress: Progress) -> None:
        if is_too_much(progress.failed, progress.total, self._threshold):
            self._raise(Condition.FAILURE_SHARE, progress)
        if progress.outcomes.get(Reason.IDENTITY_MISMATCH):
            self._raise(Condition.IDENTITY_MISMATCH, progress)
        if self._is_late(progress) or self._stands_still(progress):
            self._raise(Condition.PROJECTED_OVERRUN, progress)

    def _is_late(self, progress: Progress) -> bool:
        window, now = self._claim.window, clock.now_utc()
        if progress.eta is None or progress.eta <= window.calls_end_at:
            self._late_since = None
            return False
        self._late_since = self._late_since or now
        sustained = min(OVERRUN_SUSTAINED, (window.calls_end_at - window.started_at) / 10)
        return now - self._late_since >= sustained

    def _stands_still(self, progress: Progress) -> bool:
        window, now = self._claim.window, clock.now_utc()
        if progress.answered > self._answered or progress.answered == progress.total:
            self._answered, self._stands_since = progress.answered, now
        standstill = min(STANDSTILL, (window.calls_end_at - window.started_at) / 4)
        return now - self._stands_since >= standstill

    def _raise(self, condition: Condition, progress: Progress) -> None:
        now = clock.now_utc()
        if condition in self._raised or now < self._ledger_pause_ends:
            return
        facts = AlertFacts(
            since=now,
            run_id=self._claim.edition.run_id,
            edition=self._claim.edition.number,
            accounts=progress.total,
            answered=progress.answered,
            failed=progress.failed,
            threshold=self._threshold,
            mismatches=progress.outcomes.get(Reason.IDENTITY_MISMATCH),
            estimated_finish=progress.eta,
            deadline=self._claim.window.deadline_at,
        )
        if _raise_if_possible(self._claim, condition, facts):
            self._raised.add(condition)
        else:
            self._ledger_pause_ends = now + LEDGER_PAUSE


def _raise_if_possible(claim: Claim, condition: Condition, facts: AlertFacts) -> bool:
    try:
        raise_alert(claim.ledger, claim.day, condition, facts)
    except LedgerUnavailable as error:
        log.error("%s: the alert %s waits for the ledger: %s", claim.day, condition, error)
        return False
    return True


def alert_delivered(claim: Claim, settings: Settings, ratings: pa.Table) -> None:
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
        run_id=claim.edition.run_id,
        edition=claim.edition.number,
        accounts=total,
        answered=total - reasons.get(Reason.DEADLINE, 0),
        successful=counts[ProcessingStatus.SUCCESSFUL],
        partial=counts[ProcessingStatus.PARTIAL],
        failed=failed,
        threshold=settings.failure_threshold,
        reasons=reasons,
        mismatches=reasons.get(Reason.IDENTITY_MISMATCH),
        deadline=claim.window.deadline_at,
        is_delivered=True,
    )
    wrong = []
    if is_too_much(failed, total, settings.failure_threshold):
        wrong.append(Condition.FAILURE_SHARE)
    if reasons.get(Reason.IDENTITY_MISMATCH):
        wrong.append(Condition.IDENTITY_MISMATCH)
    if reasons.get(Reason.DEADLINE):
        wrong.append(Condition.DEADLINE_EXCEEDED)
    for condition in wrong:
        raise_alert(claim.ledger, claim.day, condition, facts)
    recover(claim.ledger, claim.day, Cure.DELIVERED if wrong else Cure.GOOD, facts)
    if settings.delivery_note:
        note_delivery(claim.ledger, claim.day, facts)
