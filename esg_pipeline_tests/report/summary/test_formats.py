"""Numbers, shares, dates and times as the pages write them."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esg_pipeline.report.summary import formats


@pytest.mark.parametrize(
    ("part", "whole", "written"),
    [
        (0, 1000, "0%"),
        (0, 0, "0%"),
        (1000, 1000, "100%"),
        (1, 3, "33.33%"),
        (2, 3, "66.67%"),
        (1, 8000, "0.01%"),  # 0.0125
        (501, 10_000, "5.01%"),
        (1, 1_000_000, "under 0.01%"),
        (999_999, 1_000_000, "over 99.99%"),
    ],
)
def test_a_share_is_percent_with_two_decimals(part: int, whole: int, written: str) -> None:
    assert formats.share(part, whole) == written


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_only_none_is_0_percent_and_only_all_is_100_percent(part: int, whole: int) -> None:
    written = formats.share(min(part, whole), whole)
    assert (written == "0%") == (part == 0)
    assert (written == "100%") == (part >= whole)


@pytest.mark.parametrize(
    ("fraction", "written"), [(0.05, "5%"), (0.025, "2.5%"), (0.1, "10%"), (1, "100%"), (0.0, "0%")]
)
def test_a_setting_is_written_short(fraction: float, written: str) -> None:
    assert formats.percent(fraction) == written


def test_a_change_has_a_sign_and_none_is_not_zero() -> None:
    assert formats.change(Decimal("0.12")) == "+0.12"
    assert formats.change(Decimal("-0.12")) == "−0.12"
    assert formats.change(Decimal("0.00")) == "0.00"
    assert formats.change(None) == "N/A"


def test_dates_are_written_in_english() -> None:
    assert formats.long_date(date(2026, 11, 24)) == "Tuesday, November 24, 2026"
    assert formats.month_and_day(date(2026, 3, 8)) == "Mar 8"


def test_a_time_on_another_day_has_its_date() -> None:
    at = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)
    assert formats.central(at, date(2026, 11, 24)) == "20:00:00 CST"
    assert formats.central(at, date(2026, 11, 25)) == "November 24, 2026, 20:00:00 CST"


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.9, "0 s"),
        (8, "8 s"),
        (1448, "24 min 8 s"),
        (12_919, "3 h 35 min"),
        (90_000, "25 h 0 min"),
    ],
)
def test_a_duration_is_as_fine_as_it_matters(seconds: float, written: str) -> None:
    assert formats.duration(timedelta(seconds=seconds)) == written
