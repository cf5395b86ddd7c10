"""The error log: one row per account that is not Successful, under the report's CSV rules."""

from pathlib import Path

import pytest

from esg_pipeline.report import format_error_log
from esg_pipeline_tests.report.rfc4180 import read_rfc4180
from esg_pipeline_tests.report.tables import FAILED, PARTIAL, SUCCESSFUL, ratings_of
from esg_pipeline_tests.report.test_report_csv import FORMULA_STARTS, GOLDEN, GOLDEN_RATINGS

HEADER = ["Account ID", "Reason", "HTTP Status", "Attempts", "Message", "Timestamp"]


def test_the_error_log_is_byte_for_byte_the_golden_file() -> None:
    wanted = Path(GOLDEN / "FirmESGRatings_20261124_errors.csv").read_bytes()
    assert format_error_log(ratings_of(GOLDEN_RATINGS)) == wanted


def test_there_is_one_row_per_account_that_is_not_successful_sorted_by_id() -> None:
    ratings = ratings_of({"b": FAILED, "a": SUCCESSFUL, "B": PARTIAL, "Ä": FAILED})
    rows = read_rfc4180(format_error_log(ratings))
    assert rows[0] == HEADER
    assert [row[0] for row in rows[1:]] == ["B", "b", "Ä"]


def test_a_day_without_failures_has_a_log_with_only_the_header() -> None:
    assert read_rfc4180(format_error_log(ratings_of({"A1": SUCCESSFUL}))) == [HEADER]


def test_a_missing_http_status_is_na_and_the_time_is_utc_to_the_second() -> None:
    rows = read_rfc4180(format_error_log(ratings_of({"A1": FAILED})))
    assert rows[1] == ["A1", "timeout", "N/A", "3", "no answer within 30 s", "2026-11-24T11:05:09Z"]


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_a_message_that_starts_like_a_formula_is_neutral(start: str) -> None:
    ratings = ratings_of({"=A1": FAILED | {"message": f'{start}1,"2"\n3'}})
    row = read_rfc4180(format_error_log(ratings))[1]
    assert (row[0], row[4]) == ("=A1", f'\'{start}1,"2"\n3')
