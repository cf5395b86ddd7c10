"""The simulated API in a process of its own, and a run against it."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from esg_pipeline.ratings import ACCOUNTS_SCHEMA, Rating
from esg_pipeline.sandbox import Behaviour, CallCounts, Sandbox, start_sandbox
from esg_pipeline.scoring import Progress, ScoringOutcome, score_accounts
from esg_pipeline.settings import Settings
from esg_pipeline_tests.scoring.checkpoints import MemoryCheckpoint, MemoryRateLimit
from esg_pipeline_tests.scoring.raw_api import RawApi, run_raw_api

DAY = date(2026, 11, 24)


def begin(process: subprocess.Popen[str]) -> None:
    """Let a scoring that waits begin."""
    assert process.stdin is not None
    process.stdin.write("begin\n")
    process.stdin.flush()


def read_accounts(database: str) -> pa.Table:
    """The active accounts of a sandbox, as the accounts stage gives them."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT account_id, account_name, primary_esg_focus, last_modified FROM accounts "
            "WHERE status = 'active'"
        ).fetchall()
    rows.sort(key=lambda row: row[0].encode())
    return pa.table([list(column) for column in zip(*rows, strict=True)], schema=ACCOUNTS_SCHEMA)


@dataclass
class Scoring:
    """Runs of the engine against one sandbox.

    Attributes:
        accounts: All accounts of the sandbox.
        token: The token that the sandbox takes now.
        checkpoint: Of the newest run.
        outcome: Of the newest run.
        calls_end_at: Of the newest run.
    """

    sandbox: Sandbox
    accounts: pa.Table
    token: str
    checkpoint: MemoryCheckpoint = field(default_factory=MemoryCheckpoint)
    outcome: ScoringOutcome | None = None
    calls_end_at: datetime | None = None

    def settings(self, **settings: Any) -> Settings:
        """Fast, without a limit that would matter, unless told otherwise."""
        given = {
            "api_url": self.sandbox.api_url,
            "api_token": self.token,
            "api_rate_limit": 5000,
            "api_backoff_base": 0.02,
            "api_backoff_max": 0.5,
            "api_timeout": 10,
            **settings,
        }
        return Settings(_env_file=None, **given)

    def run(self, count: int, **options: Any) -> dict[str, Rating]:
        """Score the first `count` accounts; the ratings by account id."""
        return self.run_table(self.accounts.slice(0, count), **options)

    def run_ids(self, account_ids: list[str], **options: Any) -> dict[str, Rating]:
        """Score accounts that the sandbox does not know."""
        nothing = [None] * len(account_ids)
        columns = [account_ids, account_ids, nothing, nothing]
        return self.run_table(pa.table(columns, schema=ACCOUNTS_SCHEMA), **options)

    def run_table(
        self,
        accounts: pa.Table,
        *,
        checkpoint: MemoryCheckpoint | None = None,
        rate_limit: MemoryRateLimit | None = None,
        calls_end_in_s: float = 60,
        reserve_s: float = 60,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        on_progress: Callable[[Progress], None] | None = None,
        **settings: Any,
    ) -> dict[str, Rating]:
        """Score these accounts; `settings` are those of `Settings`."""
        self.checkpoint = checkpoint or MemoryCheckpoint()
        state = self.checkpoint
        calls_end_at = self.calls_end_at = now() + timedelta(seconds=calls_end_in_s)
        self.outcome = score_accounts(
            accounts,
            settings=self.settings(**settings),
            day=DAY,
            writer=self.checkpoint,
            rate_limit=rate_limit or MemoryRateLimit(self.checkpoint),
            resume=MemoryCheckpoint(dict(state.ratings), dict(state.attempts), dict(state.cut_off)),
            calls_end_at=calls_end_at,
            deadline_at=calls_end_at + timedelta(seconds=reserve_s),
            on_progress=on_progress,
            now=now,
        )
        return self.checkpoint.ratings

    def start_process(
        self,
        folder: Path,
        *,
        day: date = DAY,
        count: int | None = None,
        limit: float = 1000,
        at_once: bool = True,
    ) -> subprocess.Popen[str]:
        """Score the first `count` accounts in a process of its own, with the ledger in `folder`."""
        task = {
            "day": day.isoformat(),
            "count": count,
            "database": self.sandbox.accounts_url.removeprefix("sqlite:///"),
            "ledger": f"sqlite:///{folder / 'ledger.db'}",
            "settings": {
                "api_url": self.sandbox.api_url,
                "api_token": self.token,
                "api_rate_limit": limit,
                "api_backoff_base": 0.02,
            },
        }
        command = [
            sys.executable,
            "-m",
            "esg_pipeline_tests.scoring.scoring_process",
            json.dumps(task),
        ]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if at_once:
            begin(process)
        return process

    def ids(self, count: int) -> list[str]:
        """The first `count` account ids."""
        return self.accounts["account_id"].slice(0, count).to_pylist()

    @property
    def counts(self) -> CallCounts:
        """What the server counted."""
        return self.sandbox.counts()


@pytest.fixture(scope="session")
def shared_scoring(servers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scoring]:
    folder: Path = tmp_path_factory.mktemp("sandbox")
    with start_sandbox(folder, accounts=3000) as sandbox:
        yield Scoring(sandbox, read_accounts(str(folder / "accounts.db")), sandbox.token)


@pytest.fixture
def scoring(shared_scoring: Scoring) -> Scoring:
    """A sandbox that behaves well and has counted nothing yet."""
    sound = Behaviour()
    shared_scoring.sandbox.set_faults(
        **{name: getattr(sound, name) for name in Behaviour.__dataclass_fields__}
    )
    shared_scoring.sandbox.reset()
    return shared_scoring


@pytest.fixture
def raw_api(servers: None) -> Iterator[RawApi]:
    """A server that answers with the bytes a test wants."""
    with run_raw_api() as api:
        yield api
