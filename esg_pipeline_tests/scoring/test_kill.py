"""`kill -9` in the middle: the next run asks only for what is missing, and never a fourth time."""

import json
import subprocess
from contextlib import closing, suppress

from esg_pipeline.ledger import Ledger
from esg_pipeline.scoring.engine import MAX_BACKLOG
from esg_pipeline_tests.scoring.conftest import DAY


def test_a_killed_scoring_resumes_without_asking_much_twice(scoring, tmp_path):
    total = scoring.accounts.num_rows
    scoring.sandbox.set_faults({"http_500": "0.05:1"})
    with scoring.start_process(tmp_path) as first:
        scoring.sandbox.wait_for_calls(total // 2)
        first.kill()
    with scoring.start_process(tmp_path) as second:
        output, _ = second.communicate(timeout=60)
    assert second.returncode == 0
    assert json.loads(output) == {"Successful": total, "Partial": 0, "Failed": 0}
    calls = scoring.counts
    assert calls.accounts == total
    assert calls.most_per_account <= 3
    repeated = calls.total - total - calls.by_fault["http_500"]
    assert repeated <= MAX_BACKLOG + scoring.settings().api_max_concurrency


def test_an_account_that_kills_every_run_is_failed_alone(scoring, tmp_path):
    """Those that were in flight with it in two deaths keep their last attempt."""
    poison = scoring.ids(200)[11]
    innocents = set(scoring.ids(200)) - {poison}
    scoring.sandbox.set_faults(account_faults={poison: "timeout"}, latency_s=0.05)
    deaths = 0
    while not run_until_asked_for(scoring, tmp_path, poison):
        deaths += 1
        if deaths == 2:
            with closing(Ledger.open(f"sqlite:///{tmp_path}/ledger.db")) as ledger:
                state = ledger.results.resume_state(ledger.editions.find(DAY, 1))
            in_flight_twice = {each for each, cut_off in state.cut_off.items() if cut_off == 2}
            assert in_flight_twice > {poison}
        assert deaths <= 3
    with closing(Ledger.open(f"sqlite:///{tmp_path}/ledger.db")) as ledger:
        rows = ledger.results.ratings(ledger.editions.find(DAY, 1)).to_pylist()
    assert deaths == 3
    assert {row["account_id"] for row in rows if row["status"] == "Successful"} == innocents
    [failed] = [row for row in rows if row["status"] == "Failed"]
    assert (failed["account_id"], failed["reason"]) == (poison, "connection")
    assert failed["message"] == "3 runs died while this account was asked"
    calls = scoring.sandbox.calls_by_account()
    assert calls[poison] == max(calls.values()) == 3


def run_until_asked_for(scoring, folder, account_id: str) -> bool:
    """Run, and `kill -9` the run when it asks for the account; whether it completed before."""
    asked = scoring.sandbox.calls_by_account().get(account_id, 0)
    with scoring.start_process(folder, count=200) as run:
        while run.poll() is None:
            if scoring.sandbox.calls_by_account().get(account_id, 0) > asked:
                run.kill()
            with suppress(subprocess.TimeoutExpired):
                run.wait(0.02)
    return run.returncode == 0
