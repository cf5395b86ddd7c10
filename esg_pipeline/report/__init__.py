"""Rows to files: the report's columns and rules, its rows, and the bytes of both CSV files.

This room turns accounts and ratings into bytes. It opens no file and no connection, reads no
clock, and rounds nothing: scores arrive exact. The same inputs always give the same bytes.
"""

from esg_pipeline.report.build import build_report
from esg_pipeline.report.changes import changed_cells
from esg_pipeline.report.csv_files import format_error_log, format_report, formula_like_ids
from esg_pipeline.report.schema import (
    REPORT_ARROW_SCHEMA,
    REPORT_SCHEMA,
    ReportInvalid,
    validate_report,
)

__all__ = [
    "REPORT_ARROW_SCHEMA",
    "REPORT_SCHEMA",
    "ReportInvalid",
    "build_report",
    "changed_cells",
    "format_error_log",
    "format_report",
    "formula_like_ids",
    "validate_report",
]
