"""What an answer of the API is worth: docs/design.md#trusted-answers, case by case."""

import json
from copy import deepcopy
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esg_pipeline.ratings import Focus, ProcessingStatus, Reason
from esg_pipeline.scoring.api.answer import Answer, AnswerPaths, read_answer
from esg_pipeline.settings import Settings

DAY = date(2026, 11, 24)
GOOD = {
    "status": "success",
    "portfolio_id": "0017",
    "analysis_date": "2026-11-24",
    "esg_analysis": {
        "overall_esg_score": 72.675,
        "environmental_score": 1.005,
        "social_score": 50,
        "governance_score": 100.0,
        "primary_esg_focus": "environmental",
        "primary_focus_score": 1.005,
    },
    "something_new": {"overall_esg_score": 1},
}
SCORES = ("overall", "environmental", "social", "governance", "focus_score")


def read(body: bytes | dict, *, focus: Focus | None = Focus.ENVIRONMENTAL, **settings) -> Answer:
    return read_answer(
        body if isinstance(body, bytes) else json.dumps(body).encode(),
        account_id="0017",
        asked_focus=focus,
        day=DAY,
        paths=AnswerPaths.from_settings(Settings(_env_file=None, **settings)),
        max_staleness_days=7,
    )


def changed(path: str, value: object) -> dict:
    """The good answer with one field set, or removed when the value is `...`."""
    answer = deepcopy(GOOD)
    *way, last = path.split(".")
    place = answer
    for key in way:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return answer


def with_overall(text: str) -> bytes:
    return json.dumps(GOOD).replace("72.675", text).encode()


def test_a_good_answer_is_successful():
    assert read(GOOD) == Answer(
        ProcessingStatus.SUCCESSFUL,
        overall=7268,
        environmental=101,
        social=5000,
        governance=10000,
        focus=Focus.ENVIRONMENTAL,
        focus_score=101,
        analysis_date=DAY,
    )


@pytest.mark.parametrize(
    ("text", "hundredths"),
    [
        ("72.675", 7268),
        ("1.005", 101),
        ("2.675", 268),
        ("0.005", 1),
        ("0.0049999999999999999999999999999999999999", 0),
        ("-0.0", 0),
        ("0", 0),
        ("100", 10000),
        ("100.000", 10000),
        ("1E1", 1000),
        ("7.25e+1", 7250),
        ("99.99999999999999999999999999999999999999", 10000),
    ],
)
def test_scores_are_rounded_half_up_on_the_digits_that_were_sent(text, hundredths):
    assert read(with_overall(text)).overall == hundredths


@given(st.decimals(min_value=0, max_value=100, allow_nan=False, allow_infinity=False))
def test_every_decimal_from_0_to_100_is_a_score(number):
    text = f"{number:f}"
    exact = Decimal(text).quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert read(with_overall(text)).overall == int(exact * 100)


@pytest.mark.parametrize(
    "text",
    [
        *("NaN", "Infinity", "-Infinity", "1e999", "1e99999999999999999999"),
        *("-1", "-0.001", "100.0001", "101", "1e18", "123456789012345678901234567890"),
        *('"72.5"', '"72,5"', '" 72 "', '"N/A"', '""', "true", "false", "[72]"),
        *('{"value": 72}', "0." + "0" * 500),
    ],
)
def test_what_is_not_a_number_from_0_to_100_is_no_score(text):
    overall = read(with_overall(text))
    assert (overall.status, overall.reason) == (ProcessingStatus.FAILED, Reason.INVALID_RESPONSE)
    assert [getattr(overall, name) for name in SCORES] == [None] * 5
    assert overall.analysis_date is None

    pillar = read(json.dumps(GOOD).replace("50", text).encode())
    assert (pillar.status, pillar.reason) == (ProcessingStatus.PARTIAL, Reason.INVALID_RESPONSE)
    assert (pillar.overall, pillar.social, pillar.governance) == (7268, None, 10000)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b'"success"',
        b"{}x",
        json.dumps(GOOD).encode()[:-1],
        json.dumps(GOOD).encode("utf-16"),
        b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),
        json.dumps(GOOD).replace("}", ', "social_score": 3, "social_score": 4}', 1).encode(),
        b'{"a":' * 100_000,
        b'{"a": "\xff"}',
        b'{"a": ' + b"9" * 10_000 + b"}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_not_one_json_object_is_unreadable(body):
    answer = read(body)
    assert (answer.status, answer.reason) == (ProcessingStatus.FAILED, Reason.UNREADABLE_RESPONSE)


F, P, S = ProcessingStatus.FAILED, ProcessingStatus.PARTIAL, ProcessingStatus.SUCCESSFUL
INVALID, INCOMPLETE = Reason.INVALID_RESPONSE, Reason.INCOMPLETE_RESPONSE


