"""Measures what is asked for, prints the tables, and keeps the numbers as JSON.

python -m benchmarks.run --only a,b --peers .venv/peers/bin/python
"""

import argparse
import json
import os
import platform
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.contenders import Runner
from benchmarks.measurements import MEASUREMENTS, Bench, Row
from benchmarks.server import start_api


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="a,b,c,d,e,f", help="letters; default: %(default)s")
    parser.add_argument("--peers", type=Path, required=True, help="Python that has the peers")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks.json"))
    parser.add_argument("--scale", type=float, default=1.0, help="share of the sizes, for a trial")
    asked = parser.parse_args()

    results: dict[str, Any] = {"machine": describe_machine(), "scale": asked.scale, "tables": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with start_api(folder) as api:
            runner = Runner(asked.peers.absolute(), folder, api.certificate)
            bench = Bench(api, runner, folder, asked.scale)
            for letter in asked.only.split(","):
                measure = MEASUREMENTS[letter]
                load = round(os.getloadavg()[0], 2)
                started_at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
                print(f"\n{measure.__doc__}\nload before: {load}\n", flush=True)
                rows = measure(bench)
                results["tables"][letter] = {
                    "what": measure.__doc__,
                    "started_at": started_at,
                    "load_before": load,
                    "rows": rows,
                }
                print(as_table(rows), flush=True)
                asked.out.parent.mkdir(parents=True, exist_ok=True)
                asked.out.write_text(json.dumps(results, indent=2) + "\n")
    print(f"\nnumbers: {asked.out}")


def describe_machine() -> dict[str, str | int]:
    """What the numbers depend on."""
    cpu = Path("/proc/cpuinfo").read_text().split("model name", 1)[-1].splitlines()[0]
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "cores": os.cpu_count() or 0,
        "cpu": cpu.strip("\t :"),
        "memory_gb": round(memory_kb / 2**20),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def as_table(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([str(row[name]) for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
