"""The job every contender gets, and the line it reports.

The clock runs from the first call to the last answer, so that nobody pays for imports.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DAY = "2026-01-15"


@dataclass(frozen=True)
class Job:
    """What is to be asked.

    Attributes:
        url: With a place for the account id.
        calls: Accounts to ask, one call each.
        workers: Calls in flight at most; threads, for those that have threads.
        rate: Calls a second allowed; None when there is no limit.
    """

    url: str
    calls: int
    workers: int
    rate: float | None

    def ids(self) -> list[str]:
        return [f"A{number:07d}" for number in range(self.calls)]

    def account_url(self, account_id: str) -> str:
        return f"{self.url.replace('{account_id}', account_id)}?analysis_date={DAY}"

    def urls(self) -> list[str]:
        return [self.account_url(account_id) for account_id in self.ids()]


def read_job() -> Job:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--rate", type=float)
    return Job(**vars(parser.parse_args()))


def measure(ask_all: Callable[[Job], int]) -> None:
    """Do the job and print a line of JSON.

    Args:
        ask_all: Makes the calls; returns how many scores it has read.
    """
    job = read_job()
    started, cpu_started = time.perf_counter(), time.process_time()
    scores = ask_all(job)
    report(scores, time.perf_counter() - started, time.process_time() - cpu_started)


def report(scores: int, seconds: float, cpu_seconds: float) -> None:
    """Print the line of JSON."""
    line = {
        "scores": scores,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_mb": peak_mb(),
    }
    print(json.dumps(line))


def peak_mb() -> float:
    """Most memory this process has had so far (VmHWM: unlike ru_maxrss, not the parent's)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM in /proc/self/status")
