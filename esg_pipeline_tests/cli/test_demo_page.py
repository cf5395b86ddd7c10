"""What stands around Dagster's page of the demo: its port, and the end of what it started."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from esg_pipeline.cli import demo_page
from esg_pipeline.cli.demo_page import choose_port, only_page_of
from esg_pipeline_tests.servers.waiting import wait_until

pytestmark = pytest.mark.servers

START_AND_HANG = """
import signal, sys
from pathlib import Path
from esg_pipeline.cli.demo_page import Service
Service("idle", ["http.server", "0", "--bind", "127.0.0.1"], Path(sys.argv[1]))
print("started", flush=True)
signal.pause()
"""


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_free_port_is_found_and_said_in_one_line(
    taken: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_page, "USUAL_PORT", taken)
    found = choose_port(None)
    assert found != taken
    assert capsys.readouterr().out == f"Port {taken} is taken; the page gets {found}.\n"


def test_a_port_that_is_asked_for_is_never_another_one(
    taken: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        choose_port(taken)
    assert ended.value.code == 2
    said = f"--port: {taken} is taken; without it a free one is found\n"
    assert capsys.readouterr().err == said
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert choose_port(port) == port


def test_a_second_page_of_a_home_says_in_one_line_where_the_first_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with only_page_of(tmp_path) as address:
        address.write("http://127.0.0.1:3100 (process 7)")
        with pytest.raises(SystemExit) as ended, only_page_of(tmp_path):
            pytest.fail("there are two")
    assert ended.value.code == 0
    said = capsys.readouterr().err
    assert "already runs: http://127.0.0.1:3100 (process 7)." in said
    assert said.count("\n") == 1
    with only_page_of(tmp_path):
        assert capsys.readouterr().err == ""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a promise of Linux")
def test_what_was_started_ends_with_a_killed_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", START_AND_HANG, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "started\n"
    (child,) = _children(parent.pid)
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    wait_until(lambda: not _is_alive(child))


def _children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
