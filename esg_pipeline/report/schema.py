"""What the report is: its ten columns, their types and the rules between them, in one place.

Everything else that needs a column, a type or a rule of the report reads it from `REPORT_SCHEMA`.
This module judges a report and never changes one.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from itertools import islice
from typing import Any

import pandas as pd
import pandera.pandas as pa_check
import pyarrow as pa
from pandera.errors import SchemaError, SchemaErrorReason, SchemaErrors

from esg_pipeline.ratings import SCORE, Focus, ProcessingStatus

ACCOUNT_ID = "Account ID"
ACCOUNT_NAME = "Account Name"
OVERALL = "Overall ESG Score"
PILLARS = ("Environmental Score", "Social Score", "Governance Score")
FOCUS = "Primary ESG Focus"
FOCUS_SCORE = "Primary Focus Score"
ANALYSIS_DATE = "Analysis Date"
STATUS = "Processing Status"

ESG_COLUMNS = (OVERALL, *PILLARS, FOCUS, FOCUS_SCORE, ANALYSIS_DATE)
"""The seven cells that are all `N/A` when the account is Failed."""

SHOWN_IDS = 5
SHOWN_ID_LENGTH = 60

_TEXT = pd.ArrowDtype(pa.string())
_SCORE = pd.ArrowDtype(SCORE)
_DATE = pd.ArrowDtype(pa.date32())


def _ascending(ids: pd.Series) -> pd.Series:
    """Each id is greater than the one above it (by code point, as Arrow compares)."""
    return ids.gt(ids.shift()).fillna(True)


def _failed_has_no_esg_cell(report: pd.DataFrame) -> pd.Series:
    empty = report[list(ESG_COLUMNS)].isna().all(axis="columns")
    return report[STATUS].ne(ProcessingStatus.FAILED) | empty


def _rated_has_overall(report: pd.DataFrame) -> pd.Series:
    return report[STATUS].eq(ProcessingStatus.FAILED) | report[OVERALL].notna()


def _successful_is_complete(report: pd.DataFrame) -> pd.Series:
    complete = report[[OVERALL, *PILLARS, ANALYSIS_DATE]].notna().all(axis="columns")
    focus_whole = report[FOCUS].isna() == report[FOCUS_SCORE].isna()
    return report[STATUS].ne(ProcessingStatus.SUCCESSFUL) | (complete & focus_whole)


def _rule(name: str, check: Callable[[Any], pd.Series]) -> pa_check.Check:
    """A rule on whole columns; its name is what the reader of an error sees."""
    return pa_check.Check(check, name=name, n_failure_cases=SHOWN_IDS)


def _score(description: str) -> pa_check.Column:
    in_range = pa_check.Check.in_range(
        Decimal(0), Decimal(100), name="must be 0 to 100", n_failure_cases=SHOWN_IDS
    )
    return pa_check.Column(_SCORE, in_range, nullable=True, description=description)


def _word_of(words: Iterable[str]) -> pa_check.Check:
    allowed = list(words)
    name = f"must be one of {', '.join(allowed)}"
    return pa_check.Check.isin(allowed, name=name, n_failure_cases=SHOWN_IDS)


REPORT_SCHEMA = pa_check.DataFrameSchema(
    {
        ACCOUNT_ID: pa_check.Column(
            _TEXT,
            [
                pa_check.Check.str_length(
                    min_value=1, name="must not be empty", n_failure_cases=SHOWN_IDS
                ),
                _rule("must be sorted by code point", _ascending),
            ],
            unique=True,
            description="Id of the account management system, byte for byte.",
        ),
        ACCOUNT_NAME: pa_check.Column(_TEXT, description="Name of the account."),
        OVERALL: _score("Overall ESG score, 0 to 100, high is good."),
        PILLARS[0]: _score("Environmental pillar, 0 to 100."),
        PILLARS[1]: _score("Social pillar, 0 to 100."),
        PILLARS[2]: _score("Governance pillar, 0 to 100."),
        FOCUS: pa_check.Column(
            _TEXT,
            _word_of(focus.capitalize() for focus in Focus),
            nullable=True,
            description="The pillar the account puts first, if any.",
        ),
        FOCUS_SCORE: _score("Score of the primary focus, 0 to 100."),
        ANALYSIS_DATE: pa_check.Column(
            _DATE, nullable=True, description="Date of the analysis that the scores come from."
        ),
        STATUS: pa_check.Column(
            _TEXT, _word_of(ProcessingStatus), description="What became of the account."
        ),
    },
    checks=[
        _rule("Failed means that all seven ESG cells are missing", _failed_has_no_esg_cell),
        _rule("Successful and Partial mean that the overall score is there", _rated_has_overall),
        _rule(
            "Successful means that overall, pillars and analysis date are there, "
            "and a focus exactly when there is a focus score",
            _successful_is_complete,
        ),
    ],
    strict=True,
    ordered=True,
    name="FirmESGRatings",
)
"""docs/design.md#report. The order of the columns is the order in the file."""

