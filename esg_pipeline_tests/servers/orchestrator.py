"""Dagster itself, for tests: a real instance, its daemons' own code step by step, a code server.

Loaded into this process, the code location follows a clock that the test moves. Runs wait in the
queue, or are started at once: in this process (`RUN_HERE`), or in a worker of a `CodeServer`.
"""

import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import date, datetime
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import dagster as dg
import yaml
from dagster._cli.job import _create_run as create_run
from dagster._core.execution.plan.resume_retry import ReexecutionStrategy
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import (
    GrpcServerTarget,
    InProcessWorkspaceLoadTarget,
    WorkspaceLoadTarget,
)
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
    QueuedRunCoordinatorDaemon,
)
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.server import wait_for_grpc_server
from dagster._scheduler.scheduler import launch_scheduled_runs

SHIPPED = Path(__file__).parents[2] / "dagster.yaml"
RUN_IN_WORKERS = {
    "run_coordinator": {
        "module": "dagster._core.run_coordinator.default_run_coordinator",
        "class": "DefaultRunCoordinator",
    }
}
RUN_HERE = {
    **RUN_IN_WORKERS,
    "run_launcher": {
        "module": "dagster._core.launcher.sync_in_memory_run_launcher",
        "class": "SyncInMemoryRunLauncher",
    },
}
LAUNCH_NOTHING = {
    "run_launcher": {"module": "dagster._core.test_utils", "class": "MockedRunLauncher"}
}
START_S = 90
LOCATION = "esg_pipeline"

log = logging.getLogger("esg_pipeline_tests.orchestrator")


@contextmanager
def open_instance(home: Path, changes: Mapping[str, Any]) -> Iterator[dg.DagsterInstance]:
    """The instance of a home, new if need be, as we ship it but for what is changed."""
    if not home.exists():
        make_home(home)
    config = yaml.safe_load(SHIPPED.read_text()) | dict(changes)
    if "run_coordinator" in changes:
        del config["run_queue"]
    (home / "dagster.yaml").write_text(yaml.safe_dump(config))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def make_home(home: Path) -> None:
    """A Dagster home as we ship it; its tables are copied, making them takes longer than a test."""
    for name, content in _files_of_a_home().items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(content)


@cache
def _files_of_a_home() -> Mapping[Path, bytes]:
    with tempfile.TemporaryDirectory(prefix="dagster_home_") as name:
        folder = Path(name)
        (folder / "dagster.yaml").write_bytes(SHIPPED.read_bytes())
        with dg.DagsterInstance.from_config(name) as instance:
            instance.get_runs(limit=1)
            instance.all_instigator_state()
        files = [path for path in folder.rglob("*") if path.is_file()]
        return {path.relative_to(folder): path.read_bytes() for path in files}


def loaded_here(
    module: str = "esg_pipeline.definitions", attribute: str | None = None
) -> WorkspaceLoadTarget:
    """The definitions of a module, loaded into this process."""
    origin = LoadableTargetOrigin(
        executable_path=sys.executable, module_name=module, attribute=attribute
    )
    return InProcessWorkspaceLoadTarget(InProcessCodeLocationOrigin(origin, location_name=LOCATION))


class CodeServer:
    """A code server in a process of its own; the runs are its workers."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="code_")  # a socket's path is short
        self._socket = f"{self._folder.name}/socket"
        self.target = GrpcServerTarget("localhost", None, self._socket, LOCATION)
        self._command = [sys.executable, "-m", "dagster", "api", "grpc"]
        self._command += ["-m", "esg_pipeline.definitions", "--location-name", LOCATION]
        self._command += ["--socket", self._socket]

    def start(self) -> None:
        """Start it, with the environment of the moment, and wait until it answers."""
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        client = DagsterGrpcClient(socket=self._socket)
        wait_for_grpc_server(self._process, client, self._command, timeout=START_S)

    def kill(self) -> None:
        """`kill -9` of the server alone; its workers live on."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._folder.cleanup()


class Orchestrator:
    """What `dagster-daemon` does, when the test says so.

    A new one is a daemon that was started again: it remembers what the instance remembers.
    """

    def __init__(
        self, instance: dg.DagsterInstance, target: WorkspaceLoadTarget | None = None
    ) -> None:
        self._instance = instance
        self._workspace = WorkspaceProcessContext(instance, target or loaded_here())
        self._iterations: dict[str, Any] = {}

    def evaluate_schedules(self, now: datetime) -> None:
        """One round of the scheduler daemon."""
        errors = launch_scheduled_runs(self._workspace, log, now, self._iterations)
        assert [error for error in errors if error] == []

    def retry_failed_runs(self) -> None:
        """One round of the daemon that starts crashed runs again; the first only takes stock."""
        list(EventLogConsumerDaemon().run_iteration(self._workspace))

    def launch_what_waits(self) -> None:
        """One round of the daemon that takes runs from the queue."""
        list(QueuedRunCoordinatorDaemon(interval_seconds=1).run_iteration(self._workspace))

    def create_run(self, day: date, **tags: str) -> dg.DagsterRun:
        """A run of the job as a person launches it; it is not started."""
        location = self._workspace.create_request_context().get_code_location(LOCATION)
        (repository,) = location.get_repositories().values()
        job = repository.get_full_job("daily_esg_ratings")
        tags = {"dagster/partition": day.isoformat(), **tags}
        return create_run(self._instance, location, repository, job, {}, tags, None, None)

    def create_run_again(self, run: dg.DagsterRun) -> dg.DagsterRun:
        """The same run once more, as a person asks for it on Dagster's page; it is not started."""
        workspace = self._workspace.create_request_context()
        location = workspace.get_code_location(LOCATION)
        (repository,) = location.get_repositories().values()
        return self._instance.create_reexecuted_run(
            parent_run=run,
            request_context=workspace,
            code_location=location,
            remote_job=repository.get_full_job("daily_esg_ratings"),
            strategy=ReexecutionStrategy.ALL_STEPS,
            use_parent_run_tags=True,
        )

    def start(self, run: dg.DagsterRun) -> None:
        """Let it run."""
        self._instance.submit_run(run.run_id, self._workspace.create_request_context())

    def __enter__(self) -> Self:
        self._workspace.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._workspace.__exit__(kind, error, trace)
