"""How long the API asks to wait, in every form it may say so."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from esg_pipeline.scoring.api.asked_pause import asked_pause_s

NOW = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


def http_date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


def pause(is_throttle: bool = True, **headers: str) -> float | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return asked_pause_s(CIMultiDict(named), now=NOW, is_throttle=is_throttle)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("0", 0),
        ("1.5", 1.5),
        ("1000000000", 1_000_000_000),
        (http_date(NOW + timedelta(seconds=90)), 90),
        (http_date(NOW - timedelta(seconds=90)), 0),
        ("-1", None),
        ("1e9", None),
        ("soon", None),
        ("", None),
        ("٧", None),
        ("9" * 400, None),
        ("Tue, 99 Nov 2026 11:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_junk_is_ignored(value, seconds):
    assert pause(Retry_After=value) == seconds


@pytest.mark.parametrize("skew", [timedelta(minutes=5), timedelta(minutes=-5)])
def test_a_date_is_taken_by_the_servers_own_clock(skew):
    there = NOW + skew
    assert pause(Date=http_date(there), Retry_After=http_date(there + timedelta(seconds=7))) == 7
    assert (
        pause(Date=http_date(there), X_RateLimit_Reset=f"{EPOCH + skew.total_seconds():.0f}") == 0
    )


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"RateLimit": '"default";r=0;t=7'}, 7),
        ({"RateLimit": "default;r=0;t=7"}, 7),
        ({"RateLimit": '"a;b,c";r=0;t=7'}, 7),
        ({"RateLimit": '"burst";r=0;t=3, "day";r=0;t=600'}, 600),
        ({"RateLimit": '"burst";r=0;t=3, "day";r=50;t=600'}, 3),
        ({"RateLimit": "limit=100, remaining=0, reset=5"}, 5),
        ({"RateLimit": "junk"}, None),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "30"}, 30),
        ({"RateLimit-Reset": "30"}, 30),
        ({"RateLimit-Reset": str(EPOCH + 30)}, 30),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(EPOCH + 30)}, 30),
        ({"X-RateLimit-Reset": str((EPOCH + 30) * 1000)}, 30),
        ({"X-RateLimit-Reset": "12"}, 12),
        ({"X-RateLimit-Reset": str(EPOCH - 30)}, 0),
        ({"X-RateLimit-Reset": "-5"}, None),
        ({"X-RateLimit-Reset": "soon"}, None),
        ({"X-RateLimit-Remaining": "5", "X-RateLimit-Reset": "12"}, None),
        ({}, None),
    ],
)
def test_rate_limit_headers_tell_seconds_from_points_in_time(headers, seconds):
    assert asked_pause_s(CIMultiDict(headers), now=NOW) == seconds


def test_retry_after_wins():
    assert pause(Retry_After="2", RateLimit='"default";r=0;t=7', X_RateLimit_Reset="9") == 2


def test_a_good_answer_makes_us_wait_only_for_a_quota_that_is_used_up():
    assert pause(is_throttle=False, RateLimit='"default";r=0;t=7') == 7
    assert pause(is_throttle=False, RateLimit='"default";r=3;t=7') is None
    assert pause(is_throttle=False, RateLimit_Reset="7") is None
    assert pause(is_throttle=False, Retry_After="7") is None


NAMES = ("Retry-After", "RateLimit", "RateLimit-Reset", "X-RateLimit-Reset", "Date")


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=60)), st.booleans())
def test_no_header_breaks_the_reader_or_turns_time_back(headers, is_throttle):
    seconds = asked_pause_s(CIMultiDict(headers), now=NOW, is_throttle=is_throttle)
    assert seconds is None or seconds >= 0
