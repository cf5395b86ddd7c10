"""Dagster's page for the demo: code server, web server and daemon, beside the simulated firm.

They start together and end together, whichever ends first: Ctrl-C, the terminal or one of them.
What they print goes to files in the folder of the simulated firm.
"""

import ctypes
import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import click

from esg_pipeline.cli.home import end
from esg_pipeline.exit_codes import ExitCode
from esg_pipeline.sandbox import Sandbox

HOST = "127.0.0.1"
USUAL_PORT = 3000
OTHER_PORTS = range(3001, 3100)
LOOK_EVERY_S = 0.2
STOP_S = 30.0
"""What is asked to end gets so long, a run that writes down its answers included."""
ASK_S = 10.0
END_WITH_PARENT = 1
"""Linux, prctl(2): PR_SET_PDEATHSIG."""
HEARTBEATS = """{
  instance { daemonHealth { allDaemonStatuses { required lastHeartbeatTime } } }
}"""
LOCATION = "esg_pipeline"
ASSETS_PATH = f"/locations/{LOCATION}/asset-groups/esg_ratings"


@contextmanager
def only_page_of(home: Path) -> Iterator["Address"]:
    """Be the only one that serves the page of this home; a second one says where the first is."""
    with (home / ".page").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            where = file.read().strip() or "it is starting"
            end(ExitCode.DELIVERED, f"The demo's page already runs: {where}. Ctrl-C there ends it.")
        address = Address(file.fileno())
        address.write("")
        yield address


@dataclass(frozen=True, slots=True)
class Address:
    """The file that tells others where the page is."""

    descriptor: int

    def write(self, text: str) -> None:
        os.truncate(self.descriptor, 0)
        os.write(self.descriptor, text.encode())


def choose_port(wanted: int | None) -> int:
    """The port for the page: the wanted one or, said in one line, a free one."""
    if wanted is not None:
        if not _is_free(wanted):
            end(ExitCode.USAGE, f"--port: {wanted} is taken; without it a free one is found")
        return wanted
    if _is_free(USUAL_PORT):
        return USUAL_PORT
    port = next((port for port in OTHER_PORTS if _is_free(port)), None)
    if port is None:
        end(ExitCode.USAGE, f"--port: {USUAL_PORT} and the next hundred are taken; name another")
    click.echo(f"Port {USUAL_PORT} is taken; the page gets {port}.")
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((HOST, port))
        except OSError:
            return False
    return True


class EndSignal:
    """Notes that somebody wants the end: Ctrl-C, `kill`, or the terminal is closed.

    Attributes:
        came: Whether it was one of these.
    """

    def __init__(self) -> None:
        self.came = False

    def note(self, number: int, frame: FrameType | None) -> None:
        self.came = True

    def wait(self) -> bool:
        """Wait a moment; whether it has come."""
        if not self.came:
            time.sleep(LOOK_EVERY_S)
        return self.came


