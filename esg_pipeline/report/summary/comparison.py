"""The day against the last good day: what moved, who came, who went, who cannot be compared.

Each account is compared with its own last good score, so that one that failed on the base day
still has something to be compared with (docs/faults.md#m4). Nothing is compared with a guess.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

import polars as pl
import pyarrow as pa

from esg_pipeline.ratings import SCORE
from esg_pipeline.report.summary.listing import AccountList, NamedAccount, list_accounts, with_names
from esg_pipeline.report.summary.score_arithmetic import (
    OVERALL,
    as_frame,
    as_hundredths,
    as_polars,
    points,
)

MOVERS = 10

LAST_GOOD_SCHEMA = pa.schema(
    [
        pa.field("account_id", pa.string(), nullable=False),
        pa.field("day", pa.date32(), nullable=False),
        pa.field(OVERALL, SCORE, nullable=False),
    ]
)
"""The last overall score of accounts that had one, and the day it is from."""


class NoBase(StrEnum):
    """Why there is nothing to compare with."""

    FIRST_DAY = "first_day"
    NOT_AVAILABLE = "not_available"


@dataclass(frozen=True, slots=True)
class BaseDay:
    """The last good day before the one that is summarised.

    Attributes:
        ratings: RATINGS_SCHEMA of its newest delivered edition.
        last_good: LAST_GOOD_SCHEMA (`last_good_scores`) of the days up to it, as far back as is
            wanted; without it an account that had no score on `day` cannot be compared, and one
            that comes back counts as new.
    """

    day: date
    ratings: pa.Table
    last_good: pa.Table | None = None


@dataclass(frozen=True, slots=True)
class Mover:
    """One account's move of its overall score, points; `before` is the score of `before_day`."""

    account: NamedAccount
    before: Decimal
    before_day: date
    now: Decimal
    change: Decimal


@dataclass(frozen=True, slots=True)
class Comparison:
    """The day against the base day. Every account of the day is counted exactly once in
    `compared`, `new`, `no_score_today` and `no_earlier_score`.

    Attributes:
        compared: Accounts with an overall score now and before.
        compared_with_older: Those of them whose last good score is older than the base day.
        up, down, unchanged: The compared accounts by the sign of their move.
        movers_up, movers_down: The largest moves first, ten at most.
        new: Seen on no earlier day.
        gone: On the base day's list and not on today's; without names.
        back: Not on the base day's list, but rated before it.
        no_score_today: Failed today.
        no_earlier_score: Seen before, but with no score to compare with.
    """

    base_day: date
    compared: int
    compared_with_older: int
    up: int
    down: int
    unchanged: int
    movers_up: tuple[Mover, ...]
    movers_down: tuple[Mover, ...]
    new: AccountList
    gone: AccountList
    back: AccountList
    no_score_today: int
    no_earlier_score: int


def last_good_scores(days: Iterable[tuple[date, pa.Table]]) -> pa.Table:
    """Find each account's last overall score in several days' ratings.

    Args:
        days: Day and ratings (RATINGS_SCHEMA), newest first.

    Returns:
        LAST_GOOD_SCHEMA, sorted by account_id.
    """
    scored = [_scored(day, ratings) for day, ratings in days]
    newest = _newest([as_polars(LAST_GOOD_SCHEMA.empty_table()), *scored])
    return newest.sort("account_id").to_arrow().cast(LAST_GOOD_SCHEMA)


def compare(names: pl.DataFrame, today: pl.DataFrame, base: BaseDay, *, listed: int) -> Comparison:
    """Compare a day's ratings with what was before.

    Args:
        names: `account_id` and `account_name` of today's list.
        today: The day's ratings (`as_frame`), sorted by account id.
    """
    base_ids = as_frame(base.ratings, ["account_id"])
    before = _last_good(base)
    seen_ids = pl.concat([base_ids, before.select("account_id")]).unique()
    scores = today.select("account_id", OVERALL)
    seen = scores.join(seen_ids, on="account_id", how="semi")
    moves = (
        seen.drop_nulls()
        .join(before.rename({OVERALL: "before"}), on="account_id", maintain_order="left")
        .with_columns(change=pl.col(OVERALL) - pl.col("before"))
    )
    scored = seen[OVERALL].count()
    up = moves.filter(pl.col("change") > 0)
    down = moves.filter(pl.col("change") < 0)
    unseen = scores.join(seen_ids, on="account_id", how="anti")
    back = seen.join(base_ids, on="account_id", how="anti")
    gone = base_ids.join(scores, on="account_id", how="anti").sort("account_id")
    return Comparison(
        base_day=base.day,
        compared=moves.height,
        compared_with_older=moves.filter(pl.col("day") < base.day).height,
        up=up.height,
        down=down.height,
        unchanged=moves.height - up.height - down.height,
        movers_up=_movers(up.sort("change", "account_id", descending=[True, False]), names),
        movers_down=_movers(down.sort("change", "account_id"), names),
        new=list_accounts(unseen, names, listed),
        gone=list_accounts(gone, names, listed),
        back=list_accounts(back, names, listed),
        no_score_today=seen.height - scored,
        no_earlier_score=scored - moves.height,
    )


def _last_good(base: BaseDay) -> pl.DataFrame:
    """Each account's last overall score, in hundredths, with its day."""
    found = [_scored(base.day, base.ratings)]
    if base.last_good is not None:
        found.append(as_polars(base.last_good))
    return _newest(found).with_columns(as_hundredths(OVERALL))


def _scored(day: date, ratings: pa.Table) -> pl.DataFrame:
    """The accounts that have an overall score on a day, in the columns of LAST_GOOD_SCHEMA."""
    scores = as_polars(ratings.select(["account_id", OVERALL])).drop_nulls()
    return scores.select("account_id", pl.lit(day).alias("day"), OVERALL)


def _newest(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """The first row of each account over frames that come newest first."""
    return pl.concat(frames).unique("account_id", keep="first", maintain_order=True)


def _movers(moves: pl.DataFrame, names: pl.DataFrame) -> tuple[Mover, ...]:
    columns = ("account_id", "account_name", "before", "day", OVERALL, "change")
    return tuple(
        Mover(NamedAccount(account_id, name), points(before), day, points(now), points(change))
        for account_id, name, before, day, now, change in with_names(moves.head(MOVERS), names)
        .select(columns)
        .iter_rows()
    )
