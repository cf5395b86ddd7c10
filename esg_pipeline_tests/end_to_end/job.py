"""The command line as a person or a timer uses it, and what a reader then sees."""

import csv
import io
import json
import os
import subprocess
import sys
import warnings
from contextlib import chdir
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from click.testing import CliRunner

from esg_pipeline.cli import main
from esg_pipeline.delivery import fetch, open_store, trusted_keys
from esg_pipeline.delivery.layout import file_stem
from esg_pipeline.sandbox import Sandbox
from esg_pipeline.settings import Settings

DAY = date(2026, 3, 10)
COMMAND = [sys.executable, "-m", "esg_pipeline"]


@dataclass
class Job:
    """One installation: a Dagster home, its settings, and the command line on it."""

    home: Path
    env: dict[str, str]
    work: Path = field(init=False)

    def __post_init__(self) -> None:
        self.work = self.home.parent / "work"
        self.work.mkdir(exist_ok=True)

    def environment(self, **changes: str) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ESG_", "DAGSTER"))}
        return {**inherited, "DAGSTER_HOME": str(self.home), **self.env, **changes}

    def start(self, *words: str, **changes: str) -> subprocess.Popen[str]:
        """Give a command in a process of its own, to be watched, stopped or killed."""
        return subprocess.Popen(
            [*COMMAND, *words],
            env=self.environment(**changes),
            cwd=self.work,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def in_a_process(self, *words: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Give a command in a process of its own, to its end, as a timer does."""
        process = self.start(*words, **changes)
        out, err = process.communicate()
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def __call__(self, *words: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Give a command to its end."""
        return self.in_a_process(*words, **changes)

    def run(self, *words: str, day: date = DAY, **changes: str) -> subprocess.CompletedProcess[str]:
        return self("run", "--date", day.isoformat(), *words, **changes)

    @property
    def store(self) -> Path:
        return self.home / "store"

    def delivered(self, day: date = DAY) -> "Delivery":
        """Decrypt and verify what lies at the readers' names."""
        settings = Settings(DAGSTER_HOME=self.home, _env_file=None)
        out = self.work / "fetched"
        fetch(open_store(settings), day, out, trusted=trusted_keys(settings.keys_folder))
        stem = file_stem(day)
        return Delivery(
            csv=(out / f"{stem}.csv").read_bytes(),
            errors=(out / f"{stem}_errors.csv").read_bytes(),
            manifest=json.loads((out / f"{stem}_manifest.json").read_bytes()),
        )


class JobHere(Job):
    """The same commands in the test's process: Python's start takes longer than a run."""

    def __call__(self, *words: str, **changes: str) -> subprocess.CompletedProcess[str]:
        others = {name: None for name in os.environ if name.startswith(("ESG_", "DAGSTER"))}
        ours = {"DAGSTER_HOME": str(self.home), **self.env, **changes}
        with chdir(self.work), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Dagster's, about Dagster
            done = CliRunner().invoke(main, words, env={**others, **ours})
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)


@dataclass(frozen=True)
class Delivery:
    """The plain content of one delivery."""

    csv: bytes
    errors: bytes
    manifest: dict

    @property
    def rows(self) -> dict[str, dict[str, str]]:
        return {row["Account ID"]: row for row in read_rows(self.csv)}

    @property
    def error_rows(self) -> dict[str, dict[str, str]]:
        return {row["Account ID"]: row for row in read_rows(self.errors)}

    def statuses(self) -> dict[str, int]:
        counts = {"Successful": 0, "Partial": 0, "Failed": 0}
        for row in self.rows.values():
            counts[row["Processing Status"]] += 1
        return counts


def read_rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))


ESG_CELLS = (
    "Overall ESG Score",
    "Environmental Score",
    "Social Score",
    "Governance Score",
    "Primary ESG Focus",
    "Primary Focus Score",
    "Analysis Date",
)


def check_invariants(delivery: Delivery, accounts: int, sandbox: Sandbox | None = None) -> None:
    """What must hold whatever broke: rows, values, calls (docs/faults.md#rows)."""
    rows = read_rows(delivery.csv)
    ids = [row["Account ID"] for row in rows]
    assert len(ids) == len(set(ids)) == accounts
    assert ids == sorted(ids)
    counts = delivery.statuses()
    assert sum(counts.values()) == accounts == delivery.manifest["rows"]
    assert counts == {status: delivery.manifest["counts"][status] for status in counts}
    for row in rows:
        failed = row["Processing Status"] == "Failed"
        assert failed == (row["Overall ESG Score"] == "N/A")
        if failed:
            assert {row[cell] for cell in ESG_CELLS} == {"N/A"}
        for cell in (*ESG_CELLS[:4], "Primary Focus Score"):
            assert row[cell] == "N/A" or 0 <= float(row[cell]) <= 100
    not_successful = {i["Account ID"] for i in rows if i["Processing Status"] != "Successful"}
    assert set(delivery.error_rows) == not_successful
    if sandbox is not None:
        assert max(sandbox.calls_by_account().values(), default=0) <= 3