REPORT_ARROW_SCHEMA = pa.schema(
    [
        pa.field(name, column.dtype.type.pyarrow_dtype, nullable=column.nullable)
        for name, column in REPORT_SCHEMA.columns.items()
    ]
)
"""The same columns and types as an Arrow schema."""


class ReportInvalid(Exception):
    """The report breaks its rules and must not be stored: one line per broken rule, no names."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def validate_report(report: pa.Table) -> None:
    """Check a report against `REPORT_SCHEMA`, all rules at once.

    Raises:
        ReportInvalid: one line per broken rule with the column, the rule, the number of rows and
            the first account ids. Wrong columns or types are told alone, because the rules mean
            nothing on them.
    """
    problems = _shape_problems(report.schema)
    if not problems:
        frame = report.to_pandas(types_mapper=pd.ArrowDtype)
        try:
            REPORT_SCHEMA.validate(frame, lazy=True)
        except SchemaErrors as errors:
            problems = [_rule_problem(error, frame) for error in errors.schema_errors]
    if problems:
        # Not raised inside `except`: Pandera's own text holds account names.
        raise ReportInvalid(problems)


def _shape_problems(schema: pa.Schema) -> list[str]:
    wanted = REPORT_ARROW_SCHEMA
    problems = [f"{name}: column is missing" for name in wanted.names if name not in schema.names]
    problems += [
        f"{name}: column does not belong here" for name in schema.names if name not in wanted.names
    ]
    if not problems and schema.names != wanted.names:
        problems = [f"columns must be in this order: {', '.join(wanted.names)}"]
    if not problems:
        problems = [
            f"{name}: must be {wanted.field(name).type}, is {schema.field(name).type}"
            for name in wanted.names
            if schema.field(name).type != wanted.field(name).type
        ]
    return problems


def _rule_problem(error: SchemaError, frame: pd.DataFrame) -> str:
    column = error.schema.name
    if error.reason_code is SchemaErrorReason.SERIES_CONTAINS_NULLS:
        rule, broken = "must not be missing", frame[column].isna()
    elif error.reason_code is SchemaErrorReason.SERIES_CONTAINS_DUPLICATES:
        rule, broken = "must be unique", frame[column].duplicated(keep=False)
    else:
        # A column's rule sees only the rows that have a value.
        passed = error.check_output.reindex(frame.index, fill_value=True)
        rule, broken = error.check.name, ~passed.astype(bool)
    ids = frame.loc[broken, ACCOUNT_ID]
    return f"{column}: {rule}; rows: {len(ids)}, first ids: {shown_ids(ids)}"


def shown_ids(ids: Iterable[str | None]) -> str:
    """The first ids of many for an error text, on one line whatever characters are in them."""
    return ", ".join(repr(each)[:SHOWN_ID_LENGTH] for each in islice(ids, SHOWN_IDS))
