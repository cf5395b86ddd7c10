"""The sandbox as a process of its own, and the handle by which its parent holds it.

The handle speaks to the control endpoints only; what the pipeline knows of the sandbox are the
settings in `env()`.
"""

import http.client
import json
import os
import selectors
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from esg_pipeline.sandbox.behaviour import Behaviour
from esg_pipeline.sandbox.call_log import CallCounts, RecordedCall
from esg_pipeline.sandbox.server import Announcement

START_S = 60.0
STOP_S = 5.0
CONTROL_S = 60.0
LOG_FILE = "sandbox.log"


class SandboxError(Exception):
    """The sandbox did not start, or refused what it was told; the text says why."""


@dataclass(frozen=True, slots=True)
class Sandbox(Announcement):
    """A running sandbox: where it is, what it was asked, how it behaves.

    A context manager that stops it at the end.
    """

    process: subprocess.Popen[str] = field(repr=False)

    def calls(self) -> list[RecordedCall]:
        """Give every call the API got, in order of arrival."""
        lines = self._control("GET", "/_control/calls").splitlines()
        return [RecordedCall(**json.loads(line)) for line in lines]

    def counts(self) -> CallCounts:
        """Give all calls in numbers."""
        return CallCounts(**json.loads(self._control("GET", "/_control/counts")))

    def calls_by_account(self) -> dict[str, int]:
        """Give the number of calls for each account that was asked about."""
        counts: dict[str, int] = json.loads(self._control("GET", "/_control/accounts"))
        return counts

    def wait_for_calls(self, calls: int, *, timeout_s: float = 30.0) -> CallCounts:
        """Return as soon as so many calls have arrived.

        Raises:
            SandboxError: they did not, within `timeout_s`.
        """
        path = f"/_control/wait?calls={calls}&timeout_s={timeout_s}"
        return CallCounts(**json.loads(self._control("GET", path)))

    def set_faults(self, faults: Mapping[str, float | str] | None = None, **behaviour: Any) -> None:
        """Replace the shares of faults, or other parts of `Behaviour`, while the API runs.

        Args:
            faults: Fault name to share, `{"http_500": 0.02, "timeout": "0.01:1"}`; `{}` heals
                the API, None leaves the faults as they are.
            behaviour: Attributes of `Behaviour`, such as `outage="http_503"`,
                `listening=False`, `rate_limit=5`, `latency_s=(0.05, 0.2)`.

        Raises:
            SandboxError: the sandbox cannot behave so.
        """
        changes = behaviour if faults is None else {"faults": faults, **behaviour}
        self._control("POST", "/_control/faults", json.dumps(changes))

    def reset(self) -> None:
        """Forget all calls; faults of the first N calls begin anew."""
        self._control("POST", "/_control/reset")

    def heal(self) -> None:
        """Behave soundly again, in every part, and forget all calls."""
        self._control("POST", "/_control/faults", json.dumps(asdict(Behaviour())))
        self.reset()

    def rotate_token(self) -> str:
        """Let no token in that was given out before; return the new fixed one."""
        token: str = json.loads(self._control("POST", "/_control/token"))["token"]
        return token

    def stop(self) -> None:
        """End the process; harmless when it is over already."""
        _end(self.process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _control(self, method: str, path: str, body: str | None = None) -> bytes:
        connection = http.client.HTTPConnection(
            urlsplit(self.control_url).netloc, timeout=CONTROL_S
        )
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise SandboxError(f"sandbox, {path}: {json.loads(answer)['error']}")
        return answer


def start_sandbox(
    folder: Path,
    *,
    accounts: int = 1000,
    retired: int = 50,
    seed: int = 7,
    certificate: Path | None = None,
    private_key: Path | None = None,
    **behaviour: Any,
) -> Sandbox:
    """Start the simulated firm as a process of its own and wait until it is ready.

    It ends with `stop`, at the end of a `with`, or when this process ends.

        with start_sandbox(tmp_path, accounts=200, faults={"http_500": "0.1:1"}) as sandbox:
            environ |= sandbox.env()

    Args:
        folder: Gets `accounts.db` and `sandbox.log`.
        accounts: Number of active accounts.
        retired: Number of retired accounts.
        seed: Of the invented accounts.
        certificate: PEM chain; with `private_key`, the API speaks TLS.
        private_key: PEM key of the certificate.
        behaviour: Attributes of `Behaviour`, see there.

    Raises:
        BehaviourError, FaultPlanError: a behaviour that makes no sense.
        SandboxError: it did not start.
    """
    Behaviour().changed(behaviour)
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "esg_pipeline.sandbox", str(folder)]
    command += ["--accounts", str(accounts), "--retired", str(retired), "--seed", str(seed)]
    command += ["--with-parent", str(os.getpid())]
    if certificate is not None and private_key is not None:
        command += ["--certificate", str(certificate), "--private-key", str(private_key)]
    with (folder / LOG_FILE).open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # Ctrl-C is for the job, which still needs its API then
        )
    line = _first_line(process)
    if not line:
        _end(process)
        reason = (folder / LOG_FILE).read_text().strip().rpartition("\n")[2]
        raise SandboxError(f"the sandbox did not start: {reason or 'no answer'}; see {LOG_FILE}")
    sandbox = Sandbox(**json.loads(line), process=process)
    sandbox.set_faults(**behaviour)
    return sandbox


def _first_line(process: subprocess.Popen[str]) -> str:
    """Wait for the line that says ready; empty when it does not come."""
    if process.stdout is None:
        return ""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        return process.stdout.readline() if selector.select(START_S) else ""


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
