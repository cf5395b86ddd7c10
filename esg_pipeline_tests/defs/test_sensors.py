"""The sensors: they watch the day, stop what is late, find lost workers, and say it once."""

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

from esg_pipeline import clock
from esg_pipeline.defs.failed_step import OUTCOME_TAG
from esg_pipeline.defs.sensors import (
    RETRY_GRACE,
    START_GRACE,
    alert_reconciler,
    hard_stop,
    lost_workers,
    start_watch,
)
from esg_pipeline.defs.this_run import SCHEDULED_TAG
from esg_pipeline.ledger import Ledger
from esg_pipeline.sandbox import Sandbox, start_sandbox
from esg_pipeline.settings import load_settings
from esg_pipeline_tests.end_to_end.job import Job, check_invariants
from esg_pipeline_tests.mornings import DAY, at, at_work, deliver
from esg_pipeline_tests.servers.freezing import freeze_between_two_writes
from esg_pipeline_tests.servers.orchestrator import (
    RUN_HERE,
    RUN_IN_WORKERS,
    CodeServer,
    Orchestrator,
    loaded_here,
    open_instance,
)
from esg_pipeline_tests.servers.waiting import wait_until

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",  # Dagster uses much that is deprecated, its own too
)

ACCOUNTS = 60
SLOWLY = {"ESG_API_RATE_LIMIT": "1", "ESG_API_MAX_CONCURRENCY": "1"}
"""Such a run lasts a minute, unless it is ended."""
QUICKLY = {"ESG_API_RATE_LIMIT": "500", "ESG_API_MAX_CONCURRENCY": "64"}
AT_MOST_REPEATED = 3
"""The call in flight, and what was begun ahead of its call in two seconds of such a run."""
OTHER_DAY = DAY + timedelta(days=1)
TODAY = str(DAY)


@pytest.fixture(scope="module")
def shared_firm(servers, tmp_path_factory) -> Iterator[Sandbox]:
    with start_sandbox(tmp_path_factory.mktemp("firm"), accounts=ACCOUNTS) as sandbox:
        yield sandbox


@pytest.fixture
def firm(shared_firm) -> Sandbox:
    shared_firm.heal()
    return shared_firm


