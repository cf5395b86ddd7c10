"""The scores of all accounts at once, today and on the last good day: how far, how alike.

Measures only; what is ordinary is judged in `drift`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from esg_pipeline.report.summary.score_arithmetic import OVERALL, SCORES, as_frame

SMALL_SCALE_POINTS = 10
"""A score up to here could be on a scale of 0 to 10 or 0 to 1."""


@dataclass(frozen=True, slots=True)
class ScoreDrift:
    """One of the four scores; None where there was nothing to measure.

    Attributes:
        score: Column of RATINGS_SCHEMA.
        scored: Accounts that have it today; `commonest_share` and `small_share` are of these.
        compared: Accounts that have it on both days; the other numbers are of these.
        average_move: Points, up or down.
        large_move_share: Share that moved by more than the points that count as large.
        identical_share: Share with exactly the same score.
        correlation: Between the two days; None too when a day's scores are all the same.
        commonest_share: Share with the commonest score.
        small_share: Share of `SMALL_SCALE_POINTS` or less.
        small_share_before: The same on the last good day.
    """

    score: str
    scored: int
    compared: int
    average_move: float | None
    large_move_share: float | None
    identical_share: float | None
    correlation: float | None
    commonest_share: float | None
    small_share: float | None
    small_share_before: float | None


@dataclass(frozen=True, slots=True)
class Population:
    """Two days' scores, measured.

    Attributes:
        compared: Accounts with an overall score on both days.
        copied_share: Share of them with all four scores exactly as before.
        scores: The four scores, overall first.
    """

    compared: int
    copied_share: float | None
    scores: tuple[ScoreDrift, ...]


def measure(today: pa.Table, before: pa.Table | None, *, large_move: float) -> Population:
    """Measure the day's ratings (RATINGS_SCHEMA) against those of the last good day, if any.

    Args:
        large_move: Points; a move of more than this is large.
    """
    columns = ["account_id", *SCORES]
    now = as_frame(today, columns)
    then = as_frame(today.slice(0, 0) if before is None else before, columns)
    both = now.join(then, on="account_id", suffix="_before")
    scores = tuple(_score_drift(score, now, then, both, large_move) for score in SCORES)
    return Population(scores[0].compared, _copied_share(both), scores)


def _score_drift(
    score: str, now: pl.DataFrame, then: pl.DataFrame, both: pl.DataFrame, large_move: float
) -> ScoreDrift:
    pairs = both.select(now=score, before=f"{score}_before").drop_nulls()
    moves = (pairs["now"] - pairs["before"]).abs()
    scored = now[score].drop_nulls()
    return ScoreDrift(
        score=score,
        scored=len(scored),
        compared=pairs.height,
        average_move=_rounded(int(moves.sum()) / 100 / len(moves)) if len(moves) else None,
        large_move_share=_share(moves > large_move * 100),
        identical_share=_share(moves == 0),
        correlation=_correlation(pairs["now"].to_numpy(), pairs["before"].to_numpy()),
        commonest_share=_commonest_share(scored.to_numpy()),
        small_share=_share(scored <= SMALL_SCALE_POINTS * 100),
        small_share_before=_share(then[score].drop_nulls() <= SMALL_SCALE_POINTS * 100),
    )


def _copied_share(both: pl.DataFrame) -> float | None:
    compared = both.drop_nulls([OVERALL, f"{OVERALL}_before"])
    as_before = [pl.col(score).eq_missing(pl.col(f"{score}_before")) for score in SCORES]
    return _share(compared.select(pl.all_horizontal(as_before)).to_series())


def _correlation(now: npt.NDArray[np.int64], before: npt.NDArray[np.int64]) -> float | None:
    if not len(now) or np.ptp(now) == 0 or np.ptp(before) == 0:
        return None
    return _rounded(np.corrcoef(now, before)[0, 1])


def _commonest_share(scored: npt.NDArray[np.int64]) -> float | None:
    return _rounded(np.bincount(scored).max() / len(scored)) if len(scored) else None


def _share(is_so: pl.Series) -> float | None:
    return _rounded(int(is_so.sum()) / len(is_so)) if len(is_so) else None


def _rounded(value: float) -> float:
    return round(float(value), 6)
