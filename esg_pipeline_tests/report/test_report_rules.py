"""Which rows become a report, which reports are refused, and what the refusal says."""

from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from esg_pipeline.ratings import ACCOUNTS_SCHEMA, RATINGS_SCHEMA, SCORE
from esg_pipeline.report import (
    REPORT_ARROW_SCHEMA,
    REPORT_SCHEMA,
    ReportInvalid,
    build_report,
    format_error_log,
    format_report,
    validate_report,
)
from esg_pipeline_tests.report.tables import (
    FAILED,
    FINISHED_AT,
    PARTIAL,
    SUCCESSFUL,
    accounts_of,
    ratings_of,
)

COLUMNS = [
    "Account ID", "Account Name", "Overall ESG Score", "Environmental Score", "Social Score",
    "Governance Score", "Primary ESG Focus", "Primary Focus Score", "Analysis Date",
    "Processing Status",
]  # fmt: skip
SECRET_NAME = "Canary Family Trust"


def report_with(rating: dict[str, Any], account_id: str = "A1") -> pa.Table:
    """A report of one account in which the rating's values stand as they are."""
    return build_report(accounts_of({account_id: SECRET_NAME}), ratings_of({account_id: rating}))


def problems_of(report: pa.Table) -> list[str]:
    with pytest.raises(ReportInvalid) as refused:
        validate_report(report)
    assert SECRET_NAME not in str(refused.value)
    assert refused.value.__context__ is None, "Pandera's own error shows names"
    return refused.value.problems


def with_column(report: pa.Table, name: str, values: Any) -> pa.Table:
    return report.set_column(report.schema.get_field_index(name), name, values)


def test_the_schema_is_the_contract() -> None:
    assert list(REPORT_SCHEMA.columns) == COLUMNS == REPORT_ARROW_SCHEMA.names
    assert [str(each) for each in REPORT_ARROW_SCHEMA.types] == [
        "string", "string", *["decimal128(5, 2)"] * 4, "string", "decimal128(5, 2)",
        "date32[day]", "string",
    ]  # fmt: skip


def test_each_account_stands_beside_its_own_rating() -> None:
    accounts = accounts_of({"b": "Bee", "a": "Ay", "Ä": "Umlaut", "B": "Big"})
    ratings = ratings_of({"Ä": PARTIAL, "B": FAILED, "a": SUCCESSFUL, "b": FAILED})
    rows = build_report(accounts, ratings).to_pylist()
    assert [(row["Account ID"], row["Account Name"]) for row in rows] == [
        ("B", "Big"),
        ("a", "Ay"),
        ("b", "Bee"),
        ("Ä", "Umlaut"),
    ]
    assert [row["Processing Status"] for row in rows] == [
        "Failed",
        "Successful",
        "Failed",
        "Partial",
    ]
    assert rows[1]["Primary ESG Focus"] == "Environmental"
    assert rows[1]["Analysis Date"] == date(2026, 11, 23)
    assert rows[1]["Overall ESG Score"] == Decimal("72.68")
    validate_report(build_report(accounts, ratings))


@pytest.mark.parametrize(
    ("account_ids", "rating_ids", "told"),
    [
        (["A1", "A2"], ["A1"], ["accounts without a rating: 1, first ids: 'A2'"]),
        (["A1"], ["A1", "A\n2"], ["ratings without an account: 1, first ids: 'A\\n2'"]),
        (["A1", "A1"], ["A1", "A1"], ["accounts more than once: 1, first ids: 'A1'",
                                      "accounts with more than one rating: 1, first ids: 'A1'"]),
        (["A1"], ["A1", "A1"], ["accounts with more than one rating: 1, first ids: 'A1'"]),
        (["a"], ["A"], ["accounts without a rating: 1, first ids: 'a'",
                        "ratings without an account: 1, first ids: 'A'"]),
    ],
)  # fmt: skip
def test_accounts_and_ratings_must_match_one_to_one(
    account_ids: list[str], rating_ids: list[str], told: list[str]
) -> None:
    accounts = pa.concat_tables([accounts_of({each: SECRET_NAME}) for each in account_ids])
    ratings = pa.concat_tables([ratings_of({each: FAILED}) for each in rating_ids])
    with pytest.raises(ReportInvalid) as refused:
        build_report(accounts, ratings)
    assert refused.value.problems == [f"Account ID: {each}" for each in told]


@pytest.mark.parametrize(
    "column",
    ["overall_esg_score", "environmental_score", "social_score", "governance_score",
     "primary_esg_focus", "primary_focus_score", "analysis_date"],
)  # fmt: skip
def test_a_failed_row_has_none_of_the_seven_esg_cells(column: str) -> None:
    problems = problems_of(report_with(FAILED | {column: SUCCESSFUL[column]}))
    assert problems == [
        "FirmESGRatings: Failed means that all seven ESG cells are missing; "
        "rows: 1, first ids: 'A1'"
    ]


@pytest.mark.parametrize(
    "column",
    ["environmental_score", "social_score", "governance_score", "primary_esg_focus",
     "primary_focus_score", "analysis_date"],
)  # fmt: skip
def test_a_successful_row_is_complete_and_a_partial_one_need_not_be(column: str) -> None:
    (problem,) = problems_of(report_with(SUCCESSFUL | {column: None}))
    assert problem.startswith("FirmESGRatings: Successful means ")
    validate_report(report_with(SUCCESSFUL | {column: None, "status": "Partial"}))


def test_a_row_that_is_not_failed_has_an_overall_score() -> None:
    (problem,) = problems_of(report_with(PARTIAL | {"overall_esg_score": None}))
    assert problem.startswith("FirmESGRatings: Successful and Partial mean ")


