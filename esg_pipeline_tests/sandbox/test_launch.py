"""The sandbox as a process: it says when it is ready, and it never outlives its parent."""

import json
import os
import select
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from esg_pipeline.sandbox import FaultPlanError, SandboxError, start_sandbox
from esg_pipeline_tests.sandbox.wire import Caller, ask_on_the_wire, send

pytestmark = pytest.mark.servers

COMMAND = [sys.executable, "-m", "esg_pipeline.sandbox"]


def ended_within(pid_file, seconds):
    ready, _, _ = select.select([pid_file], [], [], seconds)
    return bool(ready)


def test_env_holds_what_the_pipeline_needs(tmp_path):
    with start_sandbox(tmp_path, accounts=30, retired=4, faults={"http_500": 1}) as sandbox:
        env = sandbox.env()
        assert set(env) == {"ESG_ACCOUNTS_URL", "ESG_API_URL", "ESG_API_TOKEN"}
        assert urlsplit(env["ESG_API_URL"]).hostname == "127.0.0.1"
        with closing(sqlite3.connect(env["ESG_ACCOUNTS_URL"].removeprefix("sqlite:///"))) as db:
            statuses = "SELECT status, count(*) FROM accounts GROUP BY status"
            assert dict(db.execute(statuses)) == {"active": 30, "retired": 4}
        assert ask_on_the_wire(sandbox).status == 500


def test_every_start_makes_its_own_secrets(tmp_path):
    with start_sandbox(tmp_path / "a", accounts=1) as a, start_sandbox(tmp_path / "b") as b:
        assert a.token != b.token
        assert a.oauth_env() != b.oauth_env()
        with Caller(b, token=a.token) as caller:
            assert caller.post()[0] == 401


def test_stop_ends_the_process_even_with_calls_that_are_never_answered(tmp_path):
    sandbox = start_sandbox(tmp_path, accounts=1, faults={"timeout": 1})
    url = urlsplit(sandbox.api_url)
    with send(sandbox):
        sandbox.wait_for_calls(1)
        sandbox.stop()
    assert sandbox.process.returncode == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((url.hostname, url.port))
    sandbox.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_server_says_ready_in_one_line_and_ends_cleanly_on_a_signal(tmp_path, number):
    with subprocess.Popen(
        [*COMMAND, str(tmp_path), "--accounts", "3", "--fault", "http_404=1"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        ready = json.loads(process.stdout.readline())
        assert ready["pid"] == process.pid
        assert {"api_url", "control_url", "accounts_url", "token"} <= set(ready)
        process.send_signal(number)
        assert process.wait(5) == 0
        assert process.stdout.read() == ""


def test_the_sandbox_ends_when_its_parent_is_killed(tmp_path):
    program = (
        "import sys, pathlib; from esg_pipeline.sandbox import start_sandbox\n"
        "print(start_sandbox(pathlib.Path(sys.argv[1]), accounts=1).pid, flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        pid_file = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
        parent.wait()
    assert ended_within(pid_file, 5)
    os.close(pid_file)


def test_a_behaviour_that_makes_no_sense_stops_the_start(tmp_path):
    with pytest.raises(FaultPlanError, match="unknown fault 'nam'"):
        start_sandbox(tmp_path, faults={"nam": 1})
    refused = subprocess.run(
        [*COMMAND, str(tmp_path), "--fault", "nam=1"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "unknown fault 'nam'" in refused.stderr


def test_a_sandbox_that_cannot_start_says_why(tmp_path):
    missing = tmp_path / "no.pem"
    with pytest.raises(SandboxError, match="No such file"):
        start_sandbox(tmp_path, accounts=1, certificate=missing, private_key=missing)
