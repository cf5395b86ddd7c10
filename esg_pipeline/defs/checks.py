"""The asset checks: what must be true of accounts, scores and report, with the numbers behind it.

The blocking ones run inside their asset, before anything is handed on or stored. No check changes
data.
"""

from datetime import date

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from esg_pipeline.daily_run import FrozenAccounts
from esg_pipeline.daily_run.list_release import shrank_too_much
from esg_pipeline.delivery import DeliveryError, Store, TrustedKeys, verify
from esg_pipeline.failure_share import failure_share as share_of_failed
from esg_pipeline.failure_share import is_too_much
from esg_pipeline.ratings import ProcessingStatus, Reason, count_statuses
from esg_pipeline.report import formula_like_ids
from esg_pipeline.report.summary import Drift

ACCOUNT_LIST = dg.AssetCheckSpec(
    "account_list",
    asset="active_accounts",
    description="No ids that look alike or like a formula, and the list did not shrink much. An "
    "empty list, empty or doubled ids are refused before this check.",
)
STALE_DATES = dg.AssetCheckSpec(
    "stale_analysis_dates",
    asset="esg_scores",
    description="No analysis is older than ESG_API_MAX_STALENESS_DAYS.",
)
DELIVERY_PROOF = dg.AssetCheckSpec(
    "delivery_proof",
    asset="firm_esg_report",
    description="What lies before the readers was read back: hashes, signature, counts.",
)
ONE_RESULT_PER_ACCOUNT = dg.AssetCheckSpec(
    "one_result_per_account",
    asset="esg_scores",
    blocking=True,
    description="Every active account has exactly one result, and nothing else has.",
)
REPORT_FOLLOWS_SCHEMA = dg.AssetCheckSpec(
    "report_schema",
    asset="firm_esg_report",
    blocking=True,
    description="Columns, types and rules of the report (Pandera), before anything is stored.",
)
FAILURE_SHARE = dg.AssetCheckSpec(
    "failure_share",
    asset="firm_esg_report",
    description="Not more than ESG_FAILURE_THRESHOLD of the accounts Failed. The report is "
    "delivered all the same.",
)

DRIFT = tuple(
    dg.AssetCheckSpec(name, asset="firm_esg_report", description=description)
    for name, description in {
        "average_move": "The scores moved little, on average, against the last good day.",
        "large_moves": "Few accounts moved by more than ten points.",
        "copied_scores": "The scores are not the same as on the last good day, all of them.",
        "constant_score": "The accounts do not all have one and the same score.",
        "reversed_direction": "What was high is still high: the scale is not upside down.",
        "changed_scale": "The scores still use the scale of 0 to 100.",
    }.items()
)
"""One check for each finding of `summary.drift`. They warn: a vendor's bad day is no reason to
hold a report back, and people must see it."""


def drift_results(drift: Drift | None) -> list[dg.AssetCheckResult]:
    """Turn the findings into check results; without a summary every one of them fails."""
    if drift is None:
        return [
            dg.AssetCheckResult(
                check_name=spec.name,
                passed=False,
                severity=dg.AssetCheckSeverity.WARN,
                description="not judged: the summary could not be made",
            )
            for spec in DRIFT
        ]
    return [
        dg.AssetCheckResult(
            check_name=finding.name,
            passed=finding.passed is not False,
            severity=dg.AssetCheckSeverity.WARN,
            description=finding.sentence,
            metadata={
                "threshold": finding.threshold,
                **({} if finding.number is None else {"number": finding.number}),
            },
        )
        for finding in drift.findings
    ]


def accounts_result(frozen: FrozenAccounts, max_drop: float) -> dg.AssetCheckResult:
    """Say what list was frozen: it is never empty or doubled, the source refuses that before."""
    count = frozen.table.num_rows
    before = frozen.previous[1] if frozen.previous else count
    formula_like = formula_like_ids(frozen.table)
    return dg.AssetCheckResult(
        check_name=ACCOUNT_LIST.name,
        passed=not (
            frozen.look_alikes or formula_like or shrank_too_much(count, frozen.previous, max_drop)
        ),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "accounts": count,
            "accounts_before": before,
            "list_drop": max(0.0, 1 - count / before),
            "look_alike_groups": len(frozen.look_alikes),
            "look_alike_ids": [list(ids) for ids in frozen.look_alikes[:20]],
            "formula_like_ids": formula_like[:20],
        },
    )


def stale_dates(ratings: pa.Table, max_staleness_days: int) -> dg.AssetCheckResult:
    """Look at the analysis dates: the oldest, the newest, and how many are stale."""
    stale = pc.sum(pc.equal(ratings["reason"], Reason.STALE_ANALYSIS.value)).as_py() or 0
    span = pc.min_max(ratings["analysis_date"]).as_py()
    return dg.AssetCheckResult(
        check_name=STALE_DATES.name,
        passed=stale == 0,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "stale": stale,
            "max_staleness_days": max_staleness_days,
            "oldest": str(span["min"]),
            "newest": str(span["max"]),
        },
    )


def delivery_proof(store: Store, day: date, trusted: TrustedKeys) -> dg.AssetCheckResult:
    """Read back what lies under the readers' names, after the fact: hashes, signature, counts."""
    try:
        manifest = verify(store, day, trusted=trusted).manifest
    except DeliveryError as error:
        return dg.AssetCheckResult(
            check_name=DELIVERY_PROOF.name, passed=False, description=str(error)
        )
    return dg.AssetCheckResult(
        check_name=DELIVERY_PROOF.name,
        passed=True,
        metadata={
            "edition": manifest["edition"],
            "sha256": manifest["files"][0]["sha256"],
            "signing_key": manifest["signing_key"],
            "encryption": manifest["encryption"],
        },
    )


def one_result_per_account(accounts: pa.Table, ratings: pa.Table) -> dg.AssetCheckResult:
    """Compare the ids of the list with the ids of the results, one to one."""
    listed, rated = accounts["account_id"].combine_chunks(), ratings["account_id"].combine_chunks()
    missing = pc.sum(pc.invert(pc.is_in(listed, value_set=rated))).as_py() or 0
    strangers = pc.sum(pc.invert(pc.is_in(rated, value_set=listed))).as_py() or 0
    doubled = len(rated) - pc.count_distinct(rated).as_py()
    return dg.AssetCheckResult(
        check_name=ONE_RESULT_PER_ACCOUNT.name,
        passed=not (missing or strangers or doubled),
        metadata={
            "accounts": len(listed),
            "results": len(rated),
            "without_result": missing,
            "not_in_list": strangers,
            "doubled": doubled,
        },
    )


def failure_share(ratings: pa.Table, threshold: float) -> dg.AssetCheckResult:
    """Judge the share of Failed accounts (docs/design.md#failure-share)."""
    counts = count_statuses(ratings)
    total, failed = sum(counts.values()), counts[ProcessingStatus.FAILED]
    return dg.AssetCheckResult(
        check_name=FAILURE_SHARE.name,
        passed=not is_too_much(failed, total, threshold),
        metadata={
            "failed": failed,
            "accounts": total,
            "failure_share": share_of_failed(failed, total),
            "threshold": threshold,
        },
    )