def test_a_successful_row_without_focus_has_no_focus_score_either() -> None:
    neither = {"primary_esg_focus": None, "primary_focus_score": None}
    validate_report(report_with(SUCCESSFUL | neither))


@pytest.mark.parametrize("score", ["100.01", "-0.01"])
def test_scores_are_0_to_100(score: str) -> None:
    problems = problems_of(report_with(SUCCESSFUL | {"social_score": Decimal(score)}))
    assert problems == ["Social Score: must be 0 to 100; rows: 1, first ids: 'A1'"]
    for limit in ("0.00", "100.00"):
        validate_report(report_with(SUCCESSFUL | {"social_score": Decimal(limit)}))


def test_a_missing_score_beside_a_wrong_one_is_not_counted_as_wrong() -> None:
    missing = report_with(PARTIAL | {"social_score": None}, "A1")
    wrong = report_with(PARTIAL | {"social_score": Decimal("100.01")}, "a1")
    assert problems_of(pa.concat_tables([missing, wrong])) == [
        "Social Score: must be 0 to 100; rows: 1, first ids: 'a1'"
    ]


def test_focus_and_status_are_words_of_the_contract() -> None:
    assert problems_of(report_with(SUCCESSFUL | {"primary_esg_focus": "ethics"})) == [
        "Primary ESG Focus: must be one of Environmental, Social, Governance; "
        "rows: 1, first ids: 'A1'"
    ]
    assert problems_of(report_with(SUCCESSFUL | {"status": "Done"})) == [
        "Processing Status: must be one of Successful, Partial, Failed; rows: 1, first ids: 'A1'"
    ]


def test_ids_are_unique_sorted_and_not_empty() -> None:
    one, two = report_with(FAILED, "A1"), report_with(FAILED, "A2")
    assert problems_of(pa.concat_tables([two, one])) == [
        "Account ID: must be sorted by code point; rows: 1, first ids: 'A1'"
    ]
    assert "Account ID: must be unique; rows: 2, first ids: 'A1', 'A1'" in problems_of(
        pa.concat_tables([one, one])
    )
    assert problems_of(report_with(FAILED, "")) == [
        "Account ID: must not be empty; rows: 1, first ids: ''"
    ]


def test_ids_and_names_are_never_missing() -> None:
    report, missing = report_with(FAILED), pa.nulls(1, pa.string())
    assert problems_of(with_column(report, "Account Name", missing)) == [
        "Account Name: must not be missing; rows: 1, first ids: 'A1'"
    ]
    (problem,) = problems_of(with_column(report, "Account ID", missing))
    assert problem.startswith("Account ID: must not be missing; rows: 1")


def test_all_broken_rules_are_told_at_once_each_with_its_first_ids() -> None:
    names = {f"A{number:03}": SECRET_NAME for number in range(200)}
    ratings = dict.fromkeys(names, SUCCESSFUL | {"status": "Failed", "primary_esg_focus": "x"})
    report = build_report(accounts_of(names), ratings_of(ratings))
    problems = problems_of(report)
    with pytest.raises(ReportInvalid) as refused:
        validate_report(report)
    assert str(refused.value).splitlines() == problems
    ids = "'A000', 'A001', 'A002', 'A003', 'A004'"
    assert problems == [
        "Primary ESG Focus: must be one of Environmental, Social, Governance; "
        f"rows: 200, first ids: {ids}",
        "FirmESGRatings: Failed means that all seven ESG cells are missing; "
        f"rows: 200, first ids: {ids}",
    ]


def test_other_columns_or_types_are_refused_without_showing_a_value() -> None:
    report = report_with(SUCCESSFUL)
    assert problems_of(report.drop(["Account Name"])) == ["Account Name: column is missing"]
    assert problems_of(report.append_column("Region", report["Account Name"])) == [
        "Region: column does not belong here"
    ]
    assert problems_of(report.select(COLUMNS[::-1])) == [
        f"columns must be in this order: {', '.join(COLUMNS)}"
    ]
    as_text = with_column(report, "Overall ESG Score", report["Account Name"])
    assert problems_of(as_text) == ["Overall ESG Score: must be decimal128(5, 2), is string"]


def test_a_million_rows_are_built_checked_and_formatted() -> None:
    count = 1_000_000
    ids = pc.binary_join_element_wise("A", pc.utf8_lpad(pa.array(range(count)).cast("str"), 8), "")
    score = pa.array([Decimal(number) / 4 for number in range(400)] * (count // 400), SCORE)
    text = pa.repeat("Account, of a firm", count)
    none = pa.nulls(count, pa.string())
    rated = [pa.repeat("Successful", count), none, *[score] * 4, pa.repeat("social", count), score]
    rest = [
        pa.repeat(pa.scalar(date(2026, 11, 24), pa.date32()), count),
        pa.repeat(pa.scalar(200, pa.int16()), count),
        pa.repeat(pa.scalar(1, pa.int16()), count),
        pa.repeat("", count),
        pa.repeat(pa.scalar(FINISHED_AT, pa.timestamp("us", tz="UTC")), count),
    ]
    accounts = pa.table([ids, text, none, none], schema=ACCOUNTS_SCHEMA)
    ratings = pa.table([ids, *rated, *rest], schema=RATINGS_SCHEMA)

    report = build_report(accounts, ratings)
    validate_report(report)
    content = format_report(report)
    log = format_error_log(ratings)
    assert content.count(b"\r\n") == count + 1
    assert log.count(b"\r\n") == 1
