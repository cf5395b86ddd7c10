"""`esg-pipeline watchdog`: exit 1 and one page for what is wrong, exit 0 on a good day."""

from collections.abc import Callable, Iterator

import dagster as dg
import pytest
from click.testing import Result
from dagster._daemon.types import DaemonHeartbeat

from esg_pipeline.clock import now_utc
from esg_pipeline.ledger import Ledger
from esg_pipeline.settings import Settings
from esg_pipeline_tests.end_to_end.command_here import command_here
from esg_pipeline_tests.end_to_end.job import Job
from esg_pipeline_tests.mornings import DAY, at, at_work, deliver
from esg_pipeline_tests.servers.orchestrator import make_home

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",  # Dagster uses much that is deprecated, its own too
)

AWAY = {"ESG_LEDGER_URL": "postgresql+psycopg://esg:hunter2@127.0.0.1:1/ledger"}
DAEMONS = ("SCHEDULER", "SENSOR", "QUEUED_RUN_COORDINATOR", "EVENT_LOG_CONSUMER")


@pytest.fixture
def job(tmp_path, receivers) -> Job:
    make_home(tmp_path / "home")
    return Job(tmp_path / "home", receivers.env())


@pytest.fixture
def settings(job) -> Settings:
    return Settings(DAGSTER_HOME=job.home, _env_file=None)


@pytest.fixture
def ledger(settings) -> Iterator[Ledger]:
    ledger = Ledger.open(settings.ledger_location)
    yield ledger
    ledger.close()


@pytest.fixture
def beat(job) -> Callable[..., None]:
    """Let Dagster's daemons be alive now, but for those that are left out."""

    def beat(*, but: str | None = None) -> None:
        with dg.DagsterInstance.from_config(str(job.home)) as instance:
            for name in DAEMONS:
                if name != but:
                    stamp = now_utc().timestamp()
                    instance.add_daemon_heartbeat(DaemonHeartbeat(stamp, name, "daemon", []))

    return beat


@pytest.fixture
def watch(job, beat, time_machine) -> Callable[..., Result]:
    """Let the watchdog look at a Central time; the daemons live unless it is said."""

    def watch(clock: str, *, daemons_live: bool = True, **changes: str) -> Result:
        time_machine.move_to(at(clock), tick=False)
        if daemons_live:
            beat()
        return command_here(job, "watchdog", **changes)

    return watch


def told(*conditions: str) -> dict[tuple[str, str], int]:
    return {(str(DAY), condition): 1 for condition in conditions}


def test_a_good_day_is_exit_0_and_silent(watch, ledger, settings, receivers, time_machine):
    assert watch("05:10").exit_code == 0
    time_machine.move_to(at("05:11"))
    with at_work(ledger, settings) as claim:
        assert watch("05:15").exit_code == 0
        assert watch("08:59").exit_code == 0
        deliver(claim)
    done = watch("09:05")
    assert (done.exit_code, done.stdout) == (0, f"{DAY}: all is well\n")
    assert receivers.mails() == receivers.opened() == {}


def test_a_day_that_nobody_begins_is_exit_1_and_one_page(watch, receivers):
    assert watch("05:14:59").exit_code == 0
    for clock in ("05:15", "05:20", "08:55"):
        done = watch(clock)
        assert done.exit_code == 1
        assert f"{DAY}: not_started: no run of the date has begun to work" in done.stderr
    assert receivers.mails() == receivers.opened() == told("not_started")


def test_a_day_without_a_delivery_at_0900_is_exit_1_and_one_page(
    watch, ledger, settings, receivers, time_machine
):
    time_machine.move_to(at("05:00"))
    with at_work(ledger, settings):
        assert watch("08:59:59").exit_code == 0
        for clock in ("09:00", "09:05"):
            done = watch(clock)
            assert done.exit_code == 1
            assert f"{DAY}: deadline_exceeded: edition 1 is open and not delivered" in done.stderr
    assert receivers.mails() == receivers.opened() == told("deadline_exceeded")


class TestASilentDaemon:
    def test_before_the_start_is_exit_1_and_from_0500_one_page(
        self, watch, beat, receivers, time_machine
    ):
        time_machine.move_to(at("04:50"), tick=False)
        beat()
        time_machine.move_to(at("04:54"), tick=False)
        beat(but="SCHEDULER")
        done = watch("04:55", daemons_live=False)
        assert done.exit_code == 1
        assert done.stderr == "dagster-daemon SCHEDULER: silent for 300 s; restart it\n"
        assert receivers.mails() == {}
        for clock in ("05:05", "05:10", "05:15"):
            assert watch(clock, daemons_live=False).exit_code == 1
        assert receivers.mails() == receivers.opened() == told("not_started")
        assert "dagster-daemon SCHEDULER: silent for" in receivers.mail.received[0].text

    def test_that_would_restart_no_dead_run_is_one_page(
        self, watch, ledger, settings, receivers, time_machine
    ):
        time_machine.move_to(at("05:00"))
        with at_work(ledger, settings):
            assert watch("06:00", daemons_live=False).exit_code == 1
            assert receivers.mails() == {}, "the run itself is well"
        for clock in ("06:05", "06:10"):
            assert watch(clock, daemons_live=False).exit_code == 1
        assert receivers.mails() == receivers.opened() == told("run_failed")

    def test_after_the_delivery_is_exit_1_and_no_page(
        self, watch, ledger, settings, receivers, time_machine
    ):
        time_machine.move_to(at("05:00"))
        with at_work(ledger, settings) as claim:
            deliver(claim)
        assert watch("09:05", daemons_live=False).exit_code == 1
        assert receivers.mails() == receivers.opened() == {}


class TestAMissingLedger:
    def test_is_exit_1_and_one_page_a_day_without_the_ledger(self, watch, receivers):
        for clock in ("05:10", "05:15"):
            done = watch(clock, **AWAY)
            assert done.exit_code == 1
            assert f"{DAY}: the ledger cannot be reached" in done.stderr
            assert "hunter2" not in done.stderr
        assert receivers.mails() == receivers.opened() == told("run_failed")
        assert "hunter2" not in receivers.mail.received[0].text

    def test_is_told_again_until_somebody_hears_it(self, watch, receivers):
        unheard = {**AWAY, "ESG_PAGERDUTY_ROUTING_KEY": ""}
        receivers.mail.fault = "busy"
        assert watch("05:10", **unheard).exit_code == 1
        receivers.mail.fault = None
        assert watch("05:15", **unheard).exit_code == 1
        assert receivers.mails() == told("run_failed")


def test_an_instance_that_cannot_be_read_is_one_line_and_does_not_hide_the_day(
    watch, job, receivers
):
    (job.home / "history" / "runs.db").write_text("no database")
    done = watch("05:20", daemons_live=False)
    assert done.exit_code == 1
    assert "not_started" in done.stderr
    assert "dagster: its instance cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
    assert receivers.mails() == receivers.opened() == told("not_started")
