"""One day that the simulated firm's job has delivered, copied for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from esg_pipeline.ledger import AuditEntry, Ledger
from esg_pipeline.sandbox import start_sandbox
from esg_pipeline.settings import Settings
from esg_pipeline_tests.end_to_end.command_here import command_here, run_here
from esg_pipeline_tests.end_to_end.job import Job

QUICK = {"ESG_API_RATE_LIMIT": "500", "ESG_API_TIMEOUT": "2", "ESG_API_MAX_ATTEMPTS": "1"}
FAILED = "http_500"
NO_API = {"ESG_API_URL": "http://127.0.0.1:1/", "ESG_API_TOKEN": "t"}
NO_ACCOUNTS = {"ESG_ACCOUNTS_URL": "sqlite:////nowhere/accounts.db"}


@pytest.fixture(scope="session")
def delivered_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Dagster home after a run of 20 accounts, some of them Failed."""
    folder = tmp_path_factory.mktemp("delivered")
    with start_sandbox(folder / "firm", accounts=20, faults={FAILED: 0.2}) as firm:
        env = {**QUICK, **firm.env(), "ESG_FAILURE_THRESHOLD": "1"}
        done = run_here(Job(folder / "home", env))
    assert done.exit_code == 0, done.output
    return folder / "home"


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """An installation that has not run yet, and whose firm is away."""
    return Job(tmp_path / "home", {**NO_API, **NO_ACCOUNTS})


@pytest.fixture
def delivered(job: Job, delivered_home: Path) -> Job:
    """The installation after a delivered day."""
    shutil.copytree(delivered_home, job.home)
    return job


@pytest.fixture
def ledger(job: Job) -> Iterator[Ledger]:
    ledger = Ledger.open(Settings(DAGSTER_HOME=job.home, _env_file=None).ledger_location)
    yield ledger
    ledger.close()


def trail(ledger: Ledger) -> list[tuple[str, str, str]]:
    """Who did what with which outcome."""
    return [(each.who, each.action, each.outcome) for each in ledger.audit.entries()]


def last_entry(ledger: Ledger) -> AuditEntry:
    return list(ledger.audit.entries())[-1]


def refused(job: Job, *words: str, code: int, **changes: str) -> str:
    """What the command says as it refuses: no stack trace, and nothing on standard output."""
    done = command_here(job, *words, **changes)
    assert (done.exit_code, done.stdout) == (code, ""), done.output
    assert "Traceback" not in done.stderr
    return done.stderr
