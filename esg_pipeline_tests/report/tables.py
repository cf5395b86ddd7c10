"""Small accounts and ratings tables for the tests of the report."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from esg_pipeline.ratings import ACCOUNTS_SCHEMA, RATINGS_SCHEMA

FINISHED_AT = datetime(2026, 11, 24, 11, 5, 9, 876_543, tzinfo=UTC)
SUCCESSFUL: dict[str, Any] = {
    "status": "Successful",
    "reason": None,
    "overall_esg_score": Decimal("72.68"),
    "environmental_score": Decimal("100.00"),
    "social_score": Decimal("0.00"),
    "governance_score": Decimal("7.10"),
    "primary_esg_focus": "environmental",
    "primary_focus_score": Decimal("80.05"),
    "analysis_date": date(2026, 11, 23),
    "http_status": 200,
    "attempts": 1,
    "message": "",
    "finished_at": FINISHED_AT,
}
PARTIAL = SUCCESSFUL | {
    "status": "Partial",
    "reason": "incomplete_response",
    "social_score": None,
    "primary_esg_focus": None,
    "primary_focus_score": None,
    "message": "social_score is missing",
}
FAILED = dict.fromkeys(SUCCESSFUL) | {
    "status": "Failed",
    "reason": "timeout",
    "attempts": 3,
    "message": "no answer within 30 s",
    "finished_at": FINISHED_AT,
}


def accounts_of(names: dict[str, str]) -> pa.Table:
    """Accounts by id and name."""
    rows = [{"account_id": key, "account_name": name} for key, name in names.items()]
    return pa.Table.from_pylist(rows, schema=ACCOUNTS_SCHEMA)


def ratings_of(ratings: dict[str, dict[str, Any]]) -> pa.Table:
    """Ratings by id."""
    rows = [{"account_id": key} | rating for key, rating in ratings.items()]
    return pa.Table.from_pylist(rows, schema=RATINGS_SCHEMA)
