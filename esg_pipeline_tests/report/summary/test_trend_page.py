"""The trend page: gaps are seen and named, and the page is as harmless as the summary."""

import re
from collections.abc import Iterable
from datetime import date, timedelta

import pytest

from esg_pipeline.report.summary import BaseDay, DayRow, day_figures, day_row, format_trend_html
from esg_pipeline.report.summary.score_arithmetic import SCORES
from esg_pipeline_tests.report.summary.days import (
    BEFORE,
    DAY,
    accounts_of,
    edition_facts,
    rating,
    ratings_of,
)
from esg_pipeline_tests.report.summary.page import Page, assert_accessible, assert_harmless


def row(
    day: date, *, failures: dict[str, int] | None = None, average: float | None = 61.0
) -> DayRow:
    failures = {"timeout": 3, "http_5xx": 1} if failures is None else failures
    failed = sum(failures.values())
    return DayRow(
        day=day,
        edition=1,
        accounts=1000,
        successful=1000 - failed,
        partial=0,
        failed=failed,
        averages=dict.fromkeys(SCORES, average),
        duration_s=1448,
        calls=1012,
        failures_by_reason=failures,
    )


def days_back(*numbers: int) -> list[date]:
    return [DAY - timedelta(days=number) for number in numbers]


def pieces(content: bytes, chart: str) -> list[int]:
    """How many points each drawn piece of the chart's first line has."""
    svg = content.decode().split(f'aria-labelledby="{chart}-title')[1].split("</svg>")[0]
    series = svg.split("serie-0")[1].split("serie-1")[0]
    return [
        len(re.findall(r"[\d.]+ [\d.]+", path)) for path in re.findall(r' d="(M[^"]*)"', series)
    ]


def trend(rows: Iterable[DayRow]) -> bytes:
    return format_trend_html(rows, last_day=DAY)


def test_a_missing_day_is_a_gap_in_the_line_a_row_in_the_table_and_named() -> None:
    present = [n for n in range(10) if n != 4]
    content = trend(row(day) for day in days_back(*present))
    assert pieces(content, "averages") == [5, 4]
    text = Page(content).text
    assert "9 days have a report, 1 day has none" in text
    assert "Nov 20. They are gaps in the lines below." in text
    assert "2026-11-20 No report" in text


def test_a_day_without_scores_is_a_gap_in_the_averages_only() -> None:
    rows = [row(day) for day in days_back(0, 1, 3, 4)] + [row(DAY - timedelta(2), average=None)]
    content = trend(rows)
    assert pieces(content, "averages") == [2, 2]
    assert pieces(content, "calls") == [5]
    assert "1 day has none" not in Page(content).text


def test_a_day_between_two_gaps_is_a_dot() -> None:
    content = trend(row(day) for day in days_back(0, 2, 4, 5))
    circles = content.decode().split('aria-labelledby="calls-title')[1].count("<circle")
    assert circles == 4


def test_ninety_days_are_shown_whatever_is_older() -> None:
    rows = [row(day) for day in days_back(*range(200))]
    page = Page(trend(rows))
    assert "90 days from August 27, 2026" in page.text
    assert len([each for each in page.all("th") if each["scope"] == "row"]) == 90


def test_a_gap_at_the_start_of_the_ninety_days_is_shown() -> None:
    text = Page(trend(row(day) for day in days_back(0, 100))).text
    assert "1 day has a report, 89 days have none" in text


def test_the_time_before_the_first_report_is_no_gap() -> None:
    assert "none is missing" in Page(trend(row(day) for day in days_back(0, 1, 2))).text


def test_the_order_of_the_rows_changes_nothing() -> None:
    rows = [row(day) for day in days_back(0, 1, 3)]
    assert trend(rows) == trend(reversed(rows))


def test_the_commonest_reasons_have_lines_and_the_others_one_together() -> None:
    reasons = {"timeout": 9, "http_5xx": 8, "not_found": 7, "deadline": 6, "connection": 5}
    text = Page(trend(row(day, failures=reasons) for day in days_back(0, 1))).text
    assert "No answer in time Service error Account not known Other reasons" in text
    assert "Other reasons: 11 at the end" in text


@pytest.mark.parametrize("present", [(), (0,), (5,), (0, 1), (0, 89), tuple(range(90))])
def test_every_trend_page_is_harmless_and_accessible(present: tuple[int, ...]) -> None:
    page = Page(trend(row(day, failures={}) for day in days_back(*present)))
    assert_harmless(page)
    assert_accessible(page)


def test_a_day_leaves_its_row() -> None:
    figures = day_figures(
        accounts_of({"A": "Alder", "B": "Birch", "C": "Cedar"}),
        ratings_of(
            [
                rating("A", "72.68"),
                rating("B", None),
                rating("C", "50.00", status="Partial", reason="stale_analysis"),
            ]
        ),
        day=DAY,
        failure_threshold=0.05,
        max_staleness_days=7,
        base=BaseDay(BEFORE, ratings_of([rating("A", "72.55")])),
    )
    left = day_row(figures, edition_facts(number=2))
    assert left == DayRow(
        day=DAY,
        edition=2,
        accounts=3,
        successful=1,
        partial=1,
        failed=1,
        averages=dict.fromkeys(SCORES, 61.34),
        duration_s=1448,
        calls=1085,
        failures_by_reason={"timeout": 1},
    )
