"""Every fault of the table, as its victim sees it on the wire."""

import gzip
import json
import math
import time
import urllib.request
import zlib
from datetime import date

import pytest

from esg_pipeline.sandbox import FAULTS, expected_answer
from esg_pipeline_tests.sandbox.wire import ENDED, RESET, SILENT, ask_on_the_wire, receive, send

ACCOUNT, FOCUS = "A0000042", "social"
TODAY = date(2026, 11, 24)
RIGHT = expected_answer(ACCOUNT, TODAY, FOCUS)

STATUSES = {
    "http_400": 400,
    "http_401": 401,
    "http_403": 403,
    "http_404": 404,
    "http_408": 408,
    "http_422": 422,
    "http_429": 429,
    "http_500": 500,
    "http_502": 502,
    "http_503": 503,
    "http_504": 504,
    "redirect": 307,
    "echo_token": 500,
    "big_error": 500,
    "html_200": 200,
    "empty_200": 200,
    "no_content_204": 204,
}


@pytest.fixture
def ask(sandbox):
    def ask(fault, **details):
        sandbox.set_faults({fault: 1})
        return ask_on_the_wire(sandbox, ACCOUNT, focus=FOCUS, **details)

    return ask


@pytest.mark.parametrize(("fault", "status"), STATUSES.items())
def test_a_status_fault_sends_its_status_and_no_rating(ask, fault, status):
    answer = ask(fault)
    assert (answer.status, answer.ending) == (status, ENDED)
    assert b"esg_score" not in answer.body


def test_http_429_says_when_to_come_back(ask):
    assert ask("http_429").header("Retry-After") == "1"


def test_a_proxy_error_and_a_sign_in_page_are_html(ask):
    for fault in ("http_502", "html_200"):
        answer = ask(fault)
        assert answer.header("Content-Type").startswith("text/html")
        assert b"<html>" in answer.body


def test_empty_answers_are_empty(ask):
    assert ask("empty_200").body == b""
    assert ask("no_content_204").body == b""


def test_the_token_is_echoed(ask, sandbox):
    assert f"Bearer {sandbox.token}".encode() in ask("echo_token").body


def test_a_big_error_is_big(ask):
    assert len(ask("big_error").body) == 5_000_000


def test_a_redirect_leads_to_another_origin_that_counts_who_comes(ask, sandbox):
    location = ask("redirect").header("Location")
    assert location.startswith(sandbox.control_url)
    assert not location.startswith(sandbox.api_url.rpartition("/")[0])
    assert sandbox.counts().strays == 0
    urllib.request.urlopen(location).close()
    assert (sandbox.counts().strays, sandbox.counts().strays_with_token) == (1, 0)


def test_timeout_never_answers(ask):
    answer = ask("timeout", patience_s=0.3)
    assert (answer.head, answer.body, answer.ending) == ("", b"", SILENT)


def test_slow_answers_rightly_but_late(ask, sandbox):
    sandbox.set_faults(slow_s=0.3)
    began = time.monotonic()
    assert ask("slow").json == RIGHT
    assert time.monotonic() - began >= 0.3


def test_drip_sends_one_byte_a_second(sandbox):
    sandbox.set_faults({"drip": 1})
    answer = receive(send(sandbox, ACCOUNT, FOCUS), patience_s=0.5)
    assert (answer.status, answer.body, answer.ending) == (200, b"{", SILENT)


def test_reset_comes_in_the_middle_of_the_body(ask):
    answer = ask("reset")
    assert (answer.status, answer.ending) == (200, RESET)
    assert 0 < len(answer.body) < int(answer.header("Content-Length"))


def test_truncated_ends_before_its_length(ask):
    answer = ask("truncated")
    assert answer.ending == ENDED
    assert 0 < len(answer.body) < int(answer.header("Content-Length"))


