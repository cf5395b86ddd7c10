"""The figures of a day, against numbers worked out by hand."""

from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest

from esg_pipeline.ratings import ACCOUNTS_SCHEMA, RATINGS_SCHEMA
from esg_pipeline.report.summary import DayFigures, day_figures
from esg_pipeline_tests.report.summary.days import DAY, accounts_of, rating, ratings_of

FIVE = {"A": "Alder", "B": "Birch", "C": "Cedar", "D": "Elm", "E": "Fir"}
RATINGS = ratings_of(
    [
        rating("A", "70.00", primary_esg_focus="social"),
        rating("B", "70.01", primary_esg_focus="social"),
        rating(
            "C",
            "100.00",
            status="Partial",
            reason="stale_analysis",
            social_score=None,
            analysis_date=date(2026, 11, 16),
            attempts=2,
        ),
        rating("D", None),
        rating("E", None, reason="deadline", attempts=0),
    ]
)


def figures_of(accounts: pa.Table, ratings: pa.Table, *, listed: int = 200) -> DayFigures:
    return day_figures(
        accounts,
        ratings,
        day=DAY,
        failure_threshold=0.05,
        max_staleness_days=7,
        listed=listed,
    )


def one_each(scores: list[str | None]) -> DayFigures:
    ids = [f"{n:04}" for n in range(len(scores))]
    rows = [rating(each, score) for each, score in zip(ids, scores, strict=True)]
    return figures_of(accounts_of(dict.fromkeys(ids, "name")), ratings_of(rows))


def test_accounts_are_counted_by_status() -> None:
    totals = figures_of(accounts_of(FIVE), RATINGS).totals
    assert (totals.accounts, totals.successful, totals.partial, totals.failed) == (5, 2, 1, 2)
    assert totals.success_rate == 0.4
    assert totals.failure_share == 0.4
    assert totals.is_over_threshold


@pytest.mark.parametrize(
    ("failed", "accounts", "is_over"),
    [(5, 100, False), (6, 100, True), (50, 1000, False), (51, 1000, True), (1, 7, True)],
)
def test_only_strictly_more_than_the_threshold_is_over(
    failed: int, accounts: int, is_over: bool
) -> None:
    figures = one_each([None] * failed + ["50.00"] * (accounts - failed))
    assert figures.totals.is_over_threshold is is_over


def test_averages_are_exact_and_rounded_half_up_over_the_accounts_that_have_the_score() -> None:
    overall, _, social, _ = figures_of(accounts_of(FIVE), RATINGS).averages
    # (70.00 + 70.01 + 100.00) / 3 = 80.00333…; (70.00 + 70.01) / 2 = 70.005
    assert (overall.score, overall.accounts, overall.average) == (
        "overall_esg_score",
        3,
        Decimal("80.00"),
    )
    assert (social.accounts, social.average) == (2, Decimal("70.01"))
    assert overall.before is overall.change is overall.same_accounts_change is None


def test_a_score_on_a_border_counts_in_the_upper_ten_and_100_in_the_last() -> None:
    bins = one_each(["0.00", "9.99", "10.00", "89.99", "90.00", "100.00", None]).overall_bins
    assert [each.count for each in bins] == [2, 1, 0, 0, 0, 0, 0, 0, 1, 2]
    assert [(each.low, each.high) for each in bins][-1] == (90, 100)


def test_quartiles_are_those_of_a_spreadsheet() -> None:
    quartiles = one_each(["10.00", "20.00", "30.00", "40.05", None]).overall_quartiles
    assert quartiles is not None
    # QUARTILE.INC: 17.5, 25, 32.5125
    assert quartiles.lowest == Decimal("10.00")
    assert quartiles.first == Decimal("17.50")
    assert quartiles.median == Decimal("25.00")
    assert quartiles.third == Decimal("32.51")
    assert quartiles.highest == Decimal("40.05")


def test_focus_is_counted_over_rated_accounts_only() -> None:
    focus = figures_of(accounts_of(FIVE), RATINGS).focus
    assert [(each.focus, each.count) for each in focus] == [
        ("environmental", 0),
        ("social", 2),
        ("governance", 0),
        (None, 1),
    ]


def test_accounts_are_grouped_by_reason_failed_first_commonest_first() -> None:
    rows = [rating(f"{n:02}", None, reason="timeout" if n < 3 else "http_5xx") for n in range(8)]
    rows += [rating("91", "50.00", status="Partial", reason=None)]
    names = {row["account_id"]: f"name {row['account_id']}" for row in rows}
    figures = figures_of(accounts_of(names), ratings_of(rows), listed=2)
    assert [(each.status, each.reason, each.accounts.count) for each in figures.reasons] == [
        ("Failed", "http_5xx", 5),
        ("Failed", "timeout", 3),
        ("Partial", None, 1),
    ]
    first = figures.reasons[0].accounts
    assert [(each.account_id, each.account_name) for each in first.accounts] == [
        ("03", "name 03"),
        ("04", "name 04"),
    ]
    assert first.not_listed == 3


def test_an_analysis_is_stale_when_it_is_older_than_the_days_allowed() -> None:
    rows = [
        rating("A", "50.00", analysis_date=date(2026, 11, 17)),  # seven days: still fresh
        rating("B", "50.00", analysis_date=date(2026, 11, 16)),
        rating("C", None),
    ]
    freshness = figures_of(accounts_of(dict.fromkeys("ABC", "x")), ratings_of(rows)).freshness
    assert (freshness.dated, freshness.stale) == (2, 1)
    assert (freshness.oldest, freshness.newest) == (date(2026, 11, 16), date(2026, 11, 17))


def test_attempts_are_added_up_and_counted() -> None:
    attempts = figures_of(accounts_of(FIVE), RATINGS).attempts
    assert attempts.calls == 1 + 1 + 2 + 3 + 0
    assert attempts.accounts_by_attempts == ((0, 1), (1, 2), (2, 1), (3, 1))


@pytest.mark.parametrize("failed", [0, 1, 30])
def test_a_day_without_any_score_has_no_numbers_and_no_division_by_zero(failed: int) -> None:
    figures = one_each([None] * failed)
    assert figures.is_whole
    assert figures.totals.failure_share == (1 if failed else 0)
    assert figures.averages[0].average is None
    assert figures.overall_quartiles is None
    assert figures.freshness.oldest is None
    assert sum(each.count for each in figures.overall_bins) == 0


@pytest.mark.parametrize(
    "rated", [["A", "B", "C", "D"], ["A", "B", "C", "D", "E", "F"], ["A", "A", "B", "C", "D"]]
)
def test_ratings_that_are_not_exactly_the_accounts_are_not_whole(rated: list[str]) -> None:
    ratings = ratings_of([rating(each, "50.00") for each in rated])
    assert not figures_of(accounts_of(FIVE), ratings).is_whole


def test_the_order_of_the_rows_changes_nothing() -> None:
    accounts = accounts_of(FIVE)
    backwards = pa.concat_tables([RATINGS.slice(n, 1) for n in reversed(range(5))])
    assert figures_of(accounts, backwards) == figures_of(accounts.take([4, 3, 2, 1, 0]), RATINGS)


def test_no_accounts_at_all_are_no_error() -> None:
    figures = figures_of(ACCOUNTS_SCHEMA.empty_table(), RATINGS_SCHEMA.empty_table())
    assert figures.totals.accounts == 0
    assert not figures.totals.is_over_threshold
