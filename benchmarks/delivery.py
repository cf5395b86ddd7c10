"""From the scores frame to the delivered, verified, encrypted file.

Each way of doing it runs in a process of its own, so that its peak memory is its own.
"""

import argparse
import json
import random
import time
from contextlib import nullcontext
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa

from benchmarks.peers.job import DAY, peak_mb
from benchmarks.scoring import make_accounts, open_day
from esg_pipeline.accounts import account_list_sha256
from esg_pipeline.daily_run import deliver_edition
from esg_pipeline.delivery import DeliveryFacts, deliver, open_signer, open_store, verify
from esg_pipeline.delivery.parquet import from_parquet, to_parquet
from esg_pipeline.ratings import Focus, ProcessingStatus, Rating, Reason, count_statuses
from esg_pipeline.report import build_report, format_error_log, format_report, validate_report
from esg_pipeline.settings import Settings

FAILED_EVERY = 50
BATCH = 1000
FRAME = "ratings.parquet"


def settings_in(folder: Path) -> Settings:
    """A folder store with age encryption, all of it in this folder."""
    return Settings(_env_file=None, DAGSTER_HOME=folder)


def make_rating(account_id: str, rng: random.Random) -> Rating:
    """Random scores; every 50th account is Failed."""
    is_failed = int(account_id[1:]) % FAILED_EVERY == 0
    scores = [None if is_failed else rng.randrange(10_001) for _ in range(5)]
    return Rating(
        account_id=account_id,
        status=ProcessingStatus.FAILED if is_failed else ProcessingStatus.SUCCESSFUL,
        reason=Reason.HTTP_5XX if is_failed else None,
        overall=scores[0],
        environmental=scores[1],
        social=scores[2],
        governance=scores[3],
        focus=None if is_failed else Focus.SOCIAL,
        focus_score=scores[4],
        analysis_date=None if is_failed else date.fromisoformat(DAY),
        http_status=500 if is_failed else 200,
        attempts=3 if is_failed else 1,
        message="HTTP 500" if is_failed else "",
        finished_at=datetime(2026, 1, 15, 12, tzinfo=UTC),
    )


def prepare(accounts: pa.Table, folder: Path) -> None:
    """Not measured: the results, in a ledger and as the frame that `esg_scores` hands on."""
    claim = open_day(folder, settings_in(folder))
    claim.ledger.editions.set_accounts(
        claim.lease, claim.edition, count=accounts.num_rows, sha256=account_list_sha256(accounts)
    )
    writer = claim.ledger.results.writer(claim.lease, claim.edition)
    rng = random.Random(7)
    for batch in accounts.to_batches(BATCH):
        writer.record([make_rating(each, rng) for each in batch["account_id"].to_pylist()])
    (folder / FRAME).write_bytes(to_parquet(claim.ledger.results.ratings(claim.edition)))
    claim.lease.release()


def deliver_frames(accounts: pa.Table, ratings: pa.Table, folder: Path) -> float:
    """What is promised: report, its checks, CSV, encryption, protocol, and a full verification."""
    settings = settings_in(folder / "frames")
    started = time.perf_counter()
    report = build_report(accounts, ratings)
    validate_report(report)
    files = {".csv": format_report(report), "_errors.csv": format_error_log(ratings)}
    store, signer = open_store(settings), open_signer(settings.keys_folder)
    facts = DeliveryFacts(
        day=date.fromisoformat(DAY),
        edition=1,
        run_id="benchmark",
        code_version="benchmark",
        rows=report.num_rows,
        counts={status.value: count for status, count in count_statuses(ratings).items()},
        accounts_sha256=account_list_sha256(accounts),
        label="manual",
    )
    deliver(store, files, facts, signer=signer, fence=nullcontext(), now=datetime.now(UTC))
    verify(store, facts.day, trusted=signer.trusted)
    return time.perf_counter() - started


def deliver_from_ledger(accounts: pa.Table, ratings: pa.Table, folder: Path) -> float:
    """All that `firm_esg_report` does: the ratings once more from the ledger, and the summary."""
    settings = settings_in(folder)
    claim = open_day(folder, settings)
    started = time.perf_counter()
    report = build_report(accounts, ratings)
    validate_report(report)
    store = open_store(settings)
    deliver_edition(claim, settings, store, accounts, ratings, report)
    verify(store, claim.day, trusted=open_signer(settings.keys_folder).trusted)
    seconds = time.perf_counter() - started
    claim.lease.release()
    return seconds


def write_with_pandas(accounts: pa.Table, ratings: pa.Table, folder: Path) -> float:
    """`to_csv` alone, of floats: plain, in one place, not checked, not encrypted, not verified."""
    report = build_report(accounts, ratings)
    scores = [name for name in report.column_names if name.endswith("Score")]
    frame = report.to_pandas().astype(dict.fromkeys(scores, "float64"))
    started = time.perf_counter()
    frame.to_csv(
        folder / "pandas.csv", index=False, na_rep="N/A", lineterminator="\r\n", float_format="%.2f"
    )
    return time.perf_counter() - started


WAYS = {"frames": deliver_frames, "asset": deliver_from_ledger, "pandas": write_with_pandas}


def main() -> None:
    """Do it one way, and print a line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=["prepare", *WAYS])
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    job = parser.parse_args()

    accounts = make_accounts(job.rows)
    if job.way == "prepare":
        prepare(accounts, job.folder)
        return
    ratings = from_parquet((job.folder / FRAME).read_bytes())
    before_mb = peak_mb()
    seconds = WAYS[job.way](accounts, ratings, job.folder)
    print(json.dumps({"seconds": seconds, "before_mb": before_mb, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
