"""The second net: sensors that watch the day, stop what runs too long, and find lost workers.

Each looks at the ledger and at Dagster's runs and acts; the rules are `alerting.py`'s. What these
sensors do must be harmless when done twice, because a sensor may be late, early or behind.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from esg_pipeline import clock
from esg_pipeline.alerting import Finding, judge_day, raise_findings
from esg_pipeline.alerts import Condition, count_unsent, send_due
from esg_pipeline.assets import OUTCOME_TAG
from esg_pipeline.ledger import Ledger
from esg_pipeline.observability.metrics import push_outbox_depth
from esg_pipeline.resources import SCHEDULED_TAG
from esg_pipeline.schedule import daily_esg_ratings
from esg_pipeline.settings import Settings, load_settings

ACTIVE = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
STOPPED_TAG = "esg/stopped_at_deadline"
START_GRACE = timedelta(minutes=2)
"""A run may take so long from its start to its lease before it counts as lost."""
DAYS_LOOKED_BACK = 2


@contextmanager
def _ledger() -> Iterator[tuple[Ledger, Settings]]:
    settings = load_settings()
    ledger = Ledger.open(settings.ledger_location)
    try:
        yield ledger, settings
    finally:
        ledger.close()


def _active_runs(instance: dg.DagsterInstance) -> list[dg.RunRecord]:
    filters = dg.RunsFilter(job_name=daily_esg_ratings.name, statuses=ACTIVE)
    return list(instance.get_run_records(filters))


def _day_of(run: dg.DagsterRun) -> date | None:
    partition = run.tags.get("dagster/partition")
    return date.fromisoformat(partition) if partition else None


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="From 05:15 Central: has a run of the day begun to work? At 09:00: is it there?",
)
def start_watch(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Raise what is wrong with the day, by the ledger: not by ticks, which prove nothing."""
    now = clock.now_utc()
    day = clock.business_date(now)
    with _ledger() as (ledger, settings):
        findings = judge_day(ledger, settings, day, now)
        raise_findings(ledger, day, findings)
        send_due(ledger, settings, now, dagster_url=settings.dagster_url)
    return dg.SkipReason(_said(day, findings))


def _said(day: date, findings: list[Finding]) -> str:
    if not findings:
        return f"{day}: nothing is wrong"
    return f"{day}: " + "; ".join(f"{each.condition}: {each.cause}" for each in findings)


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="At its deadline whatever still runs is terminated.",
)
def hard_stop(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Terminate runs past their deadline; one that ignores it is marked canceled next time."""
    now = clock.now_utc()
    stopped = []
    with _ledger() as (ledger, settings):
        for record in _active_runs(context.instance):
            run, day = record.dagster_run, _day_of(record.dagster_run)
            deadline = None if day is None else _deadline(ledger, settings, run, day)
            if day is None or deadline is None or now < deadline:
                continue
            _stop(context.instance, run)
            stopped.append(run.run_id)
            cause = f"run {run.run_id} still ran at its deadline and was terminated"
            raise_findings(ledger, day, [Finding(Condition.DEADLINE_EXCEEDED, cause)])
        send_due(ledger, settings, now, dagster_url=settings.dagster_url)
    return dg.SkipReason(f"terminated: {', '.join(stopped)}" if stopped else "nothing runs late")


def _deadline(ledger: Ledger, settings: Settings, run: dg.DagsterRun, day: date) -> datetime | None:
    """The deadline the run gave itself, or the day's if the schedule's run never got so far."""
    for edition in reversed(ledger.editions(day)):
        if edition.run_id == run.run_id:
            return edition.deadline_at
    if run.tags.get(SCHEDULED_TAG) == "true":
        return clock.central_time(day, settings.report_deadline)
    return None


def _stop(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    if STOPPED_TAG not in run.tags:
        instance.add_run_tags(run.run_id, {STOPPED_TAG: "true", "dagster/max_retries": "0"})
        if instance.run_launcher.terminate(run.run_id):
            return
    instance.report_run_canceled(run, "It ran past its deadline and did not end when told to.")


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Runs whose worker is gone are marked failed, so that Dagster's retry goes on.",
)
def lost_workers(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """A run is lost when, at two looks in a row, nobody alive holds its date in its name."""
    now = clock.now_utc()
    seen_before = set(json.loads(context.cursor or "[]"))
    suspects, lost = [], []
    with _ledger() as (ledger, _):
        for record in _active_runs(context.instance):
            run, day = record.dagster_run, _day_of(record.dagster_run)
            if day is None or not _is_old_enough(record, now):
                continue
            holder = ledger.holder(day)
            if holder and holder.run_id == run.run_id and not holder.may_be_replaced:
                continue
            if run.run_id not in seen_before:
                suspects.append(run.run_id)
                continue
            lost.append(run.run_id)
            message = "Its worker is gone: no heartbeat of it is in the ledger."
            if run.status == dg.DagsterRunStatus.CANCELING:
                context.instance.report_run_canceled(run, message)
            else:
                context.instance.report_run_failed(run, message)
    said = f"lost: {', '.join(lost)}" if lost else "every run has a living worker"
    return dg.SensorResult(skip_reason=said, cursor=json.dumps(suspects))


def _is_old_enough(record: dg.RunRecord, now: datetime) -> bool:
    if record.start_time is None:
        return False
    return now - datetime.fromtimestamp(record.start_time, UTC) > START_GRACE


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Failed runs that nobody heard of, and alerts that are not sent yet.",
)
def alert_reconciler(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Raise what the job could not raise itself; the outbox keeps it to once a condition."""
    now = clock.now_utc()
    found = 0
    filters = dg.RunsFilter(
        job_name=daily_esg_ratings.name,
        statuses=[dg.DagsterRunStatus.FAILURE],
        updated_after=now - timedelta(days=DAYS_LOOKED_BACK),
    )
    with _ledger() as (ledger, settings):
        for record in context.instance.get_run_records(filters):
            run, day = record.dagster_run, _day_of(record.dagster_run)
            if day is None or not _needs_a_word(ledger, run, day):
                continue
            found += 1
            cause = f"run {run.run_id} failed; its page in Dagster says why"
            raise_findings(ledger, day, [Finding(Condition.RUN_FAILED, cause)])
        report = send_due(ledger, settings, now, dagster_url=settings.dagster_url)
        push_outbox_depth(settings, count_unsent(ledger, settings))
    return dg.SkipReason(f"failed runs without a delivery: {found}; {report}")


def _needs_a_word(ledger: Ledger, run: dg.DagsterRun, day: date) -> bool:
    """Whether a failed run left its day undone, and said nothing itself."""
    if run.tags.get("dagster/will_retry") == "true" or OUTCOME_TAG in run.tags:
        return False
    editions = ledger.editions(day)
    return not editions or editions[-1].delivered_at is None
