"""The 05:00 schedule by Dagster's own scheduler, on a clock that the test moves."""

import logging
import os
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from functools import partial

import dagster as dg
import pytest
from dagster._core.events import JobFailureData, RunFailureReason
from dagster._daemon.monitoring.run_monitoring import check_run_timeout

from esg_pipeline.clock import now_utc
from esg_pipeline.defs.schedule import every_day_at_five
from esg_pipeline.defs.this_run import SCHEDULED_TAG
from esg_pipeline.ledger import Edition, Ledger
from esg_pipeline.sandbox import Sandbox, start_sandbox
from esg_pipeline_tests.defs import edited_schedules
from esg_pipeline_tests.mornings import DAY, at
from esg_pipeline_tests.servers.orchestrator import (
    LAUNCH_NOTHING,
    RUN_HERE,
    Orchestrator,
    loaded_here,
    open_instance,
)

SPRING, AUTUMN = date(2026, 3, 8), date(2026, 11, 1)
"""02:00 becomes 03:00, and 02:00 becomes 01:00."""
ONE_DAY = timedelta(days=1)
log = logging.getLogger(__name__)
ACCOUNTS = 20

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",  # Dagster uses much that is deprecated, its own too
)


@pytest.fixture(scope="module")
def firm(servers, tmp_path_factory) -> Iterator[Sandbox]:
    with start_sandbox(tmp_path_factory.mktemp("firm"), accounts=ACCOUNTS) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def _settings(tmp_path, firm, monkeypatch) -> None:
    for name in [name for name in os.environ if name.startswith("ESG_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    for name, value in {**firm.env(), "ESG_API_RATE_LIMIT": "500"}.items():
        monkeypatch.setenv(name, value)
    firm.heal()


@pytest.fixture
def instance(tmp_path) -> Iterator[dg.DagsterInstance]:
    """Runs wait in the queue."""
    with open_instance(tmp_path / "home", {}) as instance:
        yield instance


@pytest.fixture
def instance_that_runs(tmp_path) -> Iterator[dg.DagsterInstance]:
    """Runs are executed at once, in this process, so that the moved clock is theirs too."""
    with open_instance(tmp_path / "home", RUN_HERE) as instance:
        yield instance


@pytest.fixture
def start_daemon() -> Iterator[Callable[..., Orchestrator]]:
    """Start the scheduler; what is deployed may be another module's attribute."""
    running: list[Orchestrator] = []

    def start(instance: dg.DagsterInstance, *deployed: str) -> Orchestrator:
        running.append(Orchestrator(instance, loaded_here(*deployed)).__enter__())
        return running[-1]

    yield start
    for daemon in running:
        daemon.__exit__(None, None, None)


@pytest.fixture
def look_at(time_machine) -> Callable[[Orchestrator, datetime], None]:
    """Let the daemon look at its schedules at a time of the moved clock."""

    def look(daemon: Orchestrator, now: datetime) -> None:
        time_machine.move_to(now)
        daemon.evaluate_schedules(now)

    return look


def runs(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    return sorted(instance.get_runs(), key=lambda run: run.tags["esg/tick"])


def dates(instance: dg.DagsterInstance) -> list[str]:
    return [run.tags["dagster/partition"] for run in runs(instance)]


@pytest.fixture
def editions(tmp_path) -> Callable[[date], list[Edition]]:
    def read(day: date) -> list[Edition]:
        ledger = Ledger.open(f"sqlite:///{tmp_path}/home/ledger.db")
        try:
            return ledger.editions.of_day(day)
        finally:
            ledger.close()

    return read


@pytest.fixture
def alerts(tmp_path) -> Callable[[date], set[str]]:
    def read(day: date) -> set[str]:
        ledger = Ledger.open(f"sqlite:///{tmp_path}/home/ledger.db")
        try:
            return {each.condition for each in ledger.outbox.alerts(day)}
        finally:
            ledger.close()

    return read


def test_a_morning_has_one_run_of_its_own_date_at_0500_local(instance, start_daemon, look_at):
    daemon = start_daemon(instance)
    for day, five_utc in ((SPRING, 10), (DAY, 10), (AUTUMN - ONE_DAY, 10), (AUTUMN, 11)):
        look_at(daemon, at("20:00", day - ONE_DAY))
        before = dates(instance)
        assert day.isoformat() not in before, "that evening is the next day in UTC"
        look_at(daemon, at("04:59:59", day))
        assert dates(instance) == before
        for clock in ("05:00:00", "05:00:01", "05:01", "06:00", "19:00", "23:59:59"):
            look_at(daemon, at(clock, day))
            assert dates(instance) == [*before, day.isoformat()]
        run = runs(instance)[-1]
        assert run.tags["esg/tick"] == f"{day}T{five_utc:02}:00:00+00:00"
        assert run.tags[SCHEDULED_TAG] == "true"


@pytest.mark.parametrize("day", [SPRING, AUTUMN])
def test_the_scheduled_run_delivers_with_the_deadline_at_0900_local(
    instance_that_runs, start_daemon, look_at, editions, day
):
    daemon = start_daemon(instance_that_runs)
    look_at(daemon, at("20:00", day - ONE_DAY))
    look_at(daemon, at("05:00:01", day))
    (run,) = runs(instance_that_runs)
    assert run.status is dg.DagsterRunStatus.SUCCESS
    (edition,) = editions(day)
    assert edition.label == "scheduled"
    assert edition.deadline_at == at("09:00", day)
    assert edition.successful == ACCOUNTS


def test_a_daemon_that_wakes_late_starts_the_day_once_and_keeps_its_deadline(
    instance_that_runs, start_daemon, look_at, editions
):
    look_at(start_daemon(instance_that_runs), at("20:00", DAY - ONE_DAY))
    for clock in ("07:30", "07:31"):
        look_at(start_daemon(instance_that_runs), at(clock))
    (run,) = runs(instance_that_runs)
    assert run.status is dg.DagsterRunStatus.SUCCESS
    (edition,) = editions(DAY)
    assert edition.label == "late"
    assert edition.deadline_at == at("09:00")


def test_a_daemon_that_wakes_after_the_window_refuses_the_day_and_people_hear_it(
    instance_that_runs, start_daemon, look_at, editions, alerts, firm
):
    look_at(start_daemon(instance_that_runs), at("20:00", DAY - ONE_DAY))
    daemon = start_daemon(instance_that_runs)
    daemon.retry_failed_runs()
    for clock in ("09:30", "09:31"):
        look_at(daemon, at(clock))
        daemon.retry_failed_runs()
    (run,) = runs(instance_that_runs)
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert editions(DAY) == []
    assert firm.counts().total == 0
    assert alerts(DAY) == {"not_started", "deadline_exceeded"}


@pytest.mark.parametrize("begun_at", ["05:00:01", "09:30"])
def test_a_person_may_start_the_days_run_again_on_dagsters_page(
    instance_that_runs, start_daemon, look_at, editions, time_machine, begun_at
):
    """Whether it had delivered or refused; the tags of the schedule's run come with it."""
    daemon = start_daemon(instance_that_runs)
    look_at(daemon, at("20:00", DAY - ONE_DAY))
    look_at(daemon, at(begun_at))
    (run,) = runs(instance_that_runs)
    before = len(editions(DAY))
    time_machine.move_to(at("10:00"))
    daemon.start(daemon.create_run_again(run))
    newest = editions(DAY)[-1]
    assert (newest.number, newest.label) == (before + 1, "manual")
    assert newest.delivered_at is not None


def test_of_several_missed_mornings_dagster_starts_only_the_newest(instance, start_daemon, look_at):
    """The others are told by `start_watch`, and made up by hand."""
    look_at(start_daemon(instance), at("20:00", DAY - timedelta(days=3)))
    look_at(start_daemon(instance), at("07:00"))
    assert dates(instance) == [DAY.isoformat()]


@pytest.mark.parametrize("deployed", ["at_half_past_six", "at_five_in_other_words"])
def test_a_cron_text_edited_at_0600_starts_no_second_run(instance, start_daemon, look_at, deployed):
    daemon = start_daemon(instance)
    look_at(daemon, at("20:00", DAY - ONE_DAY))
    look_at(daemon, at("05:00:01"))
    edited = start_daemon(instance, edited_schedules.__name__, deployed)
    for clock in ("06:00", "06:30:01", "12:00"):
        look_at(edited, at(clock))
    assert dates(instance) == [DAY.isoformat()]
    look_at(edited, at("07:00", DAY + ONE_DAY))
    assert len(dates(instance)) == 2, "the next day has its run"


def test_the_day_comes_before_whatever_else_waits_in_the_queue(tmp_path, start_daemon, look_at):
    with open_instance(tmp_path / "home", LAUNCH_NOTHING) as instance:
        daemon = start_daemon(instance)
        look_at(daemon, at("04:00"))
        for back in range(1, 6):
            daemon.start(daemon.create_run(DAY - back * ONE_DAY))
        look_at(daemon, at("05:00:01"))
        daemon.launch_what_waits()
        waiting = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))
        assert len(waiting) == 2
        assert DAY.isoformat() not in {run.tags["dagster/partition"] for run in waiting}


def test_two_daemons_start_one_run(instance, start_daemon, look_at):
    daemons = [start_daemon(instance), start_daemon(instance)]
    for clock in ("04:59", "05:00:01", "05:00:02"):
        for daemon in daemons:
            look_at(daemon, at(clock))
    assert dates(instance) == [DAY.isoformat()]


def test_a_tick_that_died_after_it_made_the_run_makes_no_other(instance, time_machine):
    """The scheduler asks again for the same tick, and knows its run by the key."""
    evaluate = partial(
        dg.build_schedule_context, instance=instance, scheduled_execution_time=at("05:00")
    )
    first = every_day_at_five(evaluate())
    assert isinstance(first, dg.RunRequest)
    instance.create_run_for_job(
        edited_schedules.deployed("0 5 * * *").resolve_job_def("daily_esg_ratings"),
        tags={**first.tags, "dagster/partition": DAY.isoformat()},
    )
    again = every_day_at_five(evaluate())
    assert isinstance(again, dg.RunRequest)
    assert again.run_key == first.run_key


def test_a_firms_own_dagster_settings_neither_cut_a_run_short_nor_repeat_a_refusal(
    tmp_path, start_daemon, time_machine
):
    firms = {
        "run_retries": {"enabled": True, "max_retries": 5, "retry_on_asset_or_op_failure": True},
        "run_monitoring": {"enabled": True, "max_runtime_seconds": 60},
    }
    with open_instance(tmp_path / "home", firms) as instance:
        run = start_daemon(instance).create_run(DAY)
        instance.report_dagster_event(
            dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name), run.run_id
        )
        time_machine.move_to(now_utc() + ONE_DAY)
        check_run_timeout(instance, instance.get_run_record_by_id(run.run_id), log, 60.0)
        assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.STARTED
        refusal = JobFailureData(error=None, failure_reason=RunFailureReason.STEP_FAILURE)
        instance.report_run_failed(run, job_failure_data=refusal)
        assert instance.get_run_by_id(run.run_id).tags["dagster/will_retry"] == "false"
