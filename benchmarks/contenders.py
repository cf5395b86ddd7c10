"""Who is measured, and how each is started: a process of its own, one job, one line of JSON."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
OURS = "esg_pipeline"
BARE = "bare aiohttp loop"
TIMEOUT_S = 900


@dataclass(frozen=True, slots=True)
class Contender:
    """One way of asking an API for many accounts.

    Attributes:
        name: As the tables show it.
        script: Under `peers/`; None for ours.
        workers: Calls in flight, or threads; chosen by a short trial where the peer leaves it open.
        is_slow: It gets a tenth of the calls, so that a run does not last too long.
    """

    name: str
    script: str | None
    workers: int = 64
    is_slow: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


PIPELINE = Contender(OURS, None)
AIOHTTP = Contender(BARE, "with_aiohttp.py")
AIOLIMITER = Contender("aiolimiter(R, 1)", "with_aiolimiter.py")
AIOLIMITER_SMOOTH = Contender(
    "aiolimiter(R/100, 0.01)",
    "with_aiolimiter.py",
    environment={"AIOLIMITER_PERIOD_S": "0.01"},
)
REQUESTS = Contender("requests, 32 threads, tenacity", "with_requests.py", 32, is_slow=True)
DLT = Contender("dlt", "with_dlt.py", 20, is_slow=True)
AIRBYTE = Contender("Airbyte CDK", "with_airbyte.py", 32, is_slow=True)
SCRAPY = Contender("Scrapy", "with_scrapy.py", 16, is_slow=True)


@dataclass(frozen=True, slots=True)
class Runner:
    """Starts contenders.

    Attributes:
        peers_python: Interpreter of the environment that has the peers.
        folder: For what they write.
        certificate: Of the HTTPS server; everybody trusts it.
    """

    peers_python: Path
    folder: Path
    certificate: Path

    def run(
        self,
        contender: Contender,
        url: str,
        calls: int,
        *,
        rate: float | None = None,
        workers: int | None = None,
        more: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Let it ask for so many accounts; give the line it prints.

        Args:
            rate: Calls a second that it is told are allowed.
            workers: Instead of its own number.
            more: Further arguments.

        Raises:
            RuntimeError: it failed; the text has the end of what it said.
        """
        command = ["--url", url, "--calls", str(calls), *more]
        command += ["--workers", str(workers or contender.workers)]
        if rate is not None:
            command += ["--rate", str(rate)]
        if contender.script is not None:
            script = ROOT / "benchmarks" / "peers" / contender.script
            return self._line([self.peers_python, script, *command], contender.environment)
        with tempfile.TemporaryDirectory(dir=self.folder) as ledger:
            return self.module("benchmarks.scoring", *command, "--folder", ledger)

    def module(self, name: str, *arguments: str) -> dict[str, Any]:
        """Run one of our own modules; give the line it prints."""
        return self._line([sys.executable, "-m", name, *arguments], {})

    def environment(self) -> dict[str, str]:
        """What every process gets: nothing of ours, no proxy, and the server's certificate."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "NO_PROXY": "127.0.0.1",
            "SSL_CERT_FILE": str(self.certificate),
            "REQUESTS_CA_BUNDLE": str(self.certificate),
        }

    def _line(self, command: Sequence[str | Path], more: Mapping[str, str]) -> dict[str, Any]:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment() | dict(more),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command[:3]}: exit code {done.returncode}: {done.stderr[-2000:]}")
        lines = done.stdout.splitlines()
        line: dict[str, Any] = json.loads(lines[-1]) if lines else {}
        return line
