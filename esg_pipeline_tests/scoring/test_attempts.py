"""Three attempts mean three, as the server counts them, and only where another try can help."""

import pytest

from esg_pipeline_tests.scoring.raw_api import response

RETRIED = [408, 425, 500, 502, 503, 504]
REFUSED = {
    400: "http_4xx",
    402: "http_4xx",
    403: "unauthorized",
    404: "not_found",
    405: "http_4xx",
    409: "http_4xx",
    413: "http_4xx",
    415: "http_4xx",
    422: "http_4xx",
    301: "invalid_response",
    302: "invalid_response",
    304: "invalid_response",
    501: "http_5xx",
    505: "http_5xx",
}


def answering(raw_api, statuses: dict[str, int]):
    """Give some accounts a status, and all others the right answer."""

    def answer(asked):
        if asked.method == "HEAD":
            return response(405)
        status = statuses.get(asked.account_id, 200)
        bodies = {200: asked.right_answer(), 304: b""}
        return response(status, bodies.get(status, b"an error"))

    raw_api.answer = answer


def calls_of(raw_api, account_id: str) -> int:
    return sum(asked.account_id == account_id for asked in raw_api.calls())


def test_some_statuses_are_tried_three_times(raw_api, scoring):
    faulty = dict(zip(scoring.ids(len(RETRIED)), RETRIED, strict=True))
    answering(raw_api, faulty)
    ratings = scoring.run(60, api_url=raw_api.url)
    for account_id, status in faulty.items():
        rating = ratings[account_id]
        assert calls_of(raw_api, account_id) == rating.attempts == 3
        assert rating.reason == ("http_5xx" if status >= 500 else "http_4xx")
        assert (rating.http_status, rating.message) == (status, f"HTTP {status}")
    assert len(raw_api.calls()) == 60 + 2 * len(faulty)


def test_all_other_statuses_are_a_final_no(raw_api, scoring):
    faulty = dict(zip(scoring.ids(len(REFUSED)), REFUSED, strict=True))
    answering(raw_api, faulty)
    ratings = scoring.run(90, api_url=raw_api.url)
    assert len(raw_api.calls()) == 90
    for account_id, status in faulty.items():
        rating = ratings[account_id]
        assert (rating.http_status, rating.reason) == (status, REFUSED[status])
        assert (str(rating.status), rating.attempts) == ("Failed", 1)


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_the_number_of_attempts_is_a_setting(raw_api, scoring, attempts):
    [faulty] = scoring.ids(1)
    answering(raw_api, {faulty: 500})
    ratings = scoring.run(30, api_url=raw_api.url, api_max_attempts=attempts)
    assert calls_of(raw_api, faulty) == ratings[faulty].attempts == attempts


def test_a_tenth_that_always_fails_gets_three_calls_each_and_nobody_else_more_than_one(scoring):
    scoring.sandbox.set_faults({"http_500": 0.1})
    ratings = scoring.run(1000)
    failed = {account_id for account_id, rating in ratings.items() if rating.reason}
    calls = scoring.sandbox.calls_by_account()
    assert 50 < len(failed) < 200
    assert {calls[account_id] for account_id in failed} == {3}
    assert {calls[account_id] for account_id in ratings.keys() - failed} == {1}
    assert scoring.outcome.tally.failed == len(failed)


def test_what_fails_once_succeeds_at_the_second_attempt(scoring):
    scoring.sandbox.set_faults({"http_503": "0.1:1", "truncated": "0.1:1", "timeout": "0.02:1"})
    ratings = scoring.run(500, api_timeout=5)
    assert {str(rating.status) for rating in ratings.values()} == {"Successful"}
    assert {rating.attempts for rating in ratings.values()} == {1, 2}
    assert scoring.counts.most_per_account == 2


def test_a_kept_connection_that_was_closed_is_no_hidden_retry(raw_api, scoring):
    """aiohttp would repeat a GET by itself when the server closes a kept connection."""
    url = raw_api.url + "/{account_id}"
    raw_api.answer = lambda asked: b""
    ratings = scoring.run(1, api_url=url, api_timeout=0.3, api_outage_patience=0)
    assert len(raw_api.calls("GET")) == ratings[scoring.ids(1)[0]].attempts == 1


def test_each_attempt_was_written_ahead(scoring):
    scoring.sandbox.set_faults({"http_500": "0.2:1"})
    scoring.run(400)
    assert scoring.checkpoint.begun == set()
    assert scoring.checkpoint.begun_calls == scoring.counts.total
