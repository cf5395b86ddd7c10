"""What is measured, one function for each letter; each gives the rows of its table.

The sizes are bounded so that everything together takes about a quarter of an hour on two cores.
"""

import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.contenders import (
    AIOHTTP,
    AIOLIMITER,
    AIOLIMITER_SMOOTH,
    AIRBYTE,
    DLT,
    PIPELINE,
    REQUESTS,
    ROOT,
    SCRAPY,
    Runner,
)
from benchmarks.server import ApiServer, Seen
from esg_pipeline.sandbox import start_sandbox

Row = dict[str, Any]
EVERYBODY = (PIPELINE, AIOHTTP, REQUESTS, DLT, AIRBYTE, SCRAPY)
FAST = (PIPELINE, AIOHTTP)
LIMITED = (PIPELINE, AIOLIMITER, AIOLIMITER_SMOOTH, AIRBYTE, DLT, SCRAPY)


@dataclass(frozen=True, slots=True)
class Bench:
    """What the measurements need.

    Attributes:
        scale: Share of the sizes that are written here; small for a trial.
    """

    api: ApiServer
    runner: Runner
    folder: Path
    scale: float

    def size(self, calls: int) -> int:
        """So many calls, scaled."""
        return max(100, int(calls * self.scale))


def limit(bench: Bench) -> list[Row]:
    """(a) A server that allows so many calls a second: how many are used, how many refused."""
    rows = []
    for rate in (500, 2000):
        server = f"limited{rate}"
        seen: dict[str, list[Seen]] = {each.name: [] for each in LIMITED}
        for _ in range(3):
            for contender in LIMITED:
                calls = bench.size(750 if contender.is_slow else 5 * rate)
                bench.api.forget_calls(server)
                bench.runner.run(contender, bench.api.url(server), calls, rate=rate)
                seen[contender.name].append(bench.api.seen(server))
        for name, rounds in seen.items():
            shares = [(each.accepted - 1) / each.seconds / rate for each in rounds]
            rows.append(
                {
                    "limit/s": rate,
                    "who": name,
                    "calls": sum(each.accepted + each.refused for each in rounds),
                    "refused": sum(each.refused for each in rounds),
                    "share of limit": round(median(shares), 3),
                    "lowest": round(min(shares), 3),
                    "highest": round(max(shares), 3),
                }
            )
    return rows


def no_limit(bench: Bench) -> list[Row]:
    """(b) No limit, one process, interleaved rounds, over HTTP and HTTPS."""
    rows = []
    for server in ("http", "https"):
        lines: dict[str, list[Row]] = {each.name: [] for each in EVERYBODY}
        for contenders in (EVERYBODY, FAST, EVERYBODY[::-1], FAST[::-1], EVERYBODY):
            for contender in contenders:
                calls = bench.size(2000 if contender.is_slow else 20_000)
                line = bench.runner.run(contender, bench.api.url(server), calls)
                lines[contender.name].append(line)
        bare = median(map(_per_second, lines[AIOHTTP.name]))
        bare_cpu = median(map(_per_cpu_second, lines[AIOHTTP.name]))
        for name, got in lines.items():
            rates = [_per_second(line) for line in got]
            rows.append(
                {
                    "over": server,
                    "who": name,
                    "calls/s": round(median(rates)),
                    "lowest": round(min(rates)),
                    "highest": round(max(rates)),
                    "bare loop = 1": round(median(rates) / bare, 2),
                    "calls/CPU s": round(median(map(_per_cpu_second, got))),
                    "bare loop = 1, by CPU": round(median(map(_per_cpu_second, got)) / bare_cpu, 2),
                }
            )
    return rows


def latency(bench: Bench) -> list[Row]:
    """(c) An API that takes 50 ms, 64 calls in flight for everybody: 1,280 calls/s at best."""
    rows = []
    for contender in EVERYBODY:
        calls = bench.size(2000 if contender.is_slow else 6400)
        line = bench.runner.run(contender, bench.api.url("delayed"), calls, workers=64)
        rate = _per_second(line)
        rows.append(
            {"who": contender.name, "calls/s": round(rate), "of 1,280": round(rate / 1280, 2)}
        )
    return rows


def many(bench: Bench) -> list[Row]:
    """(d) Time and memory at 100,000 and 1,000,000 accounts."""
    rows = []
    for accounts in (100_000, 1_000_000):
        line = bench.runner.run(
            PIPELINE, bench.api.url("http"), bench.size(accounts), more=["--read-back"]
        )
        rows.append(
            {
                "accounts": line["scores"],
                "seconds": round(line["seconds"], 1),
                "accounts/s": round(_per_second(line)),
                "peak MB": round(line["peak_mb"]),
                "read back, s": round(line["read_back_seconds"], 1),
                "peak MB with it": round(line["read_back_peak_mb"]),
                "ledger, MB": round(line["ledger_mb"]),
            }
        )
    return rows


def kill(bench: Bench) -> list[Row]:
    """(e) kill -9 at half of the calls, then a plain rerun; the API counts."""
    accounts = bench.size(20_000)
    folder = bench.folder / "kill"
    folder.mkdir()
    with start_sandbox(folder / "firm", accounts=10) as sandbox:
        command = [sys.executable, "-m", "benchmarks.scoring", "--url", sandbox.api_url]
        command += ["--calls", str(accounts), "--folder", str(folder)]
        environment = bench.runner.environment() | {"ESG_API_TOKEN": sandbox.env()["ESG_API_TOKEN"]}
        run = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        sandbox.wait_for_calls(accounts // 2, timeout_s=300)
        run.send_signal(signal.SIGKILL)
        run.wait()
        at_kill = sandbox.counts().total
        subprocess.run(
            command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL, timeout=300
        )
        counts = sandbox.counts()
    return [
        {
            "accounts": counts.accounts,
            "calls at the kill": at_kill,
            "calls in all": counts.total,
            "repeated": counts.total - counts.accounts,
            "most for one account": counts.most_per_account,
        }
    ]


def delivery(bench: Bench) -> list[Row]:
    """(f) 1,000,000 rows from the scores frame to the delivered, verified, encrypted file."""
    folder = bench.folder / "delivery"
    folder.mkdir()
    arguments = ["--rows", str(bench.size(1_000_000)), "--folder", str(folder)]
    bench.runner.module("benchmarks.delivery", "prepare", *arguments)
    shown = {
        "frames": "frame to delivered, verified, encrypted file",
        "asset": "the same, as the asset does it: from the ledger, with the summary",
        "pandas": "pandas to_csv alone",
    }
    rows = []
    for way, text in shown.items():
        line = bench.runner.module("benchmarks.delivery", way, *arguments)
        rows.append(
            {
                "what": text,
                "seconds": round(line["seconds"], 2),
                "peak MB": round(line["peak_mb"]),
                "of it before, MB": round(line["before_mb"]),
            }
        )
    shutil.rmtree(folder)
    return rows


MEASUREMENTS = {
    "a": limit,
    "b": no_limit,
    "c": latency,
    "d": many,
    "e": kill,
    "f": delivery,
}


def _per_second(line: Row) -> float:
    return float(line["scores"] / line["seconds"])


def _per_cpu_second(line: Row) -> float:
    """Hardly moved by what else the machine does."""
    return float(line["scores"] / line["cpu_seconds"])
