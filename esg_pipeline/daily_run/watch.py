"""What somebody who watches the day from outside its run finds wrong with it.

Sensors and the watchdog share these rules. They look at the effect, in the ledger, not at what
should have caused it; they write to the outbox, send nothing and touch no run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from esg_pipeline import clock
from esg_pipeline.alerts import AlertFacts, Condition, raise_alert
from esg_pipeline.ledger import Edition, Ledger
from esg_pipeline.settings import Settings

MISSED_DAYS_TOLD = 7
NEVER_BEGAN = "no run of the date has begun to work"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What somebody who watches the day finds wrong with it."""

    condition: Condition
    cause: str


def days_to_judge(ledger: Ledger, today: date) -> list[date]:
    """Today, and before it the days since the schedule last worked: Dagster starts none of them.

    At most a week back; none on an installation whose schedule has not worked yet.
    """
    worked = (
        each.day
        for each in ledger.editions.recent_days(MISSED_DAYS_TOLD + 1)
        if each.label != "manual"
    )
    last = max((day for day in worked if day < today), default=today)
    missed = min(MISSED_DAYS_TOLD, max(0, (today - last).days - 1))
    return [today - timedelta(days=back) for back in range(missed, -1, -1)]


def judge_day(ledger: Ledger, settings: Settings, day: date, now: datetime) -> list[Trouble]:
    """Look at the effect, not at the scheduler: has a run of the day begun, is it delivered?

    Args:
        now: Aware.
    """
    editions = ledger.editions.of_day(day)
    if any(edition.delivered_at is not None for edition in editions):
        return []
    troubles = []
    if not editions and now >= clock.central_time(day, clock.START_WATCH):
        troubles.append(Trouble(Condition.NOT_STARTED, NEVER_BEGAN))
    if now >= clock.central_time(day, settings.report_deadline):
        standing = _standing(ledger, editions[-1]) if editions else NEVER_BEGAN
        troubles.append(Trouble(Condition.DEADLINE_EXCEEDED, standing))
    return troubles


def judge_silence(
    ledger: Ledger, day: date, now: datetime, silent_daemons: Sequence[str]
) -> list[Trouble]:
    """Judge what a silent Dagster daemon means for the day: nobody starts its run, or restarts it.

    Args:
        now: Aware.
        silent_daemons: One line each.
    """
    if not silent_daemons or now < clock.central_time(day, clock.SCHEDULED_START):
        return []
    editions = ledger.editions.of_day(day)
    cause = "; ".join(silent_daemons)
    if not editions:
        return [Trouble(Condition.NOT_STARTED, cause)]
    holder = ledger.leases.holder(day)
    if editions[-1].delivered_at is not None or (holder and not holder.may_be_replaced):
        return []
    return [Trouble(Condition.RUN_FAILED, f"{_standing(ledger, editions[-1])}; {cause}")]


def _standing(ledger: Ledger, edition: Edition) -> str:
    holder = ledger.leases.holder(edition.day)
    work = f"at work: {holder}" if holder else "no run is at work"
    return f"edition {edition.number} is {edition.state.value} and not delivered; {work}"


def raise_troubles(ledger: Ledger, day: date, troubles: list[Trouble]) -> None:
    """Put what was found into the outbox, once a date and condition."""
    editions = ledger.editions.of_day(day)
    run_id = editions[-1].run_id if editions else None
    for trouble in troubles:
        facts = AlertFacts(since=clock.now_utc(), run_id=run_id, cause=trouble.cause)
        raise_alert(ledger, day, trouble.condition, facts)
