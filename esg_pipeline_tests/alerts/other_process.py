"""A second process that raises or sends alerts, to be killed, raced or waited for.

`start("send", …)` is the test's side. The process says "ready", waits for a line, and acts.
"""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from esg_pipeline import alerts
from esg_pipeline.ledger import Ledger
from esg_pipeline.settings import Settings, setting_name
from esg_pipeline_tests.alerts.facts import DAY, NOON, SIX_PERCENT

LIFETIME_S = 30
REPOSITORY = Path(__file__).parents[2]


class Process:
    """The test's side of one process."""

    def __init__(self, act: str, ledger_url: str, settings: Settings) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, act, ledger_url],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **_environment(settings)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def go(self) -> None:
        """Let it act."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def wait(self, timeout_s: float = LIFETIME_S) -> int:
        """Wait for its end; return its exit code, negative for a signal."""
        self._process.communicate(timeout=timeout_s)
        return self._process.returncode

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        self._process.kill()
        self.wait()

    def end(self) -> None:
        """Leave nothing behind."""
        if self._process.poll() is None:
            self.kill()


def _environment(settings: Settings) -> dict[str, str]:
    values = {}
    for field in settings.model_fields_set:
        value = getattr(settings, field)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        values[setting_name(field)] = ",".join(value) if isinstance(value, tuple) else str(value)
    return values


def _act(act: str, ledger_url: str) -> None:
    settings = Settings()
    ledger = Ledger.open(ledger_url)
    print("ready", flush=True)
    sys.stdin.readline()
    if act == "raise and die":
        with ledger.transaction():
            ledger.audit.append("schedule", "judge", day=DAY, outcome="6 % Failed", details={})
            alerts.raise_alert(ledger, DAY, alerts.Condition.FAILURE_SHARE, SIX_PERCENT)
        os.kill(os.getpid(), signal.SIGKILL)
    elif act == "die while raising":
        with ledger.transaction():
            alerts.raise_alert(ledger, DAY, alerts.Condition.FAILURE_SHARE, SIX_PERCENT)
            os.kill(os.getpid(), signal.SIGKILL)
    elif act == "send":
        alerts.send_due(ledger, settings, NOON)
    elif act == "send briefly":
        alerts.send_due(ledger, settings, NOON + timedelta(minutes=1), wait_s=0.5)


if __name__ == "__main__":
    _act(*sys.argv[1:])
