"""A second process that works on the ledger, told what to do line by line.

`Worker` is the test's side: `tell("record a")` returns the process's answer, "ok …" or the name
of the error. Run as a program it is the other side.
"""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from esg_pipeline.ledger import Edition, EditionWriter, Lease, Ledger, LedgerError
from esg_pipeline.ratings import Reason
from esg_pipeline_tests.ledger.runs import DAY, NOON, good, run

ANSWER_S = 30


class Worker:
    """The test's side of one process."""

    def __init__(
        self, ledger_url: str, run_id: str, patience_s: float = 10, command: Sequence[str] = ()
    ) -> None:
        self._process = subprocess.Popen(
            [*command, sys.executable, "-m", __name__, ledger_url, run_id, str(patience_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # so that what waits in the pipe can be waited for
        )
        self.pid = self._process.pid
        assert self.answer() == "ok ready"

    def ask(self, command: str) -> None:
        """Send a command, without waiting for its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())

    def answer(self) -> str:
        """The next answer."""
        assert self._process.stdout is not None
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self._process.stdout], [], [], ANSWER_S)
            assert ready, f"process {self.pid} did not answer"
            byte = self._process.stdout.read(1)
            assert byte, f"process {self.pid} ended"
            line += byte
        return line.decode().strip()

    def tell(self, command: str) -> str:
        """Send a command and return its answer."""
        self.ask(command)
        return self.answer()

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)

    def wake(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


class _Program:
    """The process's side: a run that holds the lease of `DAY` and does as it is told."""

    lease: Lease
    edition: Edition
    writer: EditionWriter

    def __init__(self, ledger_url: str, run_id: str, patience_s: str) -> None:
        self.ledger = Ledger.open(ledger_url, patience_s=float(patience_s))
        self.run_id = run_id
        self.commands: dict[str, Callable[..., object]] = {
            "acquire": self.acquire,
            "open": self.open,
            "begin": lambda *ids: self.writer.begin_attempts(ids),
            "record": lambda *ids: self.writer.record([good(each, 1111) for each in ids]),
            "retry": lambda each, spent: self.writer.record([], [(each, int(spent), "timeout")]),
            "fail": self.fail,
            "deliver": lambda: self.ledger.editions.mark_delivered(
                self.lease, self.edition, manifest={}
            ),
            "hold": lambda: self.ledger.editions.mark_held(self.lease, self.edition, "stale"),
            "accounts": lambda: self.ledger.editions.set_accounts(
                self.lease, self.edition, count=99, sha256="stale"
            ),
            "metrics": lambda: self.ledger.editions.set_metrics(
                self.lease, self.edition, {"stale": 1}
            ),
            "audit": self.audit,
            "fill": self.fill,
            "work": self.work,
            "fence": self.fence,
            "beat": lambda: self.lease.beat(),  # noqa: PLW0108 - the lease comes later
            "release": lambda: self.lease.release(),  # noqa: PLW0108
        }

    def acquire(self) -> int:
        self.lease = self.ledger.leases.acquire(DAY, run_id=self.run_id)
        self.lease.start_heartbeat()
        return self.lease.token

    def open(self) -> int:
        self.edition = self.ledger.editions.open(self.lease, **run(self.run_id))
        self.writer = self.ledger.results.writer(self.lease, self.edition)
        return self.edition.number

    def fail(self, *ids: str) -> int:
        return self.ledger.results.fail_unanswered(
            self.lease, self.edition, ids, reason=Reason.DEADLINE, message="stale", now=NOON
        )

    def audit(self, times: str, who: str) -> None:
        for _ in range(int(times)):
            self.ledger.audit.append(who, "look", outcome="seen")

    def fill(self, batches: str) -> None:
        """Record so many batches of 1,000 accounts."""
        for batch in range(int(batches)):
            self.writer.record([good(f"{batch}-{n}") for n in range(1000)])

    def work(self, batches: str) -> None:
        """Ask and record batches of 50 accounts; print the number of each confirmed one."""
        for batch in range(int(batches)):
            ids = [f"{batch}-{n}" for n in range(50)]
            self.writer.begin_attempts(ids)
            self.writer.record([good(each) for each in ids])
            print(batch, flush=True)

    def fence(self) -> str:
        """Stay in the fence until the next line comes."""
        with self.lease.fence():
            print("ok fenced", flush=True)
            return sys.stdin.readline().strip()

    def serve(self) -> None:
        print("ok ready", flush=True)
        for line in sys.stdin:
            name, *arguments = line.split()
            try:
                print("ok", self.commands[name](*arguments), flush=True)
            except LedgerError as error:
                print(type(error).__name__, error, flush=True)


if __name__ == "__main__":
    _Program(*sys.argv[1:]).serve()
