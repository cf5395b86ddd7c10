"""`kill -9` in the middle: the next run asks only for what is missing, and never a fourth time."""

import json

from esg_pipeline.scoring.engine import MAX_BACKLOG


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
