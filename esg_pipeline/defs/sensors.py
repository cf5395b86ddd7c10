"""The second net: sensors that watch the day, stop what runs too long, and find lost workers.

Each looks at the ledger and at Dagster's runs and acts; the rules are those of `daily_run.watch`.
What these sensors do must be harmless when done twice: a sensor may be late, early or behind.
"""

import json
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from esg_pipeline import clock
from esg_pipeline.alerts import Condition, count_unsent, send_due
from esg_pipeline.alerts.bounded import run_bounded
from esg_pipeline.daily_run.endings import ending_named
from esg_pipeline.daily_run.watch import Trouble, days_to_judge, judge_day, raise_troubles
from esg_pipeline.defs.failed_step import OUTCOME_TAG
from esg_pipeline.defs.schedule import daily_esg_ratings
from esg_pipeline.defs.this_run import is_scheduled
from esg_pipeline.ledger import (
    Edition,
    LeaseHolder,
    Ledger,
    LedgerUnavailable,
)
from esg_pipeline.ledger.process_identity import this_process
from esg_pipeline.observability.metrics import push_outbox_depth
from esg_pipeline.observability.safe_records import keep_last_resort_safe
from esg_pipeline.safe_text import without_secrets
from esg_pipeline.settings import Settings, load_settings

log = logging.getLogger(__name__)

ACTIVE = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
STOPPED_TAG = "esg/stopped_at_deadline"
"""Run tag with the run's own id; a run that is started again from that one inherits the tag."""
START_GRACE = timedelta(minutes=2)
"""A run may take so long from its start to its lease before it counts as lost."""
TERMINATE_S = 10.0
RETRY_GRACE = timedelta(minutes=5)
"""A retry that Dagster has promised must be there after so long."""
DAYS_LOOKED_BACK = 2


