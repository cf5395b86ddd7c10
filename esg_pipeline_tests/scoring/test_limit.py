"""The rate limit, as the server counts it."""

import json
import time
from bisect import bisect_right
from collections.abc import Sequence
from datetime import timedelta

import pytest

from esg_pipeline.ledger import RateShare
from esg_pipeline.sandbox import Sandbox
from esg_pipeline.scoring import ScoringOutcome
from esg_pipeline_tests.scoring.checkpoints import MemoryCheckpoint, MemoryRateLimit
from esg_pipeline_tests.scoring.conftest import DAY, begin

STALL_S = 0.5
"""For so long a busy machine may keep the server or the engine from running. Calls that were made
meanwhile bear one time, so so many seconds' worth of them may seem to have come together."""
JUDGED_S = 10
"""In windows of so many seconds a pace that is 8 % too fast is more than a stall explains."""


def is_within(limit: float, arrivals: Sequence[float]) -> bool:
    """In no whole number of seconds were there more calls than the limit allows and a stall hides.

    A pace that is within the limit always passes; one 8 % above it fails after `JUDGED_S`.
    """
    for window_s in range(1, int(arrivals[-1] - arrivals[0]) + 2):
        most = max(n + 1 - bisect_right(arrivals, at - window_s) for n, at in enumerate(arrivals))
        if most > limit * (window_s + STALL_S):
            return False
    return True


def arrivals_at(sandbox: Sandbox) -> list[float]:
    """When the server counted each call, by its own clock."""
    return sorted(call.at for call in sandbox.calls())


@pytest.mark.parametrize("limit", [4, 10, 100, 250])
def test_eight_per_cent_too_fast_is_found_and_a_stall_is_no_false_alarm(limit):
    times = [n / limit for n in range(JUDGED_S * limit + limit)]
    assert is_within(limit, times)
    assert is_within(limit, [5.3 if 5.3 - STALL_S < at < 5.3 else at for at in times])
    assert not is_within(limit, [at / 1.08 for at in times])
    assert not is_within(limit, [*times, *(5 + n / limit / 10 for n in range(limit))][limit:])


