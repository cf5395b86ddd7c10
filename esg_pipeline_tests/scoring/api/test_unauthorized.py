"""401 on everything stops the run; on one account it is that account's failure."""

import random
import time

import pytest

from esg_pipeline.safe_text import mask
from esg_pipeline.scoring import ApiUnauthorized
from esg_pipeline_tests.scoring.checkpoints import MemoryCheckpoint
from esg_pipeline_tests.scoring.raw_api import response


def oauth(scoring) -> dict[str, str]:
    environ = scoring.sandbox.oauth_env()
    names = ("api_oauth_token_url", "api_oauth_client_id", "api_oauth_client_secret")
    return {"api_token": None, **{name: environ[f"ESG_{name.upper()}"] for name in names}}


@pytest.mark.parametrize("count", [1, 3, 2000])
def test_401_on_everything_stops_the_run_after_a_few_calls(scoring, count):
    with pytest.raises(ApiUnauthorized, match="ESG_API_TOKEN"):
        scoring.run(count, api_token="not-the-right-one")
    assert scoring.counts.total <= 2 * 64
    assert scoring.checkpoint.ratings == {}


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_everybody_leaves_everybody_to_a_later_run(raw_api, scoring, status):
    raw_api.answer = lambda asked: response(status)
    with pytest.raises(ApiUnauthorized):
        scoring.run(300, api_url=raw_api.url)
    spent = scoring.checkpoint
    assert spent.ratings == {}
    assert len(raw_api.calls()) <= 2 * 64
    assert max(spent.attempts.values()) == 0, "a refusal of everybody is nobody's attempt"
    ratings = scoring.run(300, checkpoint=MemoryCheckpoint(attempts=spent.attempts))
    assert {str(rating.status) for rating in ratings.values()} == {"Successful"}


@pytest.mark.parametrize("workers", [1, 2, 3, 5, 64])
@pytest.mark.parametrize("count", [6, 8, 300])
def test_a_refusal_of_everybody_costs_nobody_an_attempt_in_whatever_order(
    raw_api, scoring, count, workers
):
    order = random.Random(count + workers)

    def answer(asked):
        time.sleep(order.uniform(0, 0.01))
        return response(401)

    raw_api.answer = answer
    with pytest.raises(ApiUnauthorized):
        scoring.run(count, api_url=raw_api.url, api_max_concurrency=workers)
    assert max(scoring.checkpoint.attempts.values()) == 0


def test_many_runs_with_a_bad_token_cost_no_account_an_attempt(raw_api, scoring):
    raw_api.answer = lambda asked: response(401)
    attempts = {}
    for _ in range(4):
        with pytest.raises(ApiUnauthorized):
            scoring.run(7, api_url=raw_api.url, checkpoint=MemoryCheckpoint(attempts=attempts))
        attempts = scoring.checkpoint.attempts
    ratings = scoring.run(7, checkpoint=MemoryCheckpoint(attempts=attempts))
    assert {(str(each.status), each.attempts) for each in ratings.values()} == {("Successful", 1)}


def test_401_on_one_percent_is_their_failure_after_one_more_call(scoring):
    scoring.sandbox.set_faults({"http_401": 0.01})
    ratings = scoring.run(1000)
    calls = scoring.sandbox.calls_by_account()
    refused = {each: rating for each, rating in ratings.items() if rating.reason}
    assert refused
    assert {(rating.reason, rating.http_status) for rating in refused.values()} == {
        ("unauthorized", 401)
    }
    assert {calls[each] for each in refused} == {2}
    assert {calls[each] for each in ratings.keys() - refused.keys()} == {1}


def test_403_is_not_asked_again(scoring):
    scoring.sandbox.set_faults({"http_403": 0.01})
    ratings = scoring.run(1000)
    assert scoring.counts.most_per_account == 1
    assert scoring.checkpoint.by_reason()["unauthorized"] == scoring.counts.by_status["403"]
    assert len(ratings) == 1000