@contextmanager
def end_signal() -> Iterator[EndSignal]:
    """Catch the signals that end the page, and the second Ctrl-C of an impatient person."""
    ended = EndSignal()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, ended.note) for number in numbers}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Service:
    """A process of the page, with all that it starts itself."""

    def __init__(self, name: str, words: Sequence[str], folder: Path) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(  # noqa: S603 (our own interpreter, fixed words)
                [sys.executable, "-m", *words],
                cwd=folder,  # no .env of a real installation lies here
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us, who end them in order
                preexec_fn=_end_with_parent,  # noqa: PLW1509 (we have no threads)
            )

    @property
    def is_over(self) -> bool:
        return self._process.poll() is not None

    @property
    def has_left_something(self) -> bool:
        """Whether it lives, or something that it started."""
        return self._signal(0)

    def ask_to_end(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self._process.wait()

    def last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return f"{lines[-1] if lines else 'no word'} ({self._log})"

    def _signal(self, number: int) -> bool:
        self._process.poll()
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return False
        return True


def _end_with_parent() -> None:
    """Runs in the new process: should we be killed, it ends too."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(END_WITH_PARENT, signal.SIGTERM)


def serve_page(firm: Sandbox, folder: Path, port: int, address: Address, ended: EndSignal) -> None:
    """Serve Dagster's page until somebody wants the end, or something ends by itself.

    Args:
        firm: The simulated firm, whose settings are in the environment.
        folder: For what the processes print.
        port: Of the page.
        address: Gets the page's address when it can be looked at.
        ended: Looked at all the time.
    """
    services: list[Service] = []
    problem = None
    with TemporaryDirectory(prefix="esg_") as short:  # a socket's path must be
        try:
            # In this order: each needs the one before, and the first makes a new home's tables.
            for words, is_ready in _in_order(folder, f"{short}/code", port):
                services.append(Service(words[0], words[1:], folder))
                while not (is_ready() or problem or ended.wait()):
                    problem = _what_is_over(services)
                if problem or ended.came:
                    break
            else:
                address.write(f"http://{HOST}:{port} (process {os.getpid()})")
                click.echo("Materialize any date on Dagster's page. Ctrl-C here ends all of it.")
                click.echo(f"http://{HOST}:{port}{ASSETS_PATH}")
            while not (problem or ended.wait()):
                problem = _what_is_over(services) or _is_over(firm)
        finally:
            with suppress(OSError):  # the terminal may be closed
                click.echo("Ending.")
            _end_all(services)
    if problem:
        end(ExitCode.FAILED, problem)


def _in_order(
    folder: Path, code_socket: str, port: int
) -> Iterator[tuple[Sequence[str], Callable[[], bool]]]:
    """Each process of the page: name and command, and whether it is ready."""
    workspace = folder / "workspace.yaml"
    location = {"location_name": LOCATION, "socket": code_socket}
    workspace.write_text(json.dumps({"load_from": [{"grpc_server": location}]}))  # YAML, too
    code = ("dagster", "code-server", "start", "-m", "esg_pipeline.definitions")
    yield ("code-server", *code, "--socket", code_socket), lambda: _listens(code_socket)
    web = ("dagster_webserver", "-w", str(workspace), "-h", HOST, "-p", str(port))
    yield ("webserver", *web), lambda: bool(_heartbeats(port))
    daemon = ("dagster._daemon", "run", "-w", str(workspace))
    begun_at = time.time()
    yield ("daemon", *daemon), lambda: min(_heartbeats(port), default=0.0) > begun_at


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as tried:
        return tried.connect_ex(path) == 0


def _heartbeats(port: int) -> list[float]:
    """When Dagster's daemons were last alive, by its page; 0 for never. Empty: it is not up yet."""
    connection = http.client.HTTPConnection(HOST, port, timeout=ASK_S)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/graphql", json.dumps({"query": HEARTBEATS}), headers)
        answer = json.loads(connection.getresponse().read())["data"]
    except (OSError, ValueError, KeyError, http.client.HTTPException):
        return []
    finally:
        connection.close()
    daemons = answer["instance"]["daemonHealth"]["allDaemonStatuses"]
    return [each["lastHeartbeatTime"] or 0.0 for each in daemons if each["required"]]


def _what_is_over(services: Sequence[Service]) -> str | None:
    over = next((each for each in services if each.is_over), None)
    return f"{over.name} has ended: {over.last_words()}" if over else None


def _is_over(firm: Sandbox) -> str | None:
    return None if firm.process.poll() is None else "the simulated firm has ended"


def _end_all(services: Sequence[Service]) -> None:
    for each in services:
        each.ask_to_end()
    ends_at = time.monotonic() + STOP_S
    while any(each.has_left_something for each in services) and time.monotonic() < ends_at:
        time.sleep(LOOK_EVERY_S)
    for each in services:
        each.kill()