@pytest.mark.parametrize("limit", [10, 100, 250])
def test_the_server_never_sees_more_than_the_limit(scoring, limit):
    scoring.run(JUDGED_S * limit + limit // 2, api_rate_limit=limit)
    assert is_within(limit, arrivals_at(scoring.sandbox))


def test_two_dates_at_once_stay_within_one_limit_and_use_it(scoring, tmp_path):
    limit, yesterday = 100, DAY - timedelta(days=1)
    with (
        scoring.start_process(tmp_path, count=700, limit=limit, at_once=False) as today,
        scoring.start_process(tmp_path, day=yesterday, count=1000, limit=limit) as older,
    ):
        scoring.sandbox.wait_for_calls(100)
        begin(today)
        assert json.loads(today.communicate()[0])["Successful"] == 700
        assert json.loads(older.communicate()[0])["Successful"] == 1000
    calls = sorted(scoring.sandbox.calls(), key=lambda call: call.at)
    assert len(calls) == 1700
    assert is_within(limit, [call.at for call in calls])
    of_today = [n for n, call in enumerate(calls) if call.analysis_date == DAY.isoformat()]
    beside = of_today[-1] - of_today[0] + 1 - 700
    assert 0 < beside < 700 / 2, "the older date leaves most of the limit to the newest"


def test_a_limit_too_small_to_share_lets_the_older_date_wait(scoring, tmp_path):
    with scoring.start_process(tmp_path, count=20, limit=4) as today:
        scoring.sandbox.wait_for_calls(4)
        yesterday = DAY - timedelta(days=1)
        with scoring.start_process(tmp_path, day=yesterday, count=8, limit=4) as older:
            assert json.loads(today.communicate()[0])["Successful"] == 20
            assert json.loads(older.communicate()[0])["Successful"] == 8
    assert is_within(4, arrivals_at(scoring.sandbox))


def test_what_a_killed_run_called_last_counts_for_the_one_that_takes_its_share(scoring, tmp_path):
    limit, yesterday = 20, DAY - timedelta(days=1)
    with scoring.start_process(tmp_path, count=900, limit=limit) as today:
        scoring.sandbox.wait_for_calls(10)
        with scoring.start_process(tmp_path, day=yesterday, count=30, limit=limit) as older:
            scoring.sandbox.wait_for_calls(5 * limit)
            today.kill()
            today.wait()
            assert json.loads(older.communicate()[0])["Successful"] == 30
    assert is_within(limit, arrivals_at(scoring.sandbox))


def test_a_share_that_another_had_is_used_a_second_later(scoring):
    given_at = []

    class HandedOver(MemoryRateLimit):
        def take(self, limit: float, in_use: float) -> RateShare:
            given_at.append(time.time())
            return RateShare(limit if len(given_at) > 1 else 0.0, is_free=False)

    scoring.run(5, rate_limit=HandedOver(MemoryCheckpoint()), api_rate_limit=5)
    assert scoring.sandbox.calls()[0].wall >= given_at[1] + 1


def test_a_run_without_a_share_of_the_limit_makes_no_call(scoring):
    class NoShare(MemoryRateLimit):
        def take(self, limit: float, in_use: float) -> RateShare:
            return RateShare(0.0, is_free=False)

    scoring.run(50, rate_limit=NoShare(MemoryCheckpoint()), calls_end_in_s=2)
    assert scoring.counts.total == 0


def test_a_respected_limit_brings_no_throttle(scoring):
    limit = 100
    scoring.sandbox.set_faults(
        rate_limit=round(limit * (1 + STALL_S))
    )  # so no stall can be refused
    scoring.run(250, api_rate_limit=limit)
    assert scoring.counts.over_limit == 0
    assert scoring.counts.total == 250


def test_retries_stay_under_the_limit_when_they_line_up(scoring):
    scoring.sandbox.set_faults({"http_500": "0.5:1"}, latency_s=0.2)
    scoring.run(800, api_rate_limit=100, api_backoff_base=0.001, api_backoff_max=0.001)
    assert scoring.counts.total > JUDGED_S * 100
    assert is_within(100, arrivals_at(scoring.sandbox))


def test_a_throttle_costs_no_attempt_and_pauses_everybody(scoring):
    scoring.sandbox.set_faults(rate_limit=50, throttle_headers={"Retry-After": "3"})
    ratings = scoring.run(80, api_rate_limit=300)
    assert scoring.counts.over_limit > 0
    assert {rating.attempts for rating in ratings.values()} == {1}
    assert {str(rating.status) for rating in ratings.values()} == {"Successful"}
    assert scoring.checkpoint.refunds == scoring.counts.over_limit
    refused = [call.at for call in scoring.sandbox.calls() if call.over_limit]
    in_flight_s = 1 + STALL_S  # what had left before the refusal was heard
    following = [call.at for call in scoring.sandbox.calls() if call.at > refused[0] + in_flight_s]
    assert min(following) >= refused[0] + 3


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Retry-After": "soon"},
        {"Retry-After": "0"},
        {"RateLimit": '"default";r=0;t=1'},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"},
    ],
    ids=str,
)
def test_every_form_of_throttle_is_lived_with(scoring, headers):
    scoring.sandbox.set_faults(rate_limit=20, throttle_headers=headers)
    ratings = scoring.run(35, api_rate_limit=60)
    assert scoring.counts.over_limit > 0
    assert {rating.attempts for rating in ratings.values()} == {1}
    assert len(ratings) == 35


def test_which_statuses_mean_slow_down_is_a_setting(scoring):
    scoring.sandbox.set_faults(rate_limit=20, throttle_status=403)
    ratings = scoring.run(40, api_rate_limit=60, api_throttle_statuses=(429, 403))
    assert {str(rating.status) for rating in ratings.values()} == {"Successful"}
    assert scoring.counts.over_limit > 0


def test_an_absurd_wait_is_cut_and_reported(scoring, caplog):
    scoring.sandbox.set_faults({"http_429": "1:1"}, throttle_headers={"Retry-After": "86400"})
    ratings = scoring.run(1, calls_end_in_s=4)
    outcome: ScoringOutcome = scoring.outcome
    assert outcome.tally.longest_pause_capped_s == 86400
    assert "asks for a wait of 86400 s" in caplog.text
    assert len(ratings) == 1


def test_accounts_throttled_until_the_end_are_failed_as_rate_limited(scoring):
    scoring.sandbox.set_faults({"http_429": 1.0}, throttle_headers={"Retry-After": "1"})
    ratings = scoring.run(3, calls_end_in_s=4)
    assert ratings
    assert {rating.reason for rating in ratings.values()} == {"rate_limited"}
    assert {rating.attempts for rating in ratings.values()} == {0}
    assert scoring.outcome.unanswered == 3 - len(ratings)


def test_a_quota_that_a_good_answer_says_is_used_up_is_waited_for(raw_api, scoring):
    raw_api.headers = {"RateLimit": '"default";r=0;t=1'}
    scoring.run(3, api_url=raw_api.url, api_max_concurrency=1)
    first, second, third = raw_api.arrivals
    assert second - first >= 0.9
    assert third - second >= 0.9
