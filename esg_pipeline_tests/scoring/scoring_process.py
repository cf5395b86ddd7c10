"""A scoring in a process of its own, with the real ledger, for tests that kill it."""

import json
import sys
from datetime import UTC, date, datetime, timedelta

from esg_pipeline.ledger import Ledger
from esg_pipeline.scoring import score_accounts
from esg_pipeline.settings import Settings
from esg_pipeline_tests.scoring.conftest import read_accounts


def main() -> None:
    """Score accounts of a database; argument: JSON with day, count, database, ledger, settings."""
    task = json.loads(sys.argv[1])
    print("ready", flush=True)
    sys.stdin.readline()
    day = date.fromisoformat(task["day"])
    ledger = Ledger.open(task["ledger"])
    lease = ledger.leases.acquire(day, run_id="run")
    lease.start_heartbeat()
    edition = ledger.editions.open(
        lease,
        run_id="run",
        root_run_id="run",
        mode="full",
        asked_by=None,
        reason=None,
        label="manual",
        code_version="0",
        reask=None,
    )
    end = datetime.now(UTC) + timedelta(minutes=2)
    score_accounts(
        read_accounts(task["database"]).slice(0, task["count"]),
        settings=Settings(_env_file=None, **task["settings"]),
        day=day,
        writer=ledger.results.writer(lease, edition),
        rate_limit=ledger.shared_rate_limit(lease),
        resume=ledger.results.resume_state(edition),
        calls_end_at=end,
        deadline_at=end + timedelta(minutes=1),
    )
    counts = ledger.results.counts(edition)
    lease.release()
    ledger.close()
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