def test_a_token_that_dies_in_the_middle_stops_the_run_and_keeps_what_was_answered(
    raw_api, scoring
):
    def answer(asked):
        is_good = len(raw_api.calls()) <= 300
        return response(200, asked.right_answer()) if is_good else response(401)

    raw_api.answer = answer
    with pytest.raises(ApiUnauthorized):
        scoring.run(1000, api_url=raw_api.url)
    assert len(scoring.checkpoint.ratings) == 300
    assert set(scoring.checkpoint.by_reason()) == {""}
    assert len(raw_api.calls()) <= 300 + 3 * 64


def test_one_token_serves_all_workers(scoring):
    ratings = scoring.run(500, **oauth(scoring))
    assert len(ratings) == 500
    assert scoring.counts.token_requests == 1


def raw_api_gives(raw_api, token):
    """Let the raw server give this token, and right answers; the settings to fetch it with."""
    body = b'{"access_token": "%s", "token_type": "Bearer"}' % token.encode()
    raw_api.answer = lambda asked: response(
        200, body if b"grant_type" in asked.body else asked.right_answer()
    )
    return {
        "api_token": None,
        "api_oauth_token_url": raw_api.url,
        "api_oauth_client_id": "firm",
        "api_oauth_client_secret": "secret-canary",
    }


def test_scopes_are_asked_for_as_set(raw_api, scoring):
    settings = raw_api_gives(raw_api, "t")
    scoring.run(1, api_url=raw_api.url, api_oauth_scope="ratings.read esg", **settings)
    assert raw_api.calls()[0].body == b"grant_type=client_credentials&scope=ratings.read+esg"
    assert raw_api.calls()[1].headers["Authorization"] == "Bearer t"


def test_a_fetched_token_is_masked_wherever_it_is_shown(raw_api, scoring):
    settings = raw_api_gives(raw_api, "fetched/canary")
    assert mask("it said fetched/canary") == "it said fetched/canary"
    scoring.run(1, api_url=raw_api.url, **settings)
    assert mask("it said fetched/canary and fetched%2Fcanary") == "it said *** and ***"


def test_a_token_is_renewed_before_it_ends(scoring):
    scoring.sandbox.set_faults(token_lifetime_s=4.0)
    scoring.run(500, api_rate_limit=50, **oauth(scoring))
    counts = scoring.counts
    assert counts.unauthorized == 0
    assert 2 <= counts.tokens_issued <= 8


def test_a_revoked_token_is_fetched_once_for_all_and_nobody_fails(scoring):
    rotated = []

    def rotate(progress):
        if progress.answered > 50 and not rotated:
            scoring.token = scoring.sandbox.rotate_token()
            rotated.append(scoring.token)

    ratings = scoring.run(600, api_rate_limit=200, on_progress=rotate, **oauth(scoring))
    assert rotated
    assert {str(rating.status) for rating in ratings.values()} == {"Successful"}
    assert scoring.counts.tokens_issued == 2
    assert scoring.counts.most_per_account <= 2


def test_a_token_endpoint_that_is_down_is_waited_for(scoring):
    scoring.sandbox.set_faults(token_status=500)
    healed = []

    def heal(progress):
        if not healed:
            healed.append(scoring.sandbox.set_faults(token_status=200))

    ratings = scoring.run(50, on_progress=heal, **oauth(scoring))
    assert len(ratings) == 50
    assert scoring.counts.unauthorized == 0


def test_a_client_that_is_refused_a_token_stops_the_run_before_any_call(scoring):
    wrong = {**oauth(scoring), "api_oauth_client_secret": "wrong"}
    with pytest.raises(ApiUnauthorized, match="ESG_API_OAUTH_CLIENT_SECRET"):
        scoring.run(50, **wrong)
    assert scoring.counts.total == 0
    assert scoring.checkpoint.begun == set()


def test_no_secret_is_logged(scoring, caplog):
    caplog.set_level("DEBUG")
    scoring.sandbox.set_faults({"echo_token": 0.1, "http_401": 0.1})
    ratings = scoring.run(100)
    token = scoring.token
    assert token not in caplog.text
    assert not any(token in rating.message for rating in ratings.values())
    names = set(scoring.accounts["account_name"].slice(0, 100).to_pylist())
    assert not any(name in caplog.text for name in names)
