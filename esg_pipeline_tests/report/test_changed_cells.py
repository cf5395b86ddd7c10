"""The comparison of two editions, for the manifest."""

from decimal import Decimal

from esg_pipeline.report import build_report, changed_cells
from esg_pipeline_tests.report.tables import (
    FAILED,
    PARTIAL,
    SUCCESSFUL,
    accounts_of,
    ratings_of,
)

NAMES = {"A1": "One", "A2": "Two", "A3": "Three"}
FIRST = {"A1": FAILED, "A2": SUCCESSFUL, "A3": PARTIAL}


def test_equal_editions_have_no_changed_cell() -> None:
    report = build_report(accounts_of(NAMES), ratings_of(FIRST))
    assert changed_cells(report, report).num_rows == 0


def test_each_changed_cell_is_told_as_the_files_write_it() -> None:
    old = build_report(accounts_of(NAMES), ratings_of(FIRST))
    better = {"A1": SUCCESSFUL, "A3": PARTIAL | {"social_score": Decimal("5.00")}}
    new = build_report(accounts_of(NAMES), ratings_of(FIRST | better))
    told = [tuple(row.values()) for row in changed_cells(old, new).to_pylist()]
    assert told == [
        ("A1", "Overall ESG Score", "N/A", "72.68"),
        ("A1", "Environmental Score", "N/A", "100.00"),
        ("A1", "Social Score", "N/A", "0.00"),
        ("A1", "Governance Score", "N/A", "7.10"),
        ("A1", "Primary ESG Focus", "N/A", "Environmental"),
        ("A1", "Primary Focus Score", "N/A", "80.05"),
        ("A1", "Analysis Date", "N/A", "2026-11-23"),
        ("A1", "Processing Status", "Failed", "Successful"),
        ("A3", "Social Score", "N/A", "5.00"),
    ]


def test_among_many_accounts_each_ones_cells_are_in_the_order_of_the_columns() -> None:
    names = {f"{letter}{number:04}": "n" for letter in "Aa" for number in range(2000)}
    old = build_report(accounts_of(names), ratings_of(dict.fromkeys(names, FAILED)))
    new = build_report(accounts_of(names), ratings_of(dict.fromkeys(names, SUCCESSFUL)))
    told = [(row["account_id"], row["column"]) for row in changed_cells(old, new).to_pylist()]
    columns = [name for name in new.schema.names if not name.startswith("Account")]
    assert told == [(account, column) for account in sorted(names) for column in columns]


def test_an_account_of_only_one_edition_is_one_row() -> None:
    old = build_report(accounts_of({"A1": "One"}), ratings_of({"A1": SUCCESSFUL}))
    new = build_report(accounts_of({"B1": "One"}), ratings_of({"B1": SUCCESSFUL}))
    told = [tuple(row.values()) for row in changed_cells(old, new).to_pylist()]
    assert told == [("A1", "Account ID", "A1", None), ("B1", "Account ID", None, "B1")]


def test_a_changed_name_is_told_without_its_values() -> None:
    old = build_report(accounts_of({"A1": "Canary Old"}), ratings_of({"A1": FAILED}))
    new = build_report(accounts_of({"A1": "Canary New"}), ratings_of({"A1": FAILED}))
    told = [tuple(row.values()) for row in changed_cells(old, new).to_pylist()]
    assert told == [("A1", "Account Name", "(not shown)", "(not shown)")]
