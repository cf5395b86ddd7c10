"""The engine's decisions, driven in simulated time by a model of the API."""

from bisect import bisect_right
from random import Random

from esg_pipeline.scoring import Ended
from esg_pipeline_tests.scoring.simulation import SimulatedApi, good, simulate, unavailable


def most_in_a_second(api: SimulatedApi) -> int:
    at = [each for each, _ in api.calls]
    return max(n + 1 - bisect_right(at, each - 1) for n, each in enumerate(at))


def test_a_good_day_calls_each_account_once_at_the_limit_and_never_over_it():
    api = SimulatedApi(lambda account_id, at: good())
    outcome, kept = simulate(2000, api, api_rate_limit=50)
    assert (outcome.ended, len(kept.ratings)) == (Ended.COMPLETE, 2000)
    assert len({account_id for _, account_id in api.calls}) == len(api.calls) == 2000
    assert most_in_a_second(api) == 50
    assert 39 < outcome.seconds < 42


def test_an_hour_without_the_api_fails_nobody():
    api = SimulatedApi(lambda account_id, at: unavailable() if 5 < at < 3600 else good())
    outcome, kept = simulate(1000, api)
    assert (outcome.ended, outcome.tally.outages) == (Ended.COMPLETE, 1)
    assert {str(rating.status) for rating in kept.ratings.values()} == {"Successful"}
    assert len([at for at, _ in api.calls if 30 < at < 3600]) <= 3600 / 60 + 10
    assert outcome.seconds < 3600 + 60 + 1000 / 50 + 30


def test_what_is_not_reached_when_the_calls_must_end_is_left_without_a_rating():
    api = SimulatedApi(lambda account_id, at: good())
    outcome, kept = simulate(1000, api, hours=10 / 3600, api_rate_limit=50)
    assert outcome.ended is Ended.DEADLINE
    assert outcome.unanswered == 1000 - len(kept.ratings)
    assert 480 <= len(kept.ratings) <= 500
    assert max(at for at, _ in api.calls) < 10
    assert kept.begun == set()


def test_a_seed_gives_the_same_run_again():
    def run(seed: int) -> list[tuple[float, str]]:
        faults = Random(7)
        api = SimulatedApi(
            lambda account_id, at: good() if faults.random() < 0.7 else unavailable()
        )
        simulate(300, api, seed=seed)
        return api.calls

    assert run(1) == run(1)
    assert run(1) != run(2)