@contextmanager
def _ledger() -> Iterator[tuple[Ledger, Settings]]:
    keep_last_resort_safe()
    with without_secrets():  # Dagster keeps the error of a tick
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
    description="From 05:15 Central: has a run of the day begun to work? At 09:00: is it there? "
    "And was a day missed altogether?",
)
def start_watch(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Raise what is wrong with the day, by the ledger: not by ticks, which prove nothing."""
    now = clock.now_utc()
    today = clock.business_date(now)
    said = []
    with _ledger() as (ledger, settings):
        for day in days_to_judge(ledger, today):
            troubles = judge_day(ledger, settings, day, now)
            raise_troubles(ledger, day, troubles)
            said += [f"{day}: {each.condition}: {each.cause}" for each in troubles]
        send_due(ledger, settings, now, dagster_url=settings.dagster_url)
    return dg.SkipReason("; ".join(said) or f"{today}: nothing is wrong")


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="At its deadline whatever still runs is terminated.",
)
def hard_stop(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Terminate runs past their deadline; one that ignores it is canceled and killed next time."""
    now = clock.now_utc()
    stopped = []
    with _ledger() as (ledger, settings):
        for record in _active_runs(context.instance):
            run, day = record.dagster_run, _day_of(record.dagster_run)
            if day is None:
                continue
            edition = _edition_of(ledger, run, day)
            deadline = _deadline(settings, run, day, edition)
            if deadline is None or now < deadline:
                continue
            stopped.append(run.run_id)
            # The worker first: a frozen one may keep the ledger locked too.
            _stop(context.instance, run, ledger.leases.holder(day))
            _tell_of(ledger, run, day, edition)
        send_due(ledger, settings, now, dagster_url=settings.dagster_url)
    return dg.SkipReason(f"terminated: {', '.join(stopped)}" if stopped else "nothing runs late")


def _tell_of(ledger: Ledger, run: dg.DagsterRun, day: date, edition: Edition | None) -> None:
    wanted = edition or ledger.editions.newest_delivered(day)
    if wanted is not None and wanted.delivered_at is not None:
        return
    cause = f"run {run.run_id} still ran at its deadline and was terminated"
    try:
        raise_troubles(ledger, day, [Trouble(Condition.DEADLINE_EXCEEDED, cause)])
    except LedgerUnavailable as error:  # it must not keep other runs running
        log.error("%s: that %s waits for the ledger: %s", day, cause, error)


def _edition_of(ledger: Ledger, run: dg.DagsterRun, day: date) -> Edition | None:
    return next((each for each in ledger.editions.of_day(day) if each.run_id == run.run_id), None)


def _deadline(
    settings: Settings, run: dg.DagsterRun, day: date, edition: Edition | None
) -> datetime | None:
    """The deadline the run gave itself, or the day's if the schedule's run never got so far."""
    if edition is not None:
        return edition.deadline_at
    if is_scheduled(run):
        return clock.central_time(day, settings.report_deadline)
    return None


def _stop(instance: dg.DagsterInstance, run: dg.DagsterRun, holder: LeaseHolder | None) -> None:
    """Tell the run to end; one that was told before is killed, and canceled in any case."""
    try:
        if run.tags.get(STOPPED_TAG) != run.run_id:
            instance.add_run_tags(run.run_id, {STOPPED_TAG: run.run_id, "dagster/max_retries": "0"})
            instance.report_run_canceling(run)
            if _signal_worker(run, holder, signal.SIGTERM) or _terminate(instance, run):
                return
        _cancel(instance, run, holder)
    except Exception as error:  # a run that resists must not keep the others running
        log.error("run %s is not stopped yet: %s", run.run_id, type(error).__name__)


def _cancel(instance: dg.DagsterInstance, run: dg.DagsterRun, holder: LeaseHolder | None) -> None:
    message = "It ran past its deadline and did not end when told to."
    try:
        instance.report_run_canceled(run, message)
    except Exception:  # a frozen worker may keep Dagster's database locked
        _signal_worker(run, holder, signal.SIGKILL)
        instance.report_run_canceled(run, message)
    _signal_worker(run, holder, signal.SIGKILL)


def _terminate(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Let Dagster do it. Its code server waits for a frozen worker without end; we do not."""

    def terminate() -> bool:
        try:
            return bool(instance.run_launcher.terminate(run.run_id))
        except Exception as error:  # the server that launched it is gone
            log.warning("Dagster cannot end run %s: %s", run.run_id, type(error).__name__)
            return False

    return run_bounded({run.run_id: terminate}, timeout_s=TERMINATE_S).get(run.run_id, False)


def _signal_worker(
    run: dg.DagsterRun, holder: LeaseHolder | None, signal_number: signal.Signals
) -> bool:
    """Signal the run's process, if it is one of this machine: Dagster cannot reach all of them."""
    if holder is None or holder.run_id != run.run_id or holder.is_dead:
        return False
    machine = this_process().machine
    if not machine or holder.process.machine != machine:
        return False
    try:
        os.kill(holder.process.pid, signal_number)
    except OSError:  # it has just ended, or is another user's
        return False
    return True


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
        if _is_busy(ledger):  # hearts beat again some seconds later, so the two looks begin anew
            return dg.SensorResult(skip_reason="the ledger is being written to", cursor="[]")
        for record in _active_runs(context.instance):
            run, day = record.dagster_run, _day_of(record.dagster_run)
            if day is None or not _is_old_enough(record, now):
                continue
            holder = ledger.leases.holder(day)
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


def _is_busy(ledger: Ledger) -> bool:
    """Somebody alive writes for long, such as a slow publish on SQLite: heartbeats wait for it."""
    try:
        with ledger.transaction():
            return False
    except LedgerUnavailable:
        return True


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
            if day is None or _is_retried(record, now) or not _needs_a_word(ledger, run, day):
                continue
            found += 1
            cause = f"run {run.run_id} failed; its page in Dagster says why"
            raise_troubles(ledger, day, [Trouble(Condition.RUN_FAILED, cause)])
        report = send_due(ledger, settings, now, dagster_url=settings.dagster_url)
        push_outbox_depth(settings, count_unsent(ledger, settings))
    return dg.SkipReason(f"failed runs without a delivery: {found}; {report}")


def _is_retried(record: dg.RunRecord, now: datetime) -> bool:
    """Whether Dagster starts the run again; one of the command line it cannot, whatever it says."""
    run = record.dagster_run
    if run.tags.get("dagster/will_retry") != "true" or run.remote_job_origin is None:
        return False
    ended = datetime.fromtimestamp(record.end_time or now.timestamp(), UTC)
    return "dagster/auto_retry_run_id" in run.tags or now - ended < RETRY_GRACE


def _needs_a_word(ledger: Ledger, run: dg.DagsterRun, day: date) -> bool:
    """Whether a failed run left its day undone, has told nobody, and no later run took over."""
    outcome = run.tags.get(OUTCOME_TAG)
    if outcome is not None and (
        ending_named(outcome).condition is None or ledger.outbox.alerts(day)
    ):
        return False
    editions = ledger.editions.of_day(day)
    if not editions:
        return True
    return editions[-1].run_id == run.run_id and editions[-1].delivered_at is None
