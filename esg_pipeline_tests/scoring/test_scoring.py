"""A whole scoring against a real server: every account once, right, at the pace allowed."""

import threading

import pytest

from esg_pipeline.ratings import ProcessingStatus
from esg_pipeline.sandbox import expected_answer
from esg_pipeline.scoring import Ended
from esg_pipeline_tests.scoring.checkpoints import MemoryCheckpoint
from esg_pipeline_tests.scoring.conftest import DAY


@pytest.mark.parametrize("form", ["POST", "GET"])
def test_every_account_is_asked_once_and_rated_as_the_server_says(scoring, form):
    url = scoring.sandbox.env()["ESG_API_URL"]
    if form == "GET":
        url = url.rpartition("/")[0] + "/portfolios/{account_id}/esg"
    ratings = scoring.run(1000, api_url=url)
    assert scoring.counts.total == scoring.counts.accounts == len(ratings) == 1000
    assert scoring.outcome.ended is Ended.COMPLETE
    assert scoring.outcome.unanswered == 0
    focuses = dict(zip(*scoring.accounts.select([0, 2]).to_pydict().values(), strict=True))
    for account_id, rating in ratings.items():
        analysis = expected_answer(account_id, DAY, focuses[account_id])["esg_analysis"]
        assert rating.status is ProcessingStatus.SUCCESSFUL
        assert abs(rating.overall - 100 * analysis["overall_esg_score"]) <= 0.5 + 1e-9
        assert rating.focus == analysis.get("primary_esg_focus")
        assert (rating.attempts, rating.http_status, rating.analysis_date) == (1, 200, DAY)


def test_what_an_earlier_run_answered_is_not_asked_again(scoring):
    scoring.run(300)
    scoring.sandbox.reset()
    scoring.run(500, checkpoint=scoring.checkpoint)
    assert sorted(scoring.sandbox.calls_by_account()) == sorted(scoring.ids(500)[300:])


def test_progress_of_a_resumed_run_counts_what_the_earlier_one_did(scoring):
    unknown = dict.fromkeys([*scoring.ids(300)[:3], *scoring.ids(500)[-2:]], "http_404")
    scoring.sandbox.set_faults({}, account_faults=unknown)
    scoring.run(300)
    seen = []
    scoring.run(500, checkpoint=scoring.checkpoint, api_rate_limit=150, on_progress=seen.append)
    assert (seen[0].answered >= 300, seen[0].failed >= 3) == (True, True)
    assert (seen[-1].answered, seen[-1].failed) == (500, 5)
    assert scoring.outcome.tally.failed == 2


def test_nothing_to_ask_makes_no_call(scoring):
    scoring.run(10)
    scoring.sandbox.reset()
    scoring.run(10, checkpoint=scoring.checkpoint)
    assert scoring.counts.total == 0
    assert scoring.outcome.ended is Ended.COMPLETE


def test_attempts_of_a_run_that_died_count(scoring):
    scoring.sandbox.set_faults({"http_500": 1.0})
    first, second, third = scoring.ids(3)
    checkpoint = MemoryCheckpoint(attempts={first: 1, second: 2, third: 3})
    ratings = scoring.run(3, checkpoint=checkpoint)
    assert scoring.sandbox.calls_by_account() == {first: 2, second: 1}
    assert [ratings[each].attempts for each in (first, second, third)] == [3, 3, 3]
    assert "cut off" in ratings[third].message


def test_progress_is_told_in_the_callers_thread(scoring):
    seen = []
    scoring.run(
        200,
        api_rate_limit=150,
        on_progress=lambda progress: seen.append((threading.current_thread(), progress)),
    )
    assert {thread for thread, _ in seen} == {threading.current_thread()}
    answered = [progress.answered for _, progress in seen]
    assert answered == sorted(answered)
    assert answered[-1] == 200
    assert scoring.outcome.progress.outcomes == {"answered": 200}


def test_a_slow_ledger_slows_the_calls_and_bounds_what_a_crash_repeats(scoring):
    checkpoint = MemoryCheckpoint(delay_s=0.15)
    scoring.run(2000, checkpoint=checkpoint)
    assert len(checkpoint.ratings) == 2000
    assert checkpoint.largest_batch <= 1000 + scoring.settings().api_max_concurrency


def test_no_more_calls_are_in_flight_than_allowed(scoring):
    scoring.sandbox.set_faults(latency_s=0.05)
    scoring.run(200, api_max_concurrency=7)
    assert scoring.counts.in_flight_peak <= 7
    assert scoring.counts.connections <= 7
