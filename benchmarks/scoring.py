"""Our contender: the scoring engine with everything on, as a run uses it.

Write-ahead attempts, checkpoint and lease in a real SQLite ledger, pacer, verdicts, strict answers.
The clock stops when the last result is durable.
"""

import argparse
import json
import os
import time
from datetime import date
from pathlib import Path

import pyarrow as pa

from benchmarks.peers.job import DAY, peak_mb
from esg_pipeline.daily_run import Claim, RunOrder, claim_day
from esg_pipeline.ledger import Ledger
from esg_pipeline.ratings import ACCOUNTS_SCHEMA, Reason
from esg_pipeline.scoring import score_accounts
from esg_pipeline.settings import Settings

NO_LIMIT = 100_000
"""The highest rate that `ESG_API_RATE_LIMIT` takes: the pacer works, and never waits."""


def open_day(folder: Path, settings: Settings) -> Claim:
    """Take the date, in a ledger in this folder; resumes what a killed run left there."""
    return claim_day(
        Ledger.open(f"sqlite:///{folder}/ledger.db"),
        date.fromisoformat(DAY),
        RunOrder(),
        run_id=f"benchmark-{os.getpid()}",
        root_run_id=f"benchmark-{os.getpid()}",
        scheduled=False,
        settings=settings,
    )


def make_accounts(count: int) -> pa.Table:
    """The accounts that the peers ask for too."""
    ids = pa.array([f"A{number:07d}" for number in range(count)])
    nothing = pa.nulls(count, pa.string())
    return pa.table([ids, ids, nothing, nothing], schema=ACCOUNTS_SCHEMA)


def main() -> None:
    """Score so many accounts, and print a line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--rate", type=float, default=NO_LIMIT)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--read-back", action="store_true", help="end as `esg_scores` does")
    job = parser.parse_args()

    settings = Settings(
        _env_file=None,
        api_url=job.url,
        api_token=os.environ.get("ESG_API_TOKEN", "benchmark"),
        api_rate_limit=job.rate,
        api_max_concurrency=job.workers,
    )
    accounts = make_accounts(job.calls)
    claim = open_day(job.folder, settings)
    ledger, edition = claim.ledger, claim.edition
    started, cpu_started = time.perf_counter(), time.process_time()
    outcome = score_accounts(
        accounts,
        settings=settings,
        day=claim.day,
        writer=ledger.results.writer(claim.lease, edition),
        rate_limit=ledger.shared_rate_limit(claim.lease),
        resume=ledger.results.resume_state(edition),
        calls_end_at=claim.window.calls_end_at,
        deadline_at=claim.window.deadline_at,
    )
    line = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu_started,
        "peak_mb": peak_mb(),
        "calls": outcome.tally.calls,
        "scores": ledger.results.counts(edition)["Successful"],
    }
    if job.read_back:
        started = time.perf_counter()
        ledger.results.fail_unanswered(
            claim.lease,
            edition,
            accounts["account_id"].to_pylist(),
            reason=Reason.DEADLINE,
            message="",
            now=claim.window.started_at,
        )
        ledger.results.ratings(edition)
        line["read_back_seconds"] = time.perf_counter() - started
        line["read_back_peak_mb"] = peak_mb()
        line["ledger_mb"] = (job.folder / "ledger.db").stat().st_size / 2**20
    claim.lease.release()
    print(json.dumps(line))


if __name__ == "__main__":
    main()