def test_truncated_without_a_length_is_half_a_json(ask):
    answer = ask("truncated_no_length")
    assert answer.ending == ENDED
    assert answer.header("Content-Length") is answer.header("Transfer-Encoding") is None
    assert json.dumps(RIGHT).encode().startswith(answer.body)
    assert len(answer.body) == len(json.dumps(RIGHT)) // 2


def test_a_truncated_chunk_is_shorter_than_it_says(ask):
    answer = ask("truncated_chunk")
    size, _, chunk = answer.body.partition(b"\r\n")
    assert answer.header("Transfer-Encoding") == "chunked"
    assert 0 < len(chunk) < int(size, 16)


def test_close_after_hangs_up_without_having_said_so(ask):
    answer = ask("close_after")
    assert (answer.json, answer.ending) == (RIGHT, ENDED)
    assert answer.header("Connection") is None


def test_text_plain_utf16_and_bom_carry_the_right_answer_in_the_wrong_dress(ask):
    plain = ask("text_plain")
    assert plain.header("Content-Type") == "text/plain; charset=utf-8"
    assert plain.json == RIGHT
    assert json.loads(ask("utf16").body.decode("utf-16")) == RIGHT
    marked = ask("bom").body
    assert marked[:3] == b"\xef\xbb\xbf"
    assert json.loads(marked[3:]) == RIGHT


def test_brotli_is_sent_though_nobody_asked(ask):
    answer = ask("unasked_br_encoding")
    assert answer.header("Content-Encoding") == "br"
    # One stored block: three bytes of head, the answer, one byte of end.
    assert json.loads(answer.body[3:-1]) == RIGHT


def test_double_gzip_is_gzip_inside(ask):
    answer = ask("double_gzip")
    assert answer.header("Content-Encoding") == "gzip"
    assert json.loads(gzip.decompress(gzip.decompress(answer.body))) == RIGHT


def test_the_plain_bomb_is_10_mb_of_valid_json(ask):
    answer = ask("bomb_plain")
    assert 10_000_000 < len(answer.body) == int(answer.header("Content-Length"))
    assert answer.json["esg_analysis"] == RIGHT["esg_analysis"]


def test_the_gzip_bomb_is_small_and_becomes_300_mb(ask):
    answer = ask("bomb_gzip")
    assert len(answer.body) < 400_000
    assert answer.header("Content-Encoding") == "gzip"
    inflate, size, end = zlib.decompressobj(wbits=31), 0, b""
    rest = answer.body
    while not inflate.eof:
        piece = inflate.decompress(rest, 10_000_000)
        rest = inflate.unconsumed_tail
        size += len(piece)
        end = (end + piece)[-1000:]
    assert size > 300_000_000
    assert json.loads(b"{" + end.partition(b'", ')[2])["esg_analysis"] == RIGHT["esg_analysis"]


def test_deep_json_is_100_000_deep(ask):
    body = ask("deep_json").body
    assert b"[" * 100_000 + b"]" * 100_000 in body
    with pytest.raises(RecursionError):
        json.loads(body)


def test_a_doubled_key_has_two_values(ask):
    pairs = []
    json.loads(ask("doubled_key").body, object_pairs_hook=pairs.append)
    overall = [value for key, value in pairs[0] if key == "overall_esg_score"]
    assert overall == [1, RIGHT["esg_analysis"]["overall_esg_score"]]


@pytest.mark.parametrize(
    ("fault", "literal"), [("nan", b"NaN"), ("infinity", b"Infinity"), ("overflow", b"1e999")]
)
def test_a_number_that_is_none_stands_where_the_overall_score_belongs(ask, fault, literal):
    answer = ask(fault)
    assert b'"overall_esg_score": %s, ' % literal in answer.body
    assert not math.isfinite(answer.json["esg_analysis"]["overall_esg_score"])


def overall(answer):
    return answer["esg_analysis"]["overall_esg_score"]


def scores(answer):
    return [value for key, value in answer["esg_analysis"].items() if key.endswith("_score")]


