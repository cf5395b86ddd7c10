"""An outage is not a failure of accounts: calls stop, probes find the end, nobody is Failed."""

import os
import resource

from esg_pipeline.scoring import Ended
from esg_pipeline_tests.scoring.raw_api import response


class Outage:
    """An API that is down for a while, from the first call on or after some good ones.

    Attributes:
        head_status: What a HEAD gets, None for the same as everything else.
    """

    def __init__(self, raw_api, seconds: float, *, after: int = 0, head_status: int | None = None):
        self._api = raw_api
        self._seconds = seconds
        self._after = after
        self._began_at: float | None = None
        self.head_status = head_status
        raw_api.answer = self.answer

    def answer(self, asked) -> bytes:
        if self._began_at is None and len(self._api.calls()) > self._after:
            self._began_at = asked.at
        is_down = self._began_at is not None and asked.at < self._began_at + self._seconds
        if asked.method == "HEAD":
            return response(self.head_status or (503 if is_down else 405))
        return response(503) if is_down else response(200, asked.right_answer())


def calls_per_account(raw_api) -> dict[str, int]:
    counts: dict[str, int] = {}
    for asked in raw_api.calls():
        counts[asked.account_id] = counts.get(asked.account_id, 0) + 1
    return counts


def test_an_outage_from_the_first_call_costs_few_calls_and_nobody_fails(raw_api, scoring):
    Outage(raw_api, 2.0)
    ratings = scoring.run(1000, api_url=raw_api.url)
    assert {str(rating.status) for rating in ratings.values()} == {"Successful"}
    assert len(raw_api.calls()) <= 1000 * 1.1 + 20
    assert max(calls_per_account(raw_api).values()) <= 3
    assert scoring.outcome.tally.outages == 1


def test_an_outage_in_the_middle_is_waited_out(raw_api, scoring):
    Outage(raw_api, 2.0, after=300)
    ratings = scoring.run(1000, api_url=raw_api.url)
    assert {str(rating.status) for rating in ratings.values()} == {"Successful"}
    assert len(raw_api.calls()) <= 1000 + 64 + 50 + 20


def test_refused_connections_are_an_outage_too(scoring):
    scoring.sandbox.set_faults(listening=False)

    def heal(progress):
        if progress.paused:
            scoring.sandbox.set_faults(listening=True)

    ratings = scoring.run(300, on_progress=heal)
    assert {str(rating.status) for rating in ratings.values()} == {"Successful"}
    assert scoring.counts.total <= 300 * 1.1 + 20


def test_a_few_accounts_survive_an_outage_on_their_last_attempt(raw_api, scoring):
    """With three accounts, probes soon leave each its last attempt; HEAD then goes first."""
    Outage(raw_api, 4.0)
    ratings = scoring.run(3, api_url=raw_api.url, api_backoff_base=0.1)
    assert {str(rating.status) for rating in ratings.values()} == {"Successful"}
    assert max(calls_per_account(raw_api).values()) <= 3
    assert raw_api.calls("HEAD")


def test_accounts_that_always_fail_are_no_outage(raw_api, scoring):
    """At the end only they are left, and every call fails; a HEAD tells the difference."""
    faulty = set(scoring.ids(1000)[::10])

    def answer(asked):
        if asked.method == "HEAD":
            return response(405)
        is_faulty = asked.account_id in faulty
        return response(500) if is_faulty else response(200, asked.right_answer())

    raw_api.answer = answer
    ratings = scoring.run(1000, api_url=raw_api.url)
    assert {each for each, rating in ratings.items() if rating.reason} == faulty
    assert {calls_per_account(raw_api)[each] for each in faulty} == {3}
    assert len(raw_api.calls("HEAD")) <= 20


def test_one_bad_account_alone_gets_its_three_calls(raw_api, scoring):
    raw_api.answer = lambda asked: response(405 if asked.method == "HEAD" else 500)
    [rating] = scoring.run(1, api_url=raw_api.url).values()
    assert (rating.reason, rating.attempts, len(raw_api.calls())) == ("http_5xx", 3, 3)


def test_patience_that_is_over_gives_up_the_rest(raw_api, scoring):
    raw_api.answer = lambda asked: response(503)
    ratings = scoring.run(500, api_url=raw_api.url, api_outage_patience=1.0)
    assert scoring.outcome.ended is Ended.OUTAGE
    assert len(ratings) == 500
    assert {rating.reason for rating in ratings.values()} == {"http_5xx"}
    calls = calls_per_account(raw_api)
    assert all(rating.attempts == calls.get(each, 0) for each, rating in ratings.items())
    assert len(raw_api.calls()) <= 64 + 50 + 10


def test_no_patience_gives_up_as_soon_as_the_outage_is_noticed(raw_api, scoring):
    raw_api.answer = lambda asked: response(503)
    ratings = scoring.run(200, api_url=raw_api.url, api_outage_patience=0, api_backoff_base=30)
    assert len(ratings) == 200
    assert len(raw_api.calls()) <= 100


def test_an_outage_until_the_end_fails_nobody_by_itself(raw_api, scoring):
    raw_api.answer = lambda asked: response(503)
    ratings = scoring.run(200, api_url=raw_api.url, calls_end_in_s=1.5)
    assert ratings == {}
    assert (scoring.outcome.ended, scoring.outcome.unanswered) == (Ended.DEADLINE, 200)


def test_a_drip_on_everything_is_an_outage_and_on_some_is_not(scoring):
    scoring.sandbox.set_faults({"drip": "0.01:1"})
    ratings = scoring.run(300, api_timeout=4)
    assert {str(rating.status) for rating in ratings.values()} == {"Successful"}
    assert scoring.outcome.tally.outages == 0
    scoring.sandbox.set_faults({}, outage="drip")
    scoring.run(100, api_timeout=0.3, api_outage_patience=0)
    assert scoring.outcome.ended is Ended.OUTAGE
    assert set(scoring.checkpoint.by_reason()) == {"timeout"}


def test_retry_after_of_a_503_is_waited_for(raw_api, scoring):
    first = scoring.ids(1)[0]

    def answer(asked):
        if asked.account_id == first and len(raw_api.calls()) == 1:
            return response(503, headers={"Retry-After": "1"})
        return response(200, asked.right_answer())

    raw_api.answer = answer
    scoring.run(20, api_url=raw_api.url, api_max_concurrency=1)
    assert raw_api.arrivals[1] - raw_api.arrivals[0] >= 0.9


def test_a_machine_short_of_sockets_calls_with_fewer_and_fails_nobody(scoring):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    scoring.sandbox.set_faults(latency_s=0.2)
    used = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 25, hard))
    try:
        ratings = scoring.run(150)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert {str(rating.status) for rating in ratings.values()} == {"Successful"}
    assert {rating.attempts for rating in ratings.values()} == {1}
    assert scoring.checkpoint.refunds > 0
    assert scoring.counts.in_flight_peak < 30
