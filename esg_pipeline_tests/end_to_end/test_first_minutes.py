"""The first five minutes: a clone, `make demo`, `make ui`, *Materialize*, Ctrl-C.

Everything is as in a clone but for the download: its environment takes the packages of this one.
"""

import importlib.metadata
import json
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest

from esg_pipeline import clock
from esg_pipeline_tests.servers.terminal import Terminal
from esg_pipeline_tests.servers.waiting import wait_until

REPOSITORY = Path(__file__).parents[2]
LEAP_DAY = "2024-02-29"
LAUNCH = """mutation LaunchPipelineExecution($executionParams: ExecutionParams!) {
  launchPipelineExecution(executionParams: $executionParams) {
    __typename
    ... on LaunchRunSuccess { run { id } }
  }
}"""
STATUS = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
ASSETS = """{ assetNodes(group: {
  groupName: "esg_ratings", repositoryName: "__repository__", repositoryLocationName: "esg_pipeline"
}) { assetKey { path } } }"""
UNWANTED = re.compile(r"Traceback|[Ww]arning|superseded|will not be used|Error \d")


@dataclass(frozen=True)
class Clone:
    """A copy of the repository, and what a person types there."""

    folder: Path

    @property
    def env(self) -> dict[str, str]:
        """A shell's, with the home of a real installation in it."""
        of_make = ("MAKE", "MFLAGS")
        ours = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ESG_", "DAGSTER", *of_make)) and name != "PORT"
        }
        return {**ours, "DAGSTER_HOME": str(self.real_home)}

    @property
    def real_home(self) -> Path:
        return self.folder.parent / "real_home"

    def make(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Without a terminal."""
        return subprocess.run(
            ["make", *words],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    @contextmanager
    def page(self) -> Iterator[tuple[Terminal, "Page"]]:
        """`make ui` in a terminal, when its page can be looked at."""
        with Terminal(["make", "ui"], cwd=self.folder, env=self.env) as screen:
            screen.look_until(lambda: "http://" in screen.text and "Ctrl-C" in screen.text)
            found = re.search(r"^http://127\.0\.0\.1:\d+", screen.text, re.MULTILINE)
            assert found, screen.text
            yield screen, Page(found[0])

    def processes(self) -> dict[int, str]:
        """The command lines of all that runs out of the clone, by process id."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                folder = (process / "cwd").readlink()
            except OSError:
                continue  # it has just ended, or is somebody else's
            if str(self.folder) in command or folder.is_relative_to(self.folder):
                found[int(process.name)] = command
        return found


@dataclass(frozen=True)
class Page:
    """Dagster's page, asked as its own scripts ask."""

    url: str

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/graphql", body, headers)
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=60) as answer:
            return json.loads(answer.read())["data"]

    def materialize(self, day: str) -> str:
        """*Materialize all* for one date; the run's id."""
        assets = [each["assetKey"] for each in self.ask(ASSETS)["assetNodes"]]
        assert len(assets) == 6
        selector = {
            "repositoryLocationName": "esg_pipeline",
            "repositoryName": "__repository__",
            "pipelineName": "__ASSET_JOB",
            "assetSelection": assets,
        }
        tags = {"dagster/partition": day, "dagster/from_ui": "true"}
        parameters = {
            "mode": "default",
            "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in tags.items()]},
            "runConfigData": "{}\n",
            "selector": selector,
        }
        launched = self.ask(LAUNCH, executionParams=parameters)["launchPipelineExecution"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["id"])

    def status(self, run_id: str) -> str:
        return str(self.ask(STATUS, id=run_id)["runOrError"]["status"])

    def end_of(self, run_id: str) -> str:
        ends = {"SUCCESS", "FAILURE", "CANCELED"}
        wait_until(lambda: self.status(run_id) in ends, timeout_s=600)
        return self.status(run_id)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    folder = tmp_path / "esg_pipeline"
    git = ("git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard")
    listed = subprocess.run(git, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            copyfile(REPOSITORY / name, folder / name)
    _make_environment(folder)
    return Clone(folder)


def _make_environment(folder: Path) -> None:
    """What `make` would install, without a download."""
    environment = folder / ".venv"
    venv.create(environment, with_pip=False, symlinks=True)
    names = {"base": str(environment), "platbase": str(environment)}
    packages = Path(sysconfig.get_path("purelib", "venv", vars=names))
    here = [str(folder), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    (packages / "here.pth").write_text("\n".join(dict.fromkeys(here)) + "\n")
    (command,) = importlib.metadata.entry_points(group="console_scripts", name="esg-pipeline")
    script = environment / "bin/esg-pipeline"
    python = environment / "bin/python"
    script.write_text(
        f"#!{python}\nfrom {command.module} import {command.attr}\n{command.attr}()\n"
    )
    script.chmod(0o755)
    for stamp in (".run", ".dev"):
        (environment / stamp).touch()


@pytest.fixture
def usual_port_is_taken() -> Iterator[None]:
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", 3000))
            taken.listen()
        except OSError:
            pass  # somebody else has it already
        yield


@pytest.mark.servers
@pytest.mark.needs("git", "make")
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_demo_page_and_materialize_work_in_a_clone(clone: Clone, usual_port_is_taken: None) -> None:
    """One story, because each start of Dagster takes its seconds."""
    demo = clone.make("demo")
    assert demo.returncode == 0, demo.stderr
    assert "The alert identity_mismatch is meant" in demo.stdout
    assert "make ui" in demo.stdout
    assert not UNWANTED.search(demo.stdout + demo.stderr), demo.stdout + demo.stderr
    assert clone.processes() == {}

    with clone.page() as (screen, page):
        assert "Port 3000 is taken; the page gets 3" in screen.text
        second = clone.make("ui", "PORT=3999")
        assert (second.returncode, second.stdout) == (0, "")
        assert re.fullmatch(rf"The demo's page already runs: {page.url} .*\n", second.stderr)
        assert page.end_of(page.materialize(LEAP_DAY)) == "SUCCESS"
        assert (clone.folder / ".demo_home/store/FirmESGRatings_20240229.csv.age").is_file()

        day = clock.business_date(clock.now_utc()).isoformat()
        interrupted = page.materialize(day)
        wait_until(lambda: page.status(interrupted) == "STARTED")
        screen.press_ctrl_c()
        screen.wait()
        assert not UNWANTED.search(screen.text), screen.text
    wait_until(lambda: clone.processes() == {})

    with clone.page() as (screen, page):
        assert page.end_of(page.materialize(day)) == "SUCCESS"
        running = clone.processes()
        (daemon,) = (pid for pid, command in running.items() if "dagster._daemon" in command)
        os.kill(daemon, signal.SIGKILL)
        screen.wait()
        assert "daemon has ended" in screen.text
    wait_until(lambda: clone.processes() == {})
    assert not clone.real_home.exists()