def others_right(answer, *changed):
    analysis, right = answer["esg_analysis"], RIGHT["esg_analysis"]
    return all(analysis[key] == value for key, value in right.items() if key not in changed)


YESTERDAY = expected_answer(ACCOUNT, date(2026, 11, 23), FOCUS)["esg_analysis"]

WRONG_ANSWERS = {
    "out_of_range": lambda a: not 0 <= overall(a) <= 100,
    "string_score": lambda a: isinstance(overall(a), str),
    "bool_score": lambda a: overall(a) is True,
    "container_score": lambda a: isinstance(overall(a), list | dict),
    "null_scores": lambda a: scores(a) == [None] * 5,
    "missing_overall": lambda a: "overall_esg_score" not in a["esg_analysis"],
    "missing_pillar": lambda a: (
        "social_score" not in a["esg_analysis"] and others_right(a, "social_score")
    ),
    "pillar_out_of_range": lambda a: (
        a["esg_analysis"]["environmental_score"] == 101 and others_right(a, "environmental_score")
    ),
    "missing_analysis": lambda a: set(a) == {"status", "portfolio_id", "analysis_date"},
    "wrong_account": lambda a: a == expected_answer("A0000040", TODAY, FOCUS),
    "missing_account": lambda a: "portfolio_id" not in a and others_right(a),
    "stale_date": lambda a: a == expected_answer(ACCOUNT, date(2026, 10, 25), FOCUS),
    "yesterday_date": lambda a: a == expected_answer(ACCOUNT, date(2026, 11, 23), FOCUS),
    "tomorrow_date": lambda a: a == expected_answer(ACCOUNT, date(2026, 11, 25), FOCUS),
    "missing_date": lambda a: "analysis_date" not in a and others_right(a),
    "slash_date": lambda a: a["analysis_date"] == "11/24/2026" and others_right(a),
    "status_error": lambda a: a == RIGHT | {"status": "error"},
    "status_partial": lambda a: a == RIGHT | {"status": "partial"},
    "status_unknown": lambda a: a == RIGHT | {"status": "throttled"},
    "other_focus": lambda a: a == expected_answer(ACCOUNT, TODAY, "governance"),
    "unknown_focus": lambda a: a["esg_analysis"]["primary_esg_focus"] == "biodiversity",
    "scale_of_ten": lambda a: overall(a) == pytest.approx(overall(RIGHT) / 10),
    "direction_flipped": lambda a: overall(a) == pytest.approx(100 - overall(RIGHT)),
    "same_scores": lambda a: scores(a) == [50] * 5,
    "copied_scores": lambda a: a == RIGHT | {"esg_analysis": YESTERDAY},
    "jumped_scores": lambda a: abs(overall(a) - overall(RIGHT)) == pytest.approx(20),
}


@pytest.mark.parametrize(("fault", "is_wrong_so"), WRONG_ANSWERS.items())
def test_a_wrong_answer_is_wrong_as_it_says(ask, fault, is_wrong_so):
    answer = ask(fault)
    assert (answer.status, answer.header("Content-Type")) == (200, "application/json")
    assert is_wrong_so(answer.json)


def test_the_oracle_names_the_fault_it_played(ask, sandbox):
    ask("status_error")
    assert sandbox.counts().by_fault == {"status_error": 1}


def test_every_fault_of_the_table_has_a_meaning_and_a_test():
    tested_alone = {
        "timeout", "slow", "drip", "reset", "truncated", "truncated_no_length", "truncated_chunk",
        "close_after", "text_plain", "utf16", "bom", "unasked_br_encoding", "double_gzip",
        "bomb_plain", "bomb_gzip", "deep_json", "doubled_key", "nan", "infinity", "overflow",
    }  # fmt: skip
    assert set(FAULTS) == set(STATUSES) | set(WRONG_ANSWERS) | tested_alone
    assert all(fault.meaning for fault in FAULTS.values())
