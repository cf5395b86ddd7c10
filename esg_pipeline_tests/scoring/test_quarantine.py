"""Accounts during whose calls two runs died are asked last and alone; else like any other."""

import pytest

from esg_pipeline.scoring import ApiUnauthorized, Ended
from esg_pipeline_tests.scoring.checkpoints import MemoryCheckpoint
from esg_pipeline_tests.scoring.raw_api import response
from esg_pipeline_tests.scoring.test_outage import Outage


class Quarantine(MemoryCheckpoint):
    """Checks that one of these is begun alone, and when all else that was begun is safe."""

    def begin_attempts(self, account_ids):
        if not self.cut_off.keys().isdisjoint(account_ids):
            assert (len(account_ids), self.begun) == (1, set())
        return super().begin_attempts(account_ids)


def after_deaths(account_ids: list[str], deaths: int = 2) -> Quarantine:
    """What is left when so many runs died while these accounts were asked."""
    died = dict.fromkeys(account_ids, deaths)
    return Quarantine(attempts=dict(died), cut_off=died)


def test_they_come_last_and_everybody_is_rated(scoring):
    suspects = scoring.ids(30)[::3]
    ratings = scoring.run(300, checkpoint=after_deaths(suspects))
    assert {str(rating.status) for rating in ratings.values()} == {"Successful"}
    assert {ratings[each].attempts for each in suspects} == {3}
    assert [call.account_id for call in scoring.sandbox.calls()][-10:] == suspects


def test_their_failures_are_retried_like_those_of_others(scoring):
    scoring.sandbox.set_faults({"http_500": "0.5:1", "http_429": "0.2:1"}, latency_s=(0, 0.01))
    scoring.sandbox.set_faults(throttle_headers={"Retry-After": "0"})
    suspects = scoring.ids(40)
    ratings = scoring.run(80, checkpoint=after_deaths(suspects), api_max_attempts=5)
    assert {str(rating.status) for rating in ratings.values()} == {"Successful"}
    assert {ratings[each].attempts for each in suspects} == {3, 4}


def test_an_outage_costs_them_nothing(raw_api, scoring):
    """With their last attempt at stake, the probes ask for nothing."""
    Outage(raw_api, 2.0)
    ratings = scoring.run(
        3,
        checkpoint=after_deaths(scoring.ids(3)),
        api_url=raw_api.url,
        api_max_attempts=5,
        api_backoff_base=0.1,
    )
    assert {str(rating.status) for rating in ratings.values()} == {"Successful"}
    assert raw_api.calls("HEAD")


def test_an_outage_without_end_gives_them_up_with_the_rest(raw_api, scoring):
    raw_api.answer = lambda asked: response(503)
    suspects = scoring.ids(40)
    ratings = scoring.run(
        100, api_url=raw_api.url, checkpoint=after_deaths(suspects), api_outage_patience=0
    )
    assert scoring.outcome.ended is Ended.OUTAGE
    assert {rating.reason for rating in ratings.values()} == {"http_5xx"}
    assert len(ratings) == 100
    assert {ratings[each].attempts for each in suspects} == {2}


def test_a_deadline_leaves_them_unanswered(scoring):
    scoring.sandbox.set_faults(latency_s=0.2)
    suspects = scoring.ids(40)
    ratings = scoring.run(60, checkpoint=after_deaths(suspects), calls_end_in_s=2)
    assert scoring.outcome.ended is Ended.DEADLINE
    assert ratings.keys() > set(scoring.ids(60)[40:])
    assert scoring.outcome.unanswered == 60 - len(ratings) > 0
    assert scoring.outcome.progress.retries_waiting == scoring.outcome.unanswered


def test_refused_credentials_cost_them_no_attempt(scoring):
    died = dict.fromkeys(scoring.ids(5), 2)
    checkpoint = MemoryCheckpoint(attempts=dict(died), cut_off=died)
    with pytest.raises(ApiUnauthorized):
        scoring.run(5, checkpoint=checkpoint, api_token="not-the-right-one")
    assert scoring.checkpoint.ratings == {}
    assert set(scoring.checkpoint.attempts.values()) == {2}


def test_one_that_died_alone_too_is_given_up_and_says_why(scoring):
    [suspect] = scoring.ids(1)
    ratings = scoring.run(50, checkpoint=after_deaths([suspect], 3), api_max_attempts=5)
    assert suspect not in scoring.sandbox.calls_by_account()
    assert (ratings[suspect].reason, ratings[suspect].attempts) == ("connection", 3)
    assert ratings[suspect].message == "3 runs died while this account was asked"
    assert [each for each, rating in ratings.items() if rating.reason] == [suspect]


def test_a_person_who_stops_a_run_is_no_death(raw_api, scoring, monkeypatch):
    monkeypatch.setattr("esg_pipeline.scoring.end_of_calls.STOP_GRACE_S", 0.2)
    raw_api.answer = lambda asked: None  # the calls in flight hang

    def stop(_progress):
        if len(raw_api.calls()) == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scoring.run(20, api_url=raw_api.url, on_progress=stop)
    assert scoring.checkpoint.begun == set(), "every call has an outcome"
    assert set(scoring.checkpoint.attempts.values()) == {1}
