"""The words every stage shares: account, rating, status, reason, and the columns they travel in.

Only values live here. No stage's logic, no network, no disk.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

import pyarrow as pa


class Focus(StrEnum):
    """An ESG focus, in the words of the API."""

    ENVIRONMENTAL = "environmental"
    SOCIAL = "social"
    GOVERNANCE = "governance"


class ProcessingStatus(StrEnum):
    """The words of the report's last column (docs/design.md#processing-status)."""

    SUCCESSFUL = "Successful"
    PARTIAL = "Partial"
    FAILED = "Failed"


class Reason(StrEnum):
    """Why an account is not Successful, as the error log spells it (docs/design.md#error-log)."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    RATE_LIMITED = "rate_limited"
    HTTP_4XX = "http_4xx"
    HTTP_5XX = "http_5xx"
    NOT_FOUND = "not_found"
    UNAUTHORIZED = "unauthorized"
    UNREADABLE_RESPONSE = "unreadable_response"
    INVALID_RESPONSE = "invalid_response"
    IDENTITY_MISMATCH = "identity_mismatch"
    INCOMPLETE_RESPONSE = "incomplete_response"
    STALE_ANALYSIS = "stale_analysis"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True)
class Account:
    """One active account.

    Attributes:
        account_id: The account management system's id, byte for byte; never a number.
        account_name: For the report only; never logged.
        primary_esg_focus: The focus the account asks for, if any.
        last_modified: As the source gives it, ISO 8601 text.
    """

    account_id: str
    account_name: str
    primary_esg_focus: Focus | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class Rating:
    """What became of one account: its scores, or why it has none.

    Scores are hundredths of a point (7268 is 72.68), 0 to 10,000, rounded half up from the
    decimal text the API sent, so that no binary float ever stands between answer and report.
    A Failed rating has no score, focus or analysis date.

    Attributes:
        attempts: Calls spent on the account in this edition, 0 when it was never asked.
        message: For the error log; no account name, no secret.
        finished_at: UTC.
    """

    account_id: str
    status: ProcessingStatus
    reason: Reason | None
    overall: int | None
    environmental: int | None
    social: int | None
    governance: int | None
    focus: Focus | None
    focus_score: int | None
    analysis_date: date | None
    http_status: int | None
    attempts: int
    message: str
    finished_at: datetime


def failed_rating(
    account_id: str,
    reason: Reason,
    http_status: int | None,
    attempts: int,
    message: str,
    finished_at: datetime,
) -> Rating:
    """A Failed rating: it has no scores."""
    return Rating(
        account_id=account_id,
        status=ProcessingStatus.FAILED,
        reason=reason,
        overall=None,
        environmental=None,
        social=None,
        governance=None,
        focus=None,
        focus_score=None,
        analysis_date=None,
        http_status=http_status,
        attempts=attempts,
        message=message,
        finished_at=finished_at,
    )


SCORE = pa.decimal128(5, 2)
"""0.00 to 100.00 points, exact."""

ACCOUNTS_SCHEMA = pa.schema(
    [
        pa.field("account_id", pa.string(), nullable=False),
        pa.field("account_name", pa.string(), nullable=False),
        pa.field("primary_esg_focus", pa.string()),
        pa.field("last_modified", pa.string()),
    ]
)
"""The `active_accounts` frame, sorted by account_id (code point order)."""

RATINGS_SCHEMA = pa.schema(
    [
        pa.field("account_id", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("overall_esg_score", SCORE),
        pa.field("environmental_score", SCORE),
        pa.field("social_score", SCORE),
        pa.field("governance_score", SCORE),
        pa.field("primary_esg_focus", pa.string()),
        pa.field("primary_focus_score", SCORE),
        pa.field("analysis_date", pa.date32()),
        pa.field("http_status", pa.int16()),
        pa.field("attempts", pa.int16(), nullable=False),
        pa.field("message", pa.string(), nullable=False),
        pa.field("finished_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)
"""The `esg_scores` frame, sorted by account_id (code point order), one row per account."""


def by_status(counts: Mapping[str, int]) -> dict[ProcessingStatus, int]:
    """Counts for each status, zeros included."""
    return {status: counts.get(status, 0) for status in ProcessingStatus}


def count_statuses(ratings: pa.Table) -> dict[ProcessingStatus, int]:
    """Accounts per status (RATINGS_SCHEMA), zeros included."""
    found = ratings["status"].value_counts().to_pylist()
    return by_status({row["values"]: row["counts"] for row in found})
