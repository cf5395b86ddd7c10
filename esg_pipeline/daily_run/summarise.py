"""The day's summary and history: which day to compare with, and what is kept for later days.

Joins the ledger's past with `report/summary/`, which makes the figures and pages. Nothing here may
keep a report from its readers: `deliver_edition` goes on without a summary that cannot be made.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from esg_pipeline import __version__
from esg_pipeline.delivery.layout import (
    HISTORY_TABLE,
    SUMMARY_JSON_SUFFIX,
    SUMMARY_PAGE_SUFFIX,
    TREND_PAGE,
    errors_name,
    report_name,
)
from esg_pipeline.delivery.parquet import to_parquet
from esg_pipeline.ledger import Edition, Ledger
from esg_pipeline.ratings import Reason
from esg_pipeline.report.summary import (
    BaseDay,
    DayRow,
    Drift,
    EditionFacts,
    NoBase,
    day_figures,
    day_row,
    drift,
    focus_chart,
    format_summary_html,
    format_summary_json,
    format_trend_html,
    image_uri,
    last_good_scores,
    score_chart,
)
from esg_pipeline.report.summary.score_arithmetic import SCORES
from esg_pipeline.settings import Settings

DAYS_LOOKED_BACK = 10
ROWS_LOOKED_BACK = 1_000_000
"""Results of earlier days that are read at most: a large list costs seconds, not minutes."""
HISTORY_DAYS = 3660
"""Delivered days in the history: ten years; the trend page shows the last 90 days of them."""

HISTORY_SCHEMA = pa.schema(
    [
        pa.field("date", pa.date32(), nullable=False),
        *(
            pa.field(name, pa.int64(), nullable=False)
            for name in ("edition", "accounts", "successful", "partial", "failed")
        ),
        *(pa.field(f"average_{score}", pa.float64()) for score in SCORES),
        pa.field("duration_s", pa.float64(), nullable=False),
        pa.field("calls", pa.int64(), nullable=False),
        *(pa.field(f"failed_{reason}", pa.int64(), nullable=False) for reason in Reason),
    ]
)
"""The history as BI tools read it: flat, and the same columns on every day."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What was made of a day.

    Attributes:
        files: Plain contents by suffix, as `deliver` takes them.
        charts: By title, an image each (`data:` URI), for Dagster's page.
        metrics: For the ledger: the day's row of the history, and what was suspicious.
    """

    files: dict[str, bytes]
    drift: Drift
    charts: dict[str, str]
    metrics: dict[str, Any]


def summarise(
    ledger: Ledger,
    settings: Settings,
    edition: Edition,
    accounts: pa.Table,
    ratings: pa.Table,
    *,
    report: bytes,
    changed_cells: int | None,
    key_fingerprint: str,
    deadline_at: datetime,
    now: datetime,
) -> Summary:
    """Make the summary files of an edition.

    Args:
        accounts, ratings: ACCOUNTS_SCHEMA and RATINGS_SCHEMA, one to one.
        report: The plain bytes of the report, for the proof.
        changed_cells: Against the edition before; None when there is none.
        now: When the report was made, aware.
    """
    base = find_base(ledger, edition.day)
    figures = day_figures(
        accounts,
        ratings,
        day=edition.day,
        failure_threshold=settings.failure_threshold,
        max_staleness_days=settings.api_max_staleness_days,
        base=base,
    )
    found = drift(ratings, base.ratings if isinstance(base, BaseDay) else None)
    facts = EditionFacts(
        number=edition.number,
        previous=edition.previous,
        mode=edition.mode,
        label=edition.label,
        asked_by=edition.asked_by,
        reason=edition.reason,
        changed_cells=changed_cells,
        run_id=edition.run_id,
        code_version=__version__,
        started_at=edition.opened_at,
        finished_at=now,
        deadline_at=deadline_at,
        calls=pc.sum(ratings["attempts"]).as_py(),
        report_name=report_name(edition.day),
        errors_name=errors_name(edition.day),
        report_sha256=hashlib.sha256(report).hexdigest(),
        key_fingerprint=key_fingerprint,
    )
    return Summary(
        files={
            SUMMARY_PAGE_SUFFIX: format_summary_html(figures, facts, found),
            SUMMARY_JSON_SUFFIX: format_summary_json(figures, facts, found),
        },
        drift=found,
        charts={
            "overall_scores": image_uri(score_chart(figures)),
            "primary_focus": image_uri(focus_chart(figures)),
        },
        metrics={
            "day_row": {**asdict(day_row(figures, facts)), "day": edition.day.isoformat()},
            "suspicions": [each.name for each in found.suspicions],
        },
    )


def find_base(ledger: Ledger, day: date) -> BaseDay | NoBase:
    """Find the last good day before `day`: delivered, and with nothing suspicious in its scores.

    An account without a score on that day is compared with its own last good one.
    """
    delivered = ledger.editions.daily_history(DAYS_LOOKED_BACK, before=day)
    good = [each for each in delivered if not each.metrics.get("suspicions")]
    if not good:
        return NoBase.NOT_AVAILABLE if delivered else NoBase.FIRST_DAY
    days = list(_with_ratings(ledger, good))
    base_day, ratings = days[0]
    return BaseDay(base_day, ratings, last_good_scores(days) if len(days) > 1 else None)


def _with_ratings(ledger: Ledger, editions: list[Edition]) -> Iterator[tuple[date, pa.Table]]:
    rows = 0
    for edition in editions:
        rows += edition.accounts_count or 0
        if rows > ROWS_LOOKED_BACK and edition is not editions[0]:
            return
        yield edition.day, ledger.results.ratings(edition)


def history(ledger: Ledger) -> list[DayRow]:
    """The rows of the delivered days, newest first, for the trend page and the BI people."""
    return [
        DayRow(**{**row, "day": date.fromisoformat(row["day"])})
        for edition in ledger.editions.daily_history(HISTORY_DAYS)
        if (row := edition.metrics.get("day_row"))
    ]


def history_table(rows: list[DayRow]) -> pa.Table:
    """The history as HISTORY_SCHEMA, one row a day, oldest first."""
    return pa.Table.from_pylist(
        [
            {
                "date": row.day,
                "edition": row.edition,
                "accounts": row.accounts,
                "successful": row.successful,
                "partial": row.partial,
                "failed": row.failed,
                **{f"average_{score}": average for score, average in row.averages.items()},
                "duration_s": row.duration_s,
                "calls": row.calls,
                **{f"failed_{each}": row.failures_by_reason.get(each, 0) for each in Reason},
            }
            for row in sorted(rows, key=lambda row: row.day)
        ],
        schema=HISTORY_SCHEMA,
    )


def history_files(rows: list[DayRow]) -> dict[str, bytes]:
    """The trend page and the table of the history, by their names on the store.

    Args:
        rows: At least one, newest first, as `history` gives them.
    """
    return {
        TREND_PAGE: format_trend_html(rows, last_day=rows[0].day),
        HISTORY_TABLE: to_parquet(history_table(rows)),
    }
