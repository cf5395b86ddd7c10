"""Days of a firm for the tests of the summary: accounts, ratings, and the ways they go wrong."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from esg_pipeline.ratings import ACCOUNTS_SCHEMA, RATINGS_SCHEMA, SCORE
from esg_pipeline.report.summary import EditionFacts

DAY = date(2026, 11, 24)
BEFORE = date(2026, 11, 23)
FIRST = ("Alder", "Birch", "Cedar", "Elm", "Hazel", "Juniper", "Larch", "Maple", "Oak", "Rowan")
KIND = ("Family Trust", "Pension Fund", "Growth Portfolio", "Foundation", "Income Account")
FOCUSES = ("environmental", "social", "governance", None)
FAILED_SCORES = dict.fromkeys(
    ("overall_esg_score", "environmental_score", "social_score", "governance_score")
)


def account_id(number: int) -> str:
    return f"ACC{number:07d}"


def accounts_of(names: dict[str, str]) -> pa.Table:
    """Accounts by id and name."""
    rows = [{"account_id": key, "account_name": name} for key, name in names.items()]
    return pa.Table.from_pylist(rows, schema=ACCOUNTS_SCHEMA)


def rating(account: str, overall: str | None, **more: Any) -> dict[str, Any]:
    """One row of RATINGS_SCHEMA: Successful with four equal scores, or Failed without any."""
    value = None if overall is None else Decimal(overall)
    row = {
        "account_id": account,
        "status": "Failed" if value is None else "Successful",
        "reason": "timeout" if value is None else None,
        **dict.fromkeys(FAILED_SCORES, value),
        "analysis_date": None if value is None else BEFORE,
        "attempts": 3 if value is None else 1,
        "message": "",
        "finished_at": datetime(2026, 11, 24, 11, 5, tzinfo=UTC),
    }
    return row | more


def ratings_of(rows: Iterable[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=RATINGS_SCHEMA)


def firm(size: int) -> pa.Table:
    """The accounts of a firm, with names as a bank has them."""
    names = {
        account_id(n): f"{FIRST[n % 10]} {FIRST[n // 10 % 10]} {KIND[n % 5]}" for n in range(size)
    }
    return accounts_of(names)


def usual_scores(size: int, *, seed: int = 1) -> np.ndarray:
    """Four scores an account, in hundredths, as an ordinary day has them."""
    rng = np.random.default_rng(seed)
    scores = rng.normal([6100, 5500, 6400, 6600], [1400, 1800, 1500, 1200], (size, 4))
    return np.clip(scores.round(), 0, 10_000).astype(np.int64)


def moved(scores: np.ndarray, *, by: float = 60, seed: int = 2) -> np.ndarray:
    """The scores a day later: each a little up or down (standard deviation `by` hundredths)."""
    moves = np.random.default_rng(seed).normal(0, by, scores.shape).round()
    return np.clip(scores + moves, 0, 10_000).astype(np.int64)


def day_of(scores: np.ndarray, *, failed: Sequence[int] = ()) -> pa.Table:
    """Ratings (RATINGS_SCHEMA) of accounts 0, 1, 2 … with these scores; some of them Failed."""
    size = len(scores)
    is_failed = np.zeros(size, bool)
    is_failed[list(failed)] = True
    focus = [FOCUSES[n % 4] for n in range(size)]
    columns = {
        "account_id": pa.array([account_id(n) for n in range(size)]),
        "status": pa.array(np.where(is_failed, "Failed", "Successful")),
        "reason": pa.array(np.where(is_failed, "timeout", ""), mask=~is_failed),
        **{name: _decimals(scores[:, n], is_failed) for n, name in enumerate(FAILED_SCORES)},
        "primary_esg_focus": pa.array(np.array(focus, object), pa.string(), mask=is_failed),
        "primary_focus_score": pa.nulls(size, SCORE),
        "analysis_date": pa.array(np.full(size, BEFORE, object), pa.date32(), mask=is_failed),
        "http_status": pa.nulls(size, pa.int16()),
        "attempts": pa.array(np.where(is_failed, 3, 1), pa.int16()),
        "message": pa.array([""] * size),
        "finished_at": pa.array(
            np.full(size, np.datetime64("2026-11-24T11:05", "us")), pa.timestamp("us", tz="UTC")
        ),
    }
    return pa.table(columns, schema=RATINGS_SCHEMA)


def _decimals(hundredths: np.ndarray, is_null: np.ndarray) -> pa.Array:
    pairs = np.zeros((len(hundredths), 2), np.int64)
    pairs[:, 0] = hundredths
    valid = pa.array(~is_null).buffers()[1]
    return pa.Array.from_buffers(SCORE, len(hundredths), [valid, pa.py_buffer(pairs)])


def edition_facts(**more: Any) -> EditionFacts:
    """A scheduled first edition that took 24 minutes."""
    started = datetime(2026, 11, 24, 11, 0, 2, tzinfo=UTC)
    facts: dict[str, Any] = {
        "number": 1,
        "previous": None,
        "mode": "full",
        "label": "scheduled",
        "asked_by": None,
        "reason": None,
        "changed_cells": None,
        "run_id": "5b2f9c1e-77f4-4f0e-9a51-0d3e0f6f8a11",
        "code_version": "0.1.0",
        "started_at": started,
        "finished_at": started + timedelta(minutes=24, seconds=8),
        "deadline_at": datetime(2026, 11, 24, 15, 0, tzinfo=UTC),
        "calls": 1085,
        "report_name": "FirmESGRatings_20261124.csv",
        "errors_name": "FirmESGRatings_20261124_errors.csv",
        "report_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "key_fingerprint": "SHA256:Yk0mO0wXr4fQn1m0s8p3cTt5J2bq9Wn6Zr7u1dK4e8I",
    }
    return EditionFacts(**(facts | more))
