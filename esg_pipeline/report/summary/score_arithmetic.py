"""Exact arithmetic on scores: whole hundredths in, two decimals out, half up.

No binary float stands between the ratings and a figure that a reader may check by hand. Nothing
here knows what a figure is for.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

import polars as pl
import pyarrow as pa

from esg_pipeline.ratings import RATINGS_SCHEMA, SCORE

OVERALL = "overall_esg_score"
SCORES = (OVERALL, "environmental_score", "social_score", "governance_score")
"""The four scores, in the order of the report."""


def as_polars(table: pa.Table) -> pl.DataFrame:
    """The same columns as a Polars frame."""
    return cast(pl.DataFrame, pl.from_arrow(table))


def as_hundredths(*columns: str) -> pl.Expr:
    """Score columns (SCORE) as whole hundredths."""
    return pl.col(columns).to_physical().cast(pl.Int64)


def as_frame(ratings: pa.Table, columns: Iterable[str]) -> pl.DataFrame:
    """Columns of a ratings table (RATINGS_SCHEMA), with scores as whole hundredths."""
    wanted = list(columns)
    scores = [name for name in wanted if RATINGS_SCHEMA.field(name).type == SCORE]
    return as_polars(ratings.select(wanted)).with_columns(as_hundredths(*scores))


def points(hundredths: int) -> Decimal:
    """7268 as 72.68 points."""
    return Decimal(hundredths).scaleb(-2)


def divided(total: int, count: int) -> Decimal:
    """`total` hundredths shared out over `count`, in points, rounded half away from zero."""
    whole = (2 * abs(total) + count) // (2 * count)
    return points(whole if total >= 0 else -whole)


def average(hundredths: pl.Series) -> Decimal | None:
    """The average of the scores that are there, in points; None when there are none."""
    count = hundredths.count()
    return divided(int(hundredths.sum()), count) if count else None


@dataclass(frozen=True, slots=True)
class Quartiles:
    """Five scores that cut the accounts into quarters, in points.

    Between two accounts the value is interpolated, as `QUARTILE.INC` does in a spreadsheet.
    """

    lowest: Decimal
    first: Decimal
    median: Decimal
    third: Decimal
    highest: Decimal


def quartiles(hundredths: pl.Series) -> Quartiles | None:
    """The quartiles of the scores that are there; None when there are none."""
    ordered = hundredths.drop_nulls().sort()
    if ordered.is_empty():
        return None
    cuts = []
    for quarter in range(5):
        place, fourths = divmod((len(ordered) - 1) * quarter, 4)
        below = int(ordered[place])
        above = int(ordered[min(place + 1, len(ordered) - 1)])
        cuts.append(divided(4 * below + fourths * (above - below), 4))
    return Quartiles(*cuts)


@dataclass(frozen=True, slots=True)
class Bin:
    """Accounts whose score is from `low` to under `high` points; the last bin holds 100 too."""

    low: int
    high: int
    count: int


def tens(hundredths: pl.Series) -> tuple[Bin, ...]:
    """How many scores lie in each ten points, empty bins included."""
    tens_of_points = (hundredths.drop_nulls() // 1000).clip(0, 9)
    found = dict(tens_of_points.value_counts(name="accounts").iter_rows())
    return tuple(Bin(10 * ten, 10 * ten + 10, found.get(ten, 0)) for ten in range(10))
