"""The day against the last good day: movers, and who came, went or cannot be compared."""

from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest

from esg_pipeline.report.summary import (
    LAST_GOOD_SCHEMA,
    BaseDay,
    DayFigures,
    NoBase,
    day_figures,
    last_good_scores,
)
from esg_pipeline.report.summary.comparison import Comparison
from esg_pipeline_tests.report.summary.days import BEFORE, DAY, accounts_of, rating, ratings_of

OLDER = date(2026, 11, 20)
LAST_YEAR = date(2025, 11, 24)


def table(scores: dict[str, str | None]) -> pa.Table:
    return ratings_of([rating(account, score) for account, score in scores.items()])


def figures_of(today: dict[str, str | None], base: BaseDay | NoBase) -> DayFigures:
    accounts = accounts_of({account: f"name of {account}" for account in today})
    return day_figures(
        accounts,
        table(today),
        day=DAY,
        failure_threshold=0.05,
        max_staleness_days=7,
        base=base,
    )


def compared(today: dict[str, str | None], base: BaseDay) -> Comparison:
    comparison = figures_of(today, base).comparison
    assert comparison is not None
    return comparison


def ids(accounts: object) -> list[str]:
    return [each.account_id for each in accounts.accounts]  # type: ignore[attr-defined]


def test_the_largest_moves_come_first_ten_at_most_and_equal_ones_by_id() -> None:
    before = {f"U{n:02}": "50.00" for n in range(12)} | {"D1": "50.00", "D2": "50.00", "S": "1.00"}
    today = {f"U{n:02}": f"{50 + n // 2 + 1}.00" for n in range(12)}
    today |= {"D1": "49.99", "D2": "20.00", "S": "1.00"}
    comparison = compared(today, BaseDay(BEFORE, table(before)))
    assert (comparison.up, comparison.down, comparison.unchanged) == (12, 2, 1)
    up = comparison.movers_up
    assert [each.account.account_id for each in up[:4]] == ["U10", "U11", "U08", "U09"]
    assert len(up) == 10
    assert (up[0].before, up[0].now, up[0].change) == (Decimal(50), Decimal(56), Decimal(6))
    assert up[0].account.account_name == "name of U10"
    down = [(each.account.account_id, each.change) for each in comparison.movers_down]
    assert down == [("D2", Decimal("-30.00")), ("D1", Decimal("-0.01"))]


def test_the_change_of_an_average_is_that_of_the_shown_averages_and_of_the_same_accounts() -> None:
    before = table({"A": "50.00", "B": "60.00", "C": None})
    overall = figures_of({"A": "51.00", "B": None, "C": "90.00"}, BaseDay(BEFORE, before)).averages[
        0
    ]
    assert (overall.before, overall.average) == (Decimal("55.00"), Decimal("70.50"))
    assert overall.change == Decimal("15.50")
    assert (overall.same_accounts, overall.same_accounts_change) == (1, Decimal("1.00"))


def test_a_fall_is_rounded_half_away_from_zero_like_a_rise() -> None:
    before = table({"A": "50.00", "B": "50.00"})
    overall = figures_of({"A": "49.99", "B": "50.00"}, BaseDay(BEFORE, before)).averages[0]
    assert overall.same_accounts_change == Decimal("-0.01")  # -0.005


def test_accounts_are_new_gone_or_back() -> None:
    base = BaseDay(
        BEFORE,
        table({"GONE": "50.00", "STAYS": "50.00"}),
        last_good_scores([(LAST_YEAR, table({"BACK": "40.00"}))]),
    )
    comparison = compared({"STAYS": "50.00", "BACK": "45.00", "NEW": "70.00"}, base)
    assert ids(comparison.new) == ["NEW"]
    assert ids(comparison.gone) == ["GONE"]
    assert comparison.gone.accounts[0].account_name is None
    assert ids(comparison.back) == ["BACK"]
    back = comparison.movers_up[0]
    assert (back.account.account_id, back.before_day, back.change) == (
        "BACK",
        LAST_YEAR,
        Decimal(5),
    )


def test_an_account_that_failed_on_the_base_day_is_compared_with_its_last_good_score() -> None:
    failed_then = table({"A": None, "B": "60.00"})
    older = last_good_scores([(OLDER, table({"A": "30.00", "B": "10.00"}))])
    comparison = compared({"A": "31.00", "B": "60.50"}, BaseDay(BEFORE, failed_then, older))
    assert (comparison.compared, comparison.compared_with_older) == (2, 1)
    assert [(each.account.account_id, each.before_day) for each in comparison.movers_up] == [
        ("A", OLDER),
        ("B", BEFORE),
    ]


def test_every_account_of_the_day_is_counted_once() -> None:
    base = BaseDay(BEFORE, table({"A": "50.00", "B": None, "C": "50.00", "D": None}))
    comparison = compared({"A": "50.00", "B": "50.00", "C": None, "D": None, "N": None}, base)
    assert comparison.compared == 1
    assert comparison.no_earlier_score == 1
    assert comparison.no_score_today == 2
    assert comparison.new.count == 1


@pytest.mark.parametrize("why", list(NoBase))
def test_without_a_base_day_nothing_is_compared_and_the_reason_is_kept(why: NoBase) -> None:
    figures = figures_of({"A": "50.00"}, why)
    assert figures.comparison is None
    assert figures.no_base is why
    assert figures.averages[0].change is None


def test_a_base_day_without_any_score_divides_by_nothing() -> None:
    figures = figures_of({"A": "50.00", "B": None}, BaseDay(BEFORE, table({"A": None, "B": None})))
    assert figures.comparison is not None
    assert figures.comparison.compared == 0
    assert figures.averages[0].before is None
    assert figures.averages[0].change is None


def test_the_last_good_score_is_the_newest_that_is_there() -> None:
    days = [(BEFORE, table({"A": None, "B": "2.00"})), (OLDER, table({"A": "1.00", "B": "9.00"}))]
    found = last_good_scores(days)
    assert found.schema == LAST_GOOD_SCHEMA
    assert found.to_pylist() == [
        {"account_id": "A", "day": OLDER, "overall_esg_score": Decimal("1.00")},
        {"account_id": "B", "day": BEFORE, "overall_esg_score": Decimal("2.00")},
    ]
    assert last_good_scores([]).num_rows == 0
