"""The figures of the summary page for programs: `FirmESGRatings_YYYYMMDD_summary.json`.

The keys are a contract, listed in `KEYS`: new ones may come, none goes or changes its meaning
without a new `schema_version`. Like the page it holds account names and is delivered encrypted.
"""

import json
from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from esg_pipeline.report.summary.comparison import Comparison, Mover
from esg_pipeline.report.summary.drift import Drift
from esg_pipeline.report.summary.edition import EditionFacts
from esg_pipeline.report.summary.figures import DayFigures
from esg_pipeline.report.summary.listing import AccountList

SCHEMA_VERSION = 1

KEYS = {
    "schema_version": "Version of these keys.",
    "day": "The business date.",
    "is_whole": "Every active account has exactly one rating, and nothing else has.",
    "totals": "Accounts per status, with `success_rate` and `failure_share` as shares of 1, "
    "`failure_threshold`, and `is_over_threshold` (strictly more failed).",
    "averages": "Per score: `average` over the `accounts` that have it, `before` on the base day, "
    "`change`, and `same_accounts_change` over the `same_accounts` that have it on both days.",
    "overall_bins": "Accounts from `low` to under `high` points of overall score; 100 is in the "
    "last bin.",
    "overall_quartiles": "Of the overall score, as QUARTILE.INC; null without any score.",
    "focus": "Rated accounts per primary focus; `focus` null: without one.",
    "reasons": "Failed and Partial accounts by reason: `count`, the first `accounts`, and how many "
    "are `not_listed` (the error log has all).",
    "freshness": "Analysis dates: `dated` accounts, `oldest`, `newest`, `stale` ones (more than "
    "`max_staleness_days` before the day).",
    "attempts": "`calls` that the ratings of this edition took, and `accounts` per `attempts`.",
    "comparison": "With the last good day `base_day`: moves, `movers_up` and `movers_down`, "
    "accounts `new`, `gone` and `back`, and those not comparable; null when there is none.",
    "no_base": "Why there is no comparison: `first_day` or `not_available`; else null.",
    "drift": "What was measured over all accounts (`population`) and the `findings`; null when it "
    "was not asked for.",
    "edition": "Number, who asked and why, times (UTC), calls, `report_sha256` of the decrypted "
    "report, `key_fingerprint` of the signing key.",
}
"""Top-level keys, in the order of the file, with their meaning. Scores are points with at most
two decimals, exactly as written; dates are ISO, times ISO in UTC."""


def format_summary_json(
    figures: DayFigures, edition: EditionFacts, drift: Drift | None = None
) -> bytes:
    """Write the figures as JSON: ASCII, keys in the order of `KEYS`, names as they are."""
    values: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        **asdict(figures),
        "drift": None if drift is None else asdict(drift),
        "edition": asdict(edition),
    }
    values["totals"] |= {
        "success_rate": round(figures.totals.success_rate, 6),
        "failure_share": round(figures.totals.failure_share, 6),
        "is_over_threshold": figures.totals.is_over_threshold,
    }
    values["reasons"] = [
        {"status": each.status, "reason": each.reason, **_listed(each.accounts)}
        for each in figures.reasons
    ]
    values["attempts"]["accounts_by_attempts"] = [
        {"attempts": attempts, "accounts": accounts}
        for attempts, accounts in figures.attempts.accounts_by_attempts
    ]
    if figures.comparison is not None:
        values["comparison"] |= _comparison(figures.comparison)
    in_order = {key: values[key] for key in KEYS}
    return (json.dumps(in_order, default=_written, indent=1) + "\n").encode("ascii")


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "movers_up": [_mover(each) for each in comparison.movers_up],
        "movers_down": [_mover(each) for each in comparison.movers_down],
        "new": _listed(comparison.new),
        "gone": _listed(comparison.gone),
        "back": _listed(comparison.back),
    }


def _mover(mover: Mover) -> dict[str, Any]:
    values = asdict(mover)
    account: dict[str, Any] = values.pop("account")
    return account | values


def _listed(accounts: AccountList) -> dict[str, Any]:
    return asdict(accounts) | {"not_listed": accounts.not_listed}


def _written(value: Any) -> Any:
    match value:
        case Decimal():
            return float(value)  # two decimals survive a double and its shortest text
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in the summary")
