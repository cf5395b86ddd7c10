"""The bytes of the report and of the error log (docs/design.md#report).

RFC 4180: CRLF after every line, quotes only around fields that hold a comma, a quote, CR or LF
(and around an empty text, so that it is not taken for a missing one). UTF-8. `N/A` for missing.
Every text is written byte for byte as it came, also with control characters, except that the
formula guard may put one `'` before it. Nothing is judged here.
"""

from io import BytesIO
from typing import cast

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from esg_pipeline.ratings import ProcessingStatus
from esg_pipeline.report.schema import ACCOUNT_ID, ACCOUNT_NAME
from esg_pipeline.safe_text import FORMULA_START

MISSING = "N/A"


def format_report(report: pa.Table, *, bom: bool = False, formula_guard: bool = True) -> bytes:
    """Write the report as CSV.

    Args:
        report: REPORT_ARROW_SCHEMA, valid (`validate_report`).
        bom: Start with a UTF-8 byte order mark.
        formula_guard: Put `'` before a name that a spreadsheet would run as a formula. Account
            ids are never changed.
    """
    frame = as_frame(report)
    if formula_guard:
        frame = frame.with_columns(_guarded(ACCOUNT_NAME))
    return _csv(frame, bom=bom)


def format_error_log(ratings: pa.Table) -> bytes:
    """Write the error log: one row per account that is not Successful, sorted by Account ID.

    Args:
        ratings: RATINGS_SCHEMA. The HTTP status is `N/A` when no answer came. Messages are
            guarded against formulas, because a part of them may come from the API.
    """
    not_successful = as_frame(ratings).filter(pl.col("status") != ProcessingStatus.SUCCESSFUL)
    rows = not_successful.select(
        pl.col("account_id").alias(ACCOUNT_ID),
        pl.col("reason").alias("Reason"),
        pl.col("http_status").alias("HTTP Status"),
        pl.col("attempts").alias("Attempts"),
        _guarded("message").alias("Message"),
        pl.col("finished_at").alias("Timestamp"),
    )
    return _csv(rows.sort(ACCOUNT_ID))


def formula_like_ids(accounts: pa.Table) -> list[str]:
    """The account ids that a spreadsheet would run as a formula; they are kept as they are."""
    ids = accounts["account_id"]
    return cast(list[str], ids.filter(pc.match_substring_regex(ids, FORMULA_START)).to_pylist())


def as_frame(table: pa.Table) -> pl.DataFrame:
    """The same columns as a Polars frame."""
    return cast(pl.DataFrame, pl.from_arrow(table, rechunk=False))


def _guarded(column: str) -> pl.Expr:
    text = pl.col(column)
    return pl.when(text.str.contains(FORMULA_START)).then("'" + text).otherwise(text).alias(column)


def _csv(frame: pl.DataFrame, *, bom: bool = False) -> bytes:
    out = BytesIO()
    frame.write_csv(
        out,
        include_bom=bom,
        line_terminator="\r\n",
        null_value=MISSING,
        datetime_format="%Y-%m-%dT%H:%M:%SZ",
    )
    return out.getvalue()
