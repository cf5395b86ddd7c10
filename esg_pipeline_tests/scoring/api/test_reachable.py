"""What doctor learns of the API, without asking for any account."""

import pytest

from esg_pipeline.scoring import ApiUnauthorized, check_api
from esg_pipeline.scoring.api.reachable import ApiUnreachable
from esg_pipeline_tests.scoring.raw_api import response


def test_an_api_that_answers_is_reported_without_asking_for_an_account(raw_api, scoring):
    raw_api.answer = lambda asked: response(405)
    said = check_api(scoring.settings(api_url=raw_api.url))
    assert said.startswith(f"127.0.0.1:{raw_api.port} answers (HTTP 405")
    assert "shows only when an account is asked" in said
    assert [asked.method for asked in raw_api.asked] == ["HEAD"]
    raw_api.answer = lambda asked: response(200)
    assert check_api(scoring.settings(api_url=raw_api.url)).endswith(" ms)")


def test_a_refused_token_is_named(raw_api, scoring):
    raw_api.answer = lambda asked: response(401)
    with pytest.raises(ApiUnauthorized, match="ESG_API_TOKEN") as error:
        check_api(scoring.settings(api_url=raw_api.url))
    assert scoring.token not in str(error.value)


@pytest.mark.parametrize("status", [500, 503])
def test_an_outage_is_named(raw_api, scoring, status):
    raw_api.answer = lambda asked: response(status)
    with pytest.raises(ApiUnreachable, match=f"HTTP {status}"):
        check_api(scoring.settings(api_url=raw_api.url))


def test_nobody_there_is_named(scoring):
    with pytest.raises(ApiUnreachable, match=r"no answer from 127\.0\.0\.1:9 "):
        check_api(scoring.settings(api_url="http://127.0.0.1:9/rate"))
