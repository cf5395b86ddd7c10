"""What the day's ratings say in numbers: totals, averages, distributions, reasons, freshness.

Everything the summary page and its JSON show about the ratings is worked out here and in
`comparison`, once, from the accounts and the ratings alone. No words for people, no clock.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, cast

import polars as pl
import pyarrow as pa

from esg_pipeline.failure_share import failure_share, is_too_much
from esg_pipeline.ratings import RATINGS_SCHEMA, Focus, ProcessingStatus
from esg_pipeline.report.summary.comparison import BaseDay, Comparison, NoBase, compare
from esg_pipeline.report.summary.listing import LISTED, AccountList, list_accounts
from esg_pipeline.report.summary.score_arithmetic import (
    OVERALL,
    SCORES,
    Bin,
    Quartiles,
    as_frame,
    as_polars,
    average,
    quartiles,
    tens,
)


@dataclass(frozen=True, slots=True)
class Totals:
    """Accounts per status. A share of no accounts at all is 0."""

    accounts: int
    successful: int
    partial: int
    failed: int
    failure_threshold: float

    @property
    def success_rate(self) -> float:
        """Successful / all active accounts."""
        return self.successful / self.accounts if self.accounts else 0.0

    @property
    def failure_share(self) -> float:
        """Failed / all active accounts (docs/design.md#failure-share)."""
        return failure_share(self.failed, self.accounts)

    @property
    def is_over_threshold(self) -> bool:
        """Strictly more than the threshold failed (docs/design.md#failure-share)."""
        return is_too_much(self.failed, self.accounts, self.failure_threshold)


@dataclass(frozen=True, slots=True)
class AverageScore:
    """The average of one score over the accounts that have it, points.

    Attributes:
        score: Column of RATINGS_SCHEMA.
        accounts: How many have it.
        before: The average on the base day.
        change: `average` minus `before`, as both are shown.
        same_accounts: Accounts that have the score on both days.
        same_accounts_change: Their average change; free of accounts that came, went or failed.
    """

    score: str
    average: Decimal | None
    accounts: int
    before: Decimal | None
    change: Decimal | None
    same_accounts: int
    same_accounts_change: Decimal | None


@dataclass(frozen=True, slots=True)
class FocusCount:
    """Rated (Successful or Partial) accounts with this primary focus; None: without one."""

    focus: Focus | None
    count: int


@dataclass(frozen=True, slots=True)
class ReasonGroup:
    """The accounts of one status and reason; a reason of None was not told."""

    status: ProcessingStatus
    reason: str | None
    accounts: AccountList


@dataclass(frozen=True, slots=True)
class Freshness:
    """The analysis dates of the ratings.

    Attributes:
        dated: Accounts that have an analysis date.
        oldest: None when none has one, like `newest`.
        stale: Accounts whose date is more than `max_staleness_days` before the day.
    """

    dated: int
    oldest: date | None
    newest: date | None
    stale: int
    max_staleness_days: int


@dataclass(frozen=True, slots=True)
class Attempts:
    """Calls that the ratings of this edition took.

    Attributes:
        calls: All together; throttled calls cost no attempt and are not in it.
        accounts_by_attempts: (attempts, accounts), fewest attempts first; 0 was never asked.
    """

    calls: int
    accounts_by_attempts: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class DayFigures:
    """The figures of one business day.

    Attributes:
        is_whole: Every active account has exactly one rating, and nothing else has.
        comparison: None when there is no base day; `no_base` then says why.
    """

    day: date
    is_whole: bool
    totals: Totals
    averages: tuple[AverageScore, ...]
    overall_bins: tuple[Bin, ...]
    overall_quartiles: Quartiles | None
    focus: tuple[FocusCount, ...]
    reasons: tuple[ReasonGroup, ...]
    freshness: Freshness
    attempts: Attempts
    comparison: Comparison | None
    no_base: NoBase | None


def day_figures(
    accounts: pa.Table,
    ratings: pa.Table,
    *,
    day: date,
    failure_threshold: float,
    max_staleness_days: int,
    base: BaseDay | NoBase = NoBase.FIRST_DAY,
    listed: int = LISTED,
) -> DayFigures:
    """Work out the figures of a day.

    Args:
        accounts: ACCOUNTS_SCHEMA, the frozen list.
        ratings: RATINGS_SCHEMA of the same accounts.
        failure_threshold: As `ESG_FAILURE_THRESHOLD`.
        max_staleness_days: As `ESG_API_MAX_STALENESS_DAYS`.
        base: The last good day, or why there is none.
        listed: Accounts told by id and name in each list, at most; the rest is counted.
    """
    names = as_polars(accounts.select(["account_id", "account_name"]))
    today = as_frame(ratings, ratings.schema.names).sort("account_id")
    before = base.ratings if isinstance(base, BaseDay) else RATINGS_SCHEMA.empty_table()
    return DayFigures(
        day=day,
        is_whole=_is_whole(names, today),
        totals=_totals(names.height, today["status"], failure_threshold),
        averages=_averages(today, as_frame(before, ["account_id", *SCORES])),
        overall_bins=tens(today[OVERALL]),
        overall_quartiles=quartiles(today[OVERALL]),
        focus=_focus(today.filter(pl.col("status") != ProcessingStatus.FAILED)),
        reasons=_reasons(today, names, listed),
        freshness=_freshness(today["analysis_date"], day, max_staleness_days),
        attempts=_attempts(today["attempts"]),
        comparison=(
            compare(names, today, base, listed=listed) if isinstance(base, BaseDay) else None
        ),
        no_base=None if isinstance(base, BaseDay) else base,
    )


def _is_whole(names: pl.DataFrame, today: pl.DataFrame) -> bool:
    return names["account_id"].sort().equals(today["account_id"])


def _counts(values: pl.Series) -> dict[Any, int]:
    return dict(values.value_counts(name="accounts").iter_rows())


def _totals(accounts: int, statuses: pl.Series, failure_threshold: float) -> Totals:
    found = _counts(statuses)
    return Totals(
        accounts=accounts,
        successful=found.get(ProcessingStatus.SUCCESSFUL, 0),
        partial=found.get(ProcessingStatus.PARTIAL, 0),
        failed=found.get(ProcessingStatus.FAILED, 0),
        failure_threshold=failure_threshold,
    )


def _averages(today: pl.DataFrame, before: pl.DataFrame) -> tuple[AverageScore, ...]:
    both = today.join(before, on="account_id", suffix="_before")
    return tuple(_average(score, today, before, both) for score in SCORES)


def _average(
    score: str, today: pl.DataFrame, before: pl.DataFrame, both: pl.DataFrame
) -> AverageScore:
    now, then = average(today[score]), average(before[score])
    moves = (both[score] - both[f"{score}_before"]).drop_nulls()
    return AverageScore(
        score=score,
        average=now,
        accounts=today[score].count(),
        before=then,
        change=None if now is None or then is None else now - then,
        same_accounts=len(moves),
        same_accounts_change=average(moves),
    )


def _focus(rated: pl.DataFrame) -> tuple[FocusCount, ...]:
    found = _counts(rated["primary_esg_focus"])
    return tuple(FocusCount(focus, found.get(focus, 0)) for focus in (*Focus, None))


def _reasons(today: pl.DataFrame, names: pl.DataFrame, listed: int) -> tuple[ReasonGroup, ...]:
    """Failed before Partial, and in each the commonest reason first."""
    groups = []
    for status in (ProcessingStatus.FAILED, ProcessingStatus.PARTIAL):
        rows = today.filter(pl.col("status") == status)
        commonest = sorted(
            _counts(rows["reason"]).items(), key=lambda each: (-each[1], str(each[0]))
        )
        for reason, _ in commonest:
            of_reason = rows.filter(pl.col("reason").eq_missing(pl.lit(reason, pl.String)))
            groups.append(ReasonGroup(status, reason, list_accounts(of_reason, names, listed)))
    return tuple(groups)


def _freshness(dates: pl.Series, day: date, max_staleness_days: int) -> Freshness:
    last_fresh = day - timedelta(days=max_staleness_days)
    return Freshness(
        dated=dates.count(),
        oldest=cast(date | None, dates.min()),
        newest=cast(date | None, dates.max()),
        stale=int((dates < last_fresh).sum()),
        max_staleness_days=max_staleness_days,
    )


def _attempts(attempts: pl.Series) -> Attempts:
    return Attempts(int(attempts.sum()), tuple(sorted(_counts(attempts).items())))
