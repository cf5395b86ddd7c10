"""The real `dagster-daemon`: it runs what is queued, looks with the sensors, and may be killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.scheduler.instigation import InstigatorType, TickStatus

from esg_pipeline.cli.watchdog import silent_daemons
from esg_pipeline.ledger import Ledger
from esg_pipeline_tests.end_to_end.conftest import ACCOUNTS
from esg_pipeline_tests.end_to_end.job import DAY, check_invariants
from esg_pipeline_tests.servers.waiting import wait_until

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",  # Dagster uses much that is deprecated, its own too
)

REPOSITORY = Path(__file__).parents[2]
DAEMON = str(Path(sys.executable).with_name("dagster-daemon"))
SENSORS = {"start_watch", "hard_stop", "lost_workers", "alert_reconciler"}
SLOWLY = {"ESG_API_RATE_LIMIT": "3"}
SOON = {"DAGSTER_EVENT_LOG_CONSUMER_DAEMON_INTERVAL_SECONDS": "1"}


@pytest.fixture
def start_daemon(job) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start the daemon; whatever it starts itself is ended with the test."""
    running: list[subprocess.Popen] = []

    def start(**changes: str) -> subprocess.Popen:
        with (job.work / f"daemon_{len(running)}.log").open("w") as said:
            running.append(
                subprocess.Popen(
                    [DAEMON, "run", "-w", str(REPOSITORY / "workspace.yaml")],
                    env=job.environment(**SOON, **changes),
                    cwd=job.work,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )
        return running[-1]

    yield start
    for process in running:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def instance(job, monkeypatch) -> Iterator[dg.DagsterInstance]:
    """The instance as we ship it, with a queue that is looked at each second."""
    shipped = yaml.safe_load((REPOSITORY / "dagster.yaml").read_text())
    shipped["run_queue"]["dequeue_interval_seconds"] = 1
    job.home.mkdir()
    (job.home / "dagster.yaml").write_text(yaml.safe_dump(shipped))
    monkeypatch.setenv("DAGSTER_HOME", str(job.home))
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def ledger(job, instance) -> Iterator[Ledger]:
    ledger = Ledger.open(f"sqlite:///{job.home}/ledger.db")
    yield ledger
    ledger.close()


def finished_looks(instance: dg.DagsterInstance) -> dict[str, set[TickStatus]]:
    """How the looks of each sensor ended."""
    return {
        state.instigator_name: {
            tick.status
            for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id)
            if tick.status is not TickStatus.STARTED
        }
        for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
    }


def has_answers(ledger: Ledger) -> bool:
    return any(
        sum(ledger.results.counts(edition).values()) for edition in ledger.editions.of_day(DAY)
    )


def test_a_queued_run_survives_its_daemon_and_its_worker(job, start_daemon, instance, ledger, firm):
    """One story, because each start of the daemon takes its seconds."""
    daemon = start_daemon(**SLOWLY)
    queued = job.run("--submit")
    assert queued.returncode == 0, queued.stderr
    assert "queued" in queued.stdout
    wait_until(lambda: has_answers(ledger))
    wait_until(lambda: silent_daemons(time.time()) == [])
    (run,) = instance.get_runs()

    daemon.kill()
    daemon.wait()
    start_daemon()
    os.kill(ledger.leases.holder(DAY).process.pid, signal.SIGKILL)
    wait_until(lambda: instance.get_runs_count() > 1)
    wait_until(lambda: all(r.is_finished for r in instance.get_runs()))
    retry, killed = instance.get_runs()
    assert (killed.run_id, killed.status) == (run.run_id, dg.DagsterRunStatus.FAILURE)
    assert (retry.parent_run_id, retry.status) == (run.run_id, dg.DagsterRunStatus.SUCCESS)
    check_invariants(job.delivered(), ACCOUNTS, firm)

    wait_until(lambda: all(map(finished_looks(instance).get, SENSORS)))
    assert finished_looks(instance) == {name: {TickStatus.SKIPPED} for name in SENSORS}