@pytest.fixture
def home(tmp_path) -> Path:
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def _environment(tmp_path, home, receivers, firm, monkeypatch) -> None:
    for name in [name for name in os.environ if name.startswith("ESG_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    ours = {"DAGSTER_HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "yes"}
    for name, value in {**ours, **firm.env(), **receivers.env(), **QUICKLY}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def launcher() -> dict:
    """How this test's runs are started."""
    return RUN_HERE


@pytest.fixture
def instance(home, launcher) -> Iterator[dg.DagsterInstance]:
    with open_instance(home, launcher) as instance:
        yield instance


@pytest.fixture
def ledger(home, instance) -> Iterator[Ledger]:
    ledger = Ledger.open(f"sqlite:///{home}/ledger.db")
    yield ledger
    ledger.close()


@pytest.fixture
def look(instance) -> Callable[..., str]:
    """Let a sensor look once; return what it said. Cursors are kept for it as the daemon does."""
    cursors: dict[str, str | None] = {}

    def look(sensor: dg.SensorDefinition) -> str:
        context = dg.build_sensor_context(instance, cursor=cursors.get(sensor.name))
        result = sensor(context)
        if isinstance(result, dg.SensorResult):
            cursors[sensor.name] = result.cursor
            result = result.skip_reason
        return result.skip_message

    return look


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    return instance.get_run_by_id(run.run_id).status


def conditions(ledger: Ledger, day: date = DAY) -> set[str]:
    return {alert.condition for alert in ledger.outbox.alerts(day) if alert.resolved_at is None}


class TestStartWatch:
    def test_tells_at_0515_that_nobody_has_begun_once_and_that_it_is_over(
        self, look, instance, receivers, time_machine
    ):
        time_machine.move_to(at("05:14:59"))
        assert look(start_watch) == f"{DAY}: nothing is wrong"
        assert receivers.mails() == {}
        for clock_time in ("05:15", "05:16"):
            time_machine.move_to(at(clock_time))
            assert "not_started: no run of the date has begun to work" in look(start_watch)
        assert receivers.mails() == receivers.opened() == {(TODAY, "not_started"): 1}
        time_machine.move_to(at("05:20"))
        with Orchestrator(instance) as dagster:
            dagster.start(dagster.create_run(DAY, **{SCHEDULED_TAG: "true"}))
        assert receivers.open_now() == set()
        assert receivers.mails() == {(TODAY, "not_started"): 1, (TODAY, "recovered"): 1}
        time_machine.move_to(at("09:01"))
        assert look(start_watch) == f"{DAY}: nothing is wrong"

    def test_tells_of_days_that_nobody_was_there_to_start(
        self, look, ledger, receivers, time_machine
    ):
        time_machine.move_to(at("05:00", DAY - timedelta(days=3)))
        with at_work(ledger, load_settings(), DAY - timedelta(days=3)) as claim:
            deliver(claim)
        time_machine.move_to(at("05:01"))
        look(start_watch)
        assert {each for each in receivers.open_now() if each[1] == "not_started"} == {
            (str(DAY - timedelta(days=2)), "not_started"),
            (str(DAY - timedelta(days=1)), "not_started"),
        }


class TestAlertReconciler:
    @pytest.fixture
    def dagster(self, instance) -> Iterator[Orchestrator]:
        with Orchestrator(instance) as dagster:
            yield dagster

    @pytest.fixture
    def fail(self, instance, dagster) -> Callable[..., dg.DagsterRun]:
        """A run that failed, by no doing of its own."""

        def fail(*, day: date = DAY, **tags: str) -> dg.DagsterRun:
            run = dagster.create_run(day, **{"dagster/max_retries": "0", **tags})
            instance.report_run_failed(run)
            return run

        return fail

    def test_tells_of_a_failed_run_that_nobody_told_of_once(self, look, fail, receivers):
        run = fail()
        for _ in range(3):
            look(alert_reconciler)
        assert receivers.mails() == receivers.opened() == {(TODAY, "run_failed"): 1}
        assert run.run_id in receivers.mail.received[0].text

    def test_leaves_a_run_alone_that_told_it_itself(self, look, fail, ledger):
        ledger.outbox.raise_alert(DAY, "unauthorized", {"since": at("05:01").isoformat()})
        fail(**{OUTCOME_TAG: "ApiUnauthorized"})
        look(alert_reconciler)
        assert conditions(ledger) == {"unauthorized"}

    def test_tells_of_one_that_died_before_it_could_tell(self, look, fail, ledger):
        fail(**{OUTCOME_TAG: "ApiUnauthorized"})
        look(alert_reconciler)
        assert conditions(ledger) == {"run_failed"}

    @pytest.mark.parametrize("outcome", ["LeaseHeld", "LeaseLost", "NothingToAskAgain"])
    def test_says_nothing_of_endings_that_harm_nobody(self, look, fail, ledger, outcome):
        fail(**{OUTCOME_TAG: outcome})
        look(alert_reconciler)
        assert conditions(ledger) == set()

    def test_waits_for_a_promised_retry_and_not_for_ever(
        self, look, fail, instance, ledger, time_machine
    ):
        run = fail(**{"dagster/max_retries": "3"})
        assert instance.get_run_by_id(run.run_id).tags["dagster/will_retry"] == "true"
        look(alert_reconciler)
        assert conditions(ledger) == set()
        time_machine.move_to(clock.now_utc() + RETRY_GRACE)
        look(alert_reconciler)
        assert conditions(ledger) == {"run_failed"}

    def test_says_nothing_of_a_run_that_was_started_again(
        self, look, fail, instance, ledger, time_machine
    ):
        run = fail(**{"dagster/max_retries": "3"})
        instance.add_run_tags(run.run_id, {"dagster/auto_retry_run_id": "the retry"})
        time_machine.move_to(clock.now_utc() + RETRY_GRACE)
        look(alert_reconciler)
        assert conditions(ledger) == set()

    def test_an_old_failure_does_not_come_back_with_a_later_correction(self, look, fail, ledger):
        """The day was delivered after it; then somebody asks again for the Failed accounts."""
        run = fail()
        settings = load_settings()
        with at_work(ledger, settings, run_id=run.run_id, scheduled=False):
            pass
        look(alert_reconciler)
        assert conditions(ledger) == {"run_failed"}
        with at_work(ledger, settings, run_id="by hand", scheduled=False) as claim:
            deliver(claim)
            ledger.outbox.resolve_alert(DAY, "run_failed", {"since": clock.now_utc().isoformat()})
        with at_work(ledger, settings, run_id="correction", scheduled=False):
            look(alert_reconciler)
        assert conditions(ledger) == set()

    def test_a_run_that_failed_after_its_delivery_is_no_bad_morning(self, look, fail, ledger):
        run = fail()
        with at_work(ledger, load_settings(), run_id=run.run_id, scheduled=False) as claim:
            deliver(claim)
        look(alert_reconciler)
        assert conditions(ledger) == set()

    def test_sends_what_a_dead_run_raised_and_did_not_send(self, look, ledger, receivers):
        ledger.outbox.raise_alert(DAY, "failure_share", {"since": at("06:00").isoformat()})
        look(alert_reconciler)
        assert receivers.mails() == receivers.opened() == {(TODAY, "failure_share"): 1}


class TestKnownEndings:
    def test_are_told_once_and_never_started_again(
        self, look, instance, ledger, receivers, monkeypatch
    ):
        monkeypatch.setenv("ESG_API_TOKEN", "expired")
        with Orchestrator(instance) as dagster:
            dagster.retry_failed_runs()
            run = dagster.create_run(DAY)
            dagster.start(run)
            assert status(instance, run) is dg.DagsterRunStatus.FAILURE
            dagster.retry_failed_runs()
        assert instance.get_runs_count() == 1
        look(alert_reconciler)
        assert receivers.mails() == receivers.opened() == {(TODAY, "unauthorized"): 1}


def test_a_retry_of_what_had_delivered_does_nothing_and_is_no_bad_ending(
    look, instance, firm, receivers
):
    with Orchestrator(instance) as dagster:
        dagster.retry_failed_runs()
        run = dagster.create_run(DAY)
        dagster.start(run)
        assert status(instance, run) is dg.DagsterRunStatus.SUCCESS
        firm.reset()
        instance.report_run_failed(run, "Its machine went down after the delivery.")
        dagster.retry_failed_runs()
    (retry,) = [each for each in instance.get_runs() if each.run_id != run.run_id]
    assert retry.status is dg.DagsterRunStatus.SUCCESS
    look(alert_reconciler)
    assert firm.counts().total == 0
    assert receivers.mails() == receivers.opened() == {}


def test_a_run_that_finds_its_date_held_makes_no_call_and_is_no_bad_ending(
    look, instance, ledger, firm, receivers
):
    with Orchestrator(instance) as dagster, at_work(ledger, load_settings(), scheduled=False):
        run = dagster.create_run(DAY)
        dagster.start(run)
        assert status(instance, run) is dg.DagsterRunStatus.SUCCESS
        look(alert_reconciler)
    assert firm.counts().total == 0
    assert receivers.mails() == receivers.opened() == {}


class TestWorkers:
    """Real workers, started by Dagster's launcher through a code server."""

    @pytest.fixture
    def launcher(self) -> dict:
        return RUN_IN_WORKERS

    @pytest.fixture
    def start(self, ledger, monkeypatch) -> Callable[..., dg.DagsterRun]:
        """Launch a slow run and wait until it has answers."""

        def start(dagster: Orchestrator, day: date = DAY) -> dg.DagsterRun:
            run = dagster.create_run(day)
            dagster.start(run)
            wait_until(lambda: has_answers(ledger, day))
            return run

        return start

    def test_a_killed_worker_is_found_and_its_retry_goes_on_where_it_was(
        self, look, start, instance, ledger, firm, receivers, home, monkeypatch, time_machine
    ):
        for name, value in SLOWLY.items():
            monkeypatch.setenv(name, value)
        with CodeServer() as server, Orchestrator(instance, server.target) as dagster:
            dagster.retry_failed_runs()
            run = start(dagster)
            time_machine.move_to(clock.now_utc() + START_GRACE)
            for _ in range(3):
                assert look(lost_workers) == "every run has a living worker"
            server.kill()  # or it would see the end of its worker: a machine that went down
            worker = ledger.leases.holder(DAY).process
            os.kill(worker.pid, signal.SIGKILL)
            wait_until(worker.is_provably_dead)
            assert look(lost_workers) == "every run has a living worker"
            assert status(instance, run) is dg.DagsterRunStatus.STARTED
            assert look(lost_workers) == f"lost: {run.run_id}"
            assert status(instance, run) is dg.DagsterRunStatus.FAILURE
            look(alert_reconciler)
        for name, value in QUICKLY.items():
            monkeypatch.setenv(name, value)
        with open_instance(home, RUN_HERE) as same, Orchestrator(same) as restarted:
            restarted.retry_failed_runs()
        (retry,) = [each for each in instance.get_runs() if each.run_id != run.run_id]
        assert retry.parent_run_id == run.run_id
        assert status(instance, retry) is dg.DagsterRunStatus.SUCCESS
        check_invariants(Job(home, {}).delivered(), ACCOUNTS, firm)
        assert firm.counts().total - ACCOUNTS <= AT_MOST_REPEATED
        assert receivers.mails() == {}

    def test_what_runs_at_its_deadline_is_terminated_or_killed_and_not_started_again(
        self, look, start, instance, ledger, receivers, home, firm, monkeypatch
    ):
        firm.set_faults(latency_s=1.0)  # slow as it is, so that three dates can share a limit
        for name, value in {**SLOWLY, "ESG_API_RATE_LIMIT": "30"}.items():
            monkeypatch.setenv(name, value)
        with CodeServer() as server, Orchestrator(instance, server.target) as dagster:
            dagster.retry_failed_runs()
            drained = start(dagster, DAY - timedelta(days=1))
            os.kill(ledger.leases.holder(DAY - timedelta(days=1)).process.pid, signal.SIGTERM)
            frozen, obedient = start(dagster, OTHER_DAY), start(dagster)
            wait_until(lambda: status(instance, drained) is dg.DagsterRunStatus.FAILURE)
            assert look(hard_stop) == "nothing runs late"
            worker = ledger.leases.holder(OTHER_DAY).process
            freeze_between_two_writes(worker.pid, home / "ledger.db")
            let_deadlines_pass(home)
            assert {frozen.run_id, obedient.run_id} <= words(look(hard_stop))
            wait_until(lambda: status(instance, obedient) is dg.DagsterRunStatus.CANCELED)
            assert not instance.get_run_by_id(frozen.run_id).is_finished
            assert words(look(hard_stop)) & {frozen.run_id, obedient.run_id} == {frozen.run_id}
            assert status(instance, frozen) is dg.DagsterRunStatus.CANCELED
            wait_until(worker.is_provably_dead)
            assert look(hard_stop) == "nothing runs late"
            dagster.retry_failed_runs()
        ours = {frozen.run_id, obedient.run_id, drained.run_id}
        (retry,) = [run for run in instance.get_runs() if run.run_id not in ours]
        assert retry.parent_run_id == drained.run_id, "whose worker was told to go by others"
        assert receivers.mails() == receivers.opened()
        assert receivers.mails() == {
            (TODAY, "deadline_exceeded"): 1,
            (str(OTHER_DAY), "deadline_exceeded"): 1,
        }


class TestRunsOfTheCommandLine:
    """Dagster has not launched them, and cannot reach them."""

    @pytest.fixture
    def launcher(self) -> dict:
        return RUN_IN_WORKERS

    @pytest.fixture
    def job(self, home, firm, receivers) -> Job:
        return Job(home, {**firm.env(), **receivers.env(), **SLOWLY})

    def test_are_terminated_at_their_deadline(self, look, job, instance, ledger, receivers, home):
        process = job.start("run", "--date", TODAY)
        wait_until(lambda: has_answers(ledger, DAY))
        (run,) = instance.get_runs()
        let_deadlines_pass(home)
        assert look(hard_stop) == f"terminated: {run.run_id}"
        process.communicate(timeout=60)
        assert process.returncode == 1
        assert status(instance, run) is dg.DagsterRunStatus.CANCELED
        assert receivers.mails() == {(TODAY, "deadline_exceeded"): 1}

    def test_are_found_when_they_were_killed_and_told_since_nobody_starts_them_again(
        self, look, job, instance, ledger, receivers, time_machine
    ):
        process = job.start("run", "--date", TODAY)
        wait_until(lambda: has_answers(ledger, DAY))
        (run,) = instance.get_runs()
        time_machine.move_to(clock.now_utc() + START_GRACE)
        assert look(lost_workers) == look(lost_workers) == "every run has a living worker"
        process.kill()
        process.communicate()
        look(lost_workers)
        assert look(lost_workers) == f"lost: {run.run_id}"
        with Orchestrator(instance, loaded_here()) as dagster:
            dagster.retry_failed_runs()
        look(alert_reconciler)
        assert status(instance, run) is dg.DagsterRunStatus.FAILURE
        assert instance.get_runs_count() == 1
        assert receivers.mails() == receivers.opened() == {(TODAY, "run_failed"): 1}


def test_a_lost_cursor_only_makes_the_second_look_a_first_one(look, instance, ledger, time_machine):
    with Orchestrator(instance) as dagster:
        run = dagster.create_run(DAY)
    instance.report_dagster_event(started(run), run.run_id)
    time_machine.move_to(clock.now_utc() + START_GRACE)
    for _ in range(3):
        forgetful = lost_workers(dg.build_sensor_context(instance, cursor=None))
        assert forgetful.skip_reason.skip_message == "every run has a living worker"
    look(lost_workers)
    assert look(lost_workers) == f"lost: {run.run_id}"
    assert conditions(ledger) == set()


def test_nobody_is_lost_while_a_slow_publish_keeps_the_ledger(
    look, instance, ledger, home, time_machine
):
    with Orchestrator(instance) as dagster:
        run = dagster.create_run(DAY)
    instance.report_dagster_event(started(run), run.run_id)
    time_machine.move_to(clock.now_utc() + START_GRACE)
    look(lost_workers)
    with closing(sqlite3.connect(home / "ledger.db", isolation_level=None)) as publishing:
        publishing.execute("BEGIN IMMEDIATE")
        assert look(lost_workers) == "the ledger is being written to"
    assert look(lost_workers) == "every run has a living worker", "its heart beats again soon"
    assert look(lost_workers) == f"lost: {run.run_id}"


def let_deadlines_pass(home: Path) -> None:
    """The runs have their deadlines from their own clock, which no test can move."""
    with sqlite3.connect(home / "ledger.db", timeout=10) as db:
        db.execute("UPDATE esg_editions SET deadline_at = opened_at")


def has_answers(ledger: Ledger, day: date) -> bool:
    return any(
        sum(ledger.results.counts(edition).values()) for edition in ledger.editions.of_day(day)
    )


def started(run: dg.DagsterRun) -> dg.DagsterEvent:
    return dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name)


def words(text: str) -> set[str]:
    return set(text.replace(",", "").split())
