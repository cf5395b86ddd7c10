"""The summary for programs: documented keys, exact numbers, names as they are."""

import json
import re
from typing import Any

from esg_pipeline.report.summary import BaseDay, NoBase, day_figures, drift, format_summary_json
from esg_pipeline.report.summary.json_file import KEYS
from esg_pipeline_tests.report.summary.days import (
    BEFORE,
    DAY,
    accounts_of,
    edition_facts,
    rating,
    ratings_of,
)

NAME = "Müller & Söhne \u202e=1+1\x01</script>"


def content_of(base: BaseDay | NoBase, *, with_drift: bool = True) -> bytes:
    today = ratings_of([rating("A", "72.68"), rating("B", None)])
    figures = day_figures(
        accounts_of({"A": NAME, "B": "Birch"}),
        today,
        day=DAY,
        failure_threshold=0.05,
        max_staleness_days=7,
        base=base,
    )
    before = base.ratings if isinstance(base, BaseDay) else None
    look = drift(today, before) if with_drift else None
    return format_summary_json(figures, edition_facts(), look)


BASE = BaseDay(BEFORE, ratings_of([rating("A", "72.55"), rating("Z", "1.00")]))


def summary(base: BaseDay | NoBase = BASE) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(content_of(base))
    return parsed


def test_the_keys_are_the_documented_ones_in_order() -> None:
    assert list(summary()) == list(KEYS)
    assert list(summary(NoBase.FIRST_DAY)) == list(KEYS)


def test_numbers_are_exact_as_written() -> None:
    average = summary()["averages"][0]
    assert average == {
        "score": "overall_esg_score",
        "average": 72.68,
        "accounts": 1,
        "before": 36.78,  # 36.775, half up
        "change": 35.9,
        "same_accounts": 1,
        "same_accounts_change": 0.13,
    }
    written = re.findall(rb'"(?:average|before|now|change)": (-?[\d.]+)', content_of(BASE))
    assert all(len(number.partition(b".")[2]) <= 2 for number in written)


def test_the_figures_are_those_of_the_page() -> None:
    parsed = summary()
    assert parsed["schema_version"] == 1
    assert parsed["day"] == "2026-11-24"
    assert parsed["totals"] == {
        "accounts": 2,
        "successful": 1,
        "partial": 0,
        "failed": 1,
        "failure_threshold": 0.05,
        "success_rate": 0.5,
        "failure_share": 0.5,
        "is_over_threshold": True,
    }
    assert parsed["reasons"] == [
        {
            "status": "Failed",
            "reason": "timeout",
            "count": 1,
            "accounts": [{"account_id": "B", "account_name": "Birch"}],
            "not_listed": 0,
        }
    ]
    comparison = parsed["comparison"]
    assert comparison["base_day"] == "2026-11-23"
    assert comparison["movers_up"] == [
        {
            "account_id": "A",
            "account_name": NAME,
            "before": 72.55,
            "before_day": "2026-11-23",
            "now": 72.68,
            "change": 0.13,
        }
    ]
    assert comparison["gone"]["accounts"] == [{"account_id": "Z", "account_name": None}]
    assert parsed["edition"]["started_at"] == "2026-11-24T11:00:02+00:00"
    assert parsed["drift"]["findings"][0]["name"] == "average_move"


def test_without_a_base_day_the_reason_stands_there() -> None:
    parsed = summary(NoBase.FIRST_DAY)
    assert parsed["comparison"] is None
    assert parsed["no_base"] == "first_day"


def test_drift_is_null_when_it_was_not_asked_for() -> None:
    assert json.loads(content_of(BASE, with_drift=False))["drift"] is None


def test_the_file_is_ascii_so_that_no_character_can_act() -> None:
    assert content_of(BASE).isascii()
    assert b"\\u202e" in content_of(BASE)


def test_the_same_day_gives_the_same_bytes() -> None:
    assert content_of(BASE) == content_of(BASE)