@pytest.mark.parametrize(
    ("path", "value", "status", "reason"),
    [
        ("status", "error", F, INVALID),
        ("status", "Success", F, INVALID),
        ("status", "pending", F, INVALID),
        ("status", ..., F, INVALID),
        ("status", True, F, INVALID),
        ("status", "partial", P, INCOMPLETE),
        ("portfolio_id", "0018", F, Reason.IDENTITY_MISMATCH),
        ("portfolio_id", "17", F, Reason.IDENTITY_MISMATCH),
        ("portfolio_id", 17, F, Reason.IDENTITY_MISMATCH),
        ("portfolio_id", "0017 ", F, Reason.IDENTITY_MISMATCH),
        ("portfolio_id", "", F, Reason.IDENTITY_MISMATCH),
        ("portfolio_id", None, F, INCOMPLETE),
        ("portfolio_id", ..., F, INCOMPLETE),
        ("esg_analysis", ..., F, INCOMPLETE),
        ("esg_analysis", [], F, INCOMPLETE),
        ("esg_analysis.overall_esg_score", None, F, INCOMPLETE),
        ("esg_analysis.overall_esg_score", ..., F, INCOMPLETE),
        ("esg_analysis.governance_score", ..., P, INCOMPLETE),
        ("esg_analysis.governance_score", None, P, INCOMPLETE),
        ("esg_analysis.governance_score", 100.5, P, INVALID),
        ("esg_analysis.primary_focus_score", ..., P, INCOMPLETE),
        ("esg_analysis.primary_focus_score", -1, P, INVALID),
        ("analysis_date", ..., P, INCOMPLETE),
        ("analysis_date", "2026-11-25", P, INVALID),
        ("analysis_date", "11/24/2026", P, INVALID),
        ("analysis_date", "20261124", P, INVALID),
        ("analysis_date", "2026-11-31", P, INVALID),
        ("analysis_date", "2026-11-24T00:00", P, INVALID),
        ("analysis_date", "２０２６-11-24", P, INVALID),
        ("analysis_date", 20261124, P, INVALID),
        ("analysis_date", "2026-11-17", S, None),
        ("analysis_date", "2026-11-16", P, Reason.STALE_ANALYSIS),
    ],
)
def test_each_field_decides_as_the_contract_says(path, value, status, reason):
    answer = read(changed(path, value))
    assert (answer.status, answer.reason) == (status, reason)
    assert bool(answer.message) == (reason is not None)
    if status is F:
        assert [getattr(answer, name) for name in SCORES] == [None] * 5
    else:
        assert answer.overall == 7268


def test_a_stale_analysis_keeps_its_values():
    answer = read(changed("analysis_date", "2026-10-01"))
    assert answer.analysis_date == date(2026, 10, 1)
    assert answer.social == 5000


def test_an_analysis_from_the_future_loses_its_date_only():
    answer = read(changed("analysis_date", "2026-11-25"))
    assert answer.analysis_date is None
    assert answer.social == 5000


@pytest.mark.parametrize(
    ("asked", "said", "status", "focus", "score"),
    [
        (Focus.SOCIAL, "social", S, Focus.SOCIAL, 101),
        (Focus.SOCIAL, "SOCIAL", S, Focus.SOCIAL, 101),
        (Focus.SOCIAL, "Environmental", P, None, None),
        (Focus.SOCIAL, "biodiversity", P, None, None),
        (Focus.SOCIAL, "=social", P, None, None),
        (Focus.SOCIAL, 1, P, None, None),
        (Focus.SOCIAL, ..., P, None, None),
        (Focus.SOCIAL, None, P, None, None),
        (None, "governance", S, Focus.GOVERNANCE, 101),
        (None, "biodiversity", P, None, None),
        (None, "", P, None, None),
        (None, ..., S, None, None),
        (None, None, S, None, None),
    ],
)
def test_the_focus_must_be_one_of_ours_and_the_one_asked(asked, said, status, focus, score):
    answer = read(changed("esg_analysis.primary_esg_focus", said), focus=asked)
    assert (answer.status, answer.focus, answer.focus_score) == (status, focus, score)


def test_the_first_problem_decides_and_the_message_lists_all():
    body = changed("analysis_date", "2026-10-01")
    del body["esg_analysis"]["social_score"]
    body["esg_analysis"]["primary_focus_score"] = "x"
    answer = read(body)
    assert answer.reason is INCOMPLETE
    assert answer.message == (
        "missing: esg_analysis.social_score; the analysis is 54 days old; "
        "invalid: esg_analysis.primary_focus_score"
    )


@pytest.mark.parametrize("status", ["s3cret-token-123", "Jane Doe", "x\ny", "x" * 5000, "Ω"])
def test_no_value_of_an_answer_gets_into_a_message(status):
    assert read(changed("status", status)).message == "status is not a known word"


def test_another_vendors_paths_need_no_code():
    body = {"state": "success", "id": "0017", "d": "2026-11-24", "r": {"x": {"all": 5}}}
    answer = read(
        body,
        focus=None,
        api_field_status="state",
        api_field_portfolio_id="id",
        api_field_analysis_date="d",
        api_field_overall_esg_score="r.x.all",
    )
    assert (answer.status, answer.overall, answer.analysis_date) == (P, 500, DAY)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
PATHS = [*(f"esg_analysis.{field}" for field in GOOD["esg_analysis"]), "status", "portfolio_id"]


@given(st.sampled_from([*PATHS, "analysis_date", "esg_analysis"]), JSON)
def test_whatever_a_field_holds_the_cells_agree_with_the_status(path, value):
    answer = read(changed(path, value))
    cells = [getattr(answer, name) for name in SCORES]
    assert all(cell is None or 0 <= cell <= 10_000 for cell in cells)
    assert answer.analysis_date is None or answer.analysis_date <= DAY
    match answer.status:
        case ProcessingStatus.SUCCESSFUL:
            assert answer.reason is None
            assert None not in cells
        case ProcessingStatus.PARTIAL:
            assert answer.reason is not None
            assert answer.overall is not None
        case ProcessingStatus.FAILED:
            assert answer.reason is not None
            assert cells == [None] * 5


@given(st.binary())
def test_no_body_breaks_the_reader(body):
    assert read(body).status in ProcessingStatus
