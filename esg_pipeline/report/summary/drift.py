"""Do the day's scores look like scores? A look at all accounts against the last good day.

A single wrong score cannot be seen here; a service that answers on another scale, turned round,
or the same to everyone can (docs/faults.md#e11). It judges numbers and never changes one. Whether a
finding holds the day or only warns is the caller's rule.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from esg_pipeline.report.summary.population import (
    SMALL_SCALE_POINTS,
    Population,
    ScoreDrift,
    measure,
)
from esg_pipeline.report.summary.words import SCORE_WORDS


@dataclass(frozen=True, slots=True)
class DriftLimits:
    """What still counts as an ordinary day.

    Attributes:
        fewest_accounts: With fewer accounts, numbers are given but not judged.
        average_move: Points that the accounts move on average, up or down.
        large_move: Points; a move of more than this is large.
        large_move_share: Share of accounts with a large move.
        copied_share: Share of accounts with all scores exactly as before.
        same_score_share: Share of accounts that have the commonest score.
        correlation: Between now and before; -1 is exactly turned round.
        small_scale_share: Share of scores of 10 or less that shows another scale, ...
        small_scale_share_before: ... if less than this share was so before.
    """

    fewest_accounts: int = 20
    average_move: float = 3.0
    large_move: float = 10.0
    large_move_share: float = 0.1
    copied_share: float = 0.95
    same_score_share: float = 0.5
    correlation: float = -0.5
    small_scale_share: float = 0.9
    small_scale_share_before: float = 0.5


ORDINARY = DriftLimits()


@dataclass(frozen=True, slots=True)
class Finding:
    """One question asked of the day.

    Attributes:
        name: Stable, for the check that is made of it.
        passed: None when there is nothing, or too little, to judge.
        number: What was measured; None when there was nothing to measure.
        threshold: Where `number` stops being ordinary.
        sentence: For people; no account in it.
    """

    name: str
    passed: bool | None
    number: float | None
    threshold: float
    sentence: str


@dataclass(frozen=True, slots=True)
class Drift:
    """The look at a day: what was measured, and what was found in it.

    Attributes:
        findings: Always the same names in the same order.
    """

    population: Population
    findings: tuple[Finding, ...]

    @property
    def suspicions(self) -> tuple[Finding, ...]:
        """The findings that did not pass."""
        return tuple(each for each in self.findings if each.passed is False)


def drift(today: pa.Table, before: pa.Table | None, limits: DriftLimits = ORDINARY) -> Drift:
    """Judge the day's ratings against those of the last good day.

    Args:
        today: RATINGS_SCHEMA.
        before: RATINGS_SCHEMA of the last good day. None on the first day: then only what needs
            no comparison is judged (the same score for everyone, the scale).
    """
    population = measure(today, before, large_move=limits.large_move)
    findings = (
        _average_move(population, limits),
        _large_moves(population, limits),
        _copied_scores(population, limits),
        _constant_score(population, limits),
        _reversed_direction(population, limits),
        _changed_scale(population, limits),
    )
    return Drift(population, findings)


class _Measured(NamedTuple):
    """A number with its verdict."""

    is_suspicious: bool
    badness: float
    number: float
    accounts: int
    fact: str


def _finding(
    name: str, found: Iterable[_Measured], threshold: float, ordinary: str, limits: DriftLimits
) -> Finding:
    """The worst of what was measured, over enough accounts if there is such."""
    measured = list(found)
    if not measured:
        return Finding(name, None, None, threshold, "There are no scores to judge this by.")
    judged = [each for each in measured if each.accounts >= limits.fewest_accounts]
    worst = max(judged or measured, key=lambda each: (each.is_suspicious, each.badness))
    sentence = f"{worst.fact}; {ordinary}."
    if not judged:
        sentence += f" Not judged: fewer than {limits.fewest_accounts} accounts."
    passed = not worst.is_suspicious if judged else None
    return Finding(name, passed, worst.number, threshold, sentence)


def _over(number: float, threshold: float, accounts: int, fact: str) -> _Measured:
    return _Measured(number > threshold, number, number, accounts, fact)


def _words(each: ScoreDrift) -> str:
    return SCORE_WORDS[each.score].lower()


def _average_move(population: Population, limits: DriftLimits) -> Finding:
    found = (
        _over(
            each.average_move,
            limits.average_move,
            each.compared,
            f"The {_words(each)} of an account moved by {each.average_move:.2f} points on average",
        )
        for each in population.scores
        if each.average_move is not None
    )
    ordinary = f"up to {limits.average_move:g} is ordinary"
    return _finding("average_move", found, limits.average_move, ordinary, limits)


def _large_moves(population: Population, limits: DriftLimits) -> Finding:
    found = (
        _over(
            each.large_move_share,
            limits.large_move_share,
            each.compared,
            f"{each.large_move_share:.1%} of the accounts moved by more than "
            f"{limits.large_move:g} points in the {_words(each)}",
        )
        for each in population.scores
        if each.large_move_share is not None
    )
    ordinary = f"up to {limits.large_move_share:.0%} is ordinary"
    return _finding("large_moves", found, limits.large_move_share, ordinary, limits)


def _copied_scores(population: Population, limits: DriftLimits) -> Finding:
    share = population.copied_share
    found = []
    if share is not None:
        fact = f"{share:.1%} of the accounts have exactly the scores of the last good day"
        found = [_over(share, limits.copied_share, population.compared, fact)]
    ordinary = f"up to {limits.copied_share:.0%} is ordinary"
    return _finding("copied_scores", found, limits.copied_share, ordinary, limits)


def _constant_score(population: Population, limits: DriftLimits) -> Finding:
    found = (
        _over(
            each.commonest_share,
            limits.same_score_share,
            each.scored,
            f"{each.commonest_share:.1%} of the accounts have the same {_words(each)}",
        )
        for each in population.scores
        if each.commonest_share is not None
    )
    ordinary = f"up to {limits.same_score_share:.0%} is ordinary"
    return _finding("constant_score", found, limits.same_score_share, ordinary, limits)


def _reversed_direction(population: Population, limits: DriftLimits) -> Finding:
    found = (
        _Measured(
            each.correlation < limits.correlation,
            -each.correlation,
            each.correlation,
            each.compared,
            f"The correlation of the {_words(each)} with the last good day is "
            f"{each.correlation:.2f} (1 is alike, -1 is turned round)",
        )
        for each in population.scores
        if each.correlation is not None
    )
    ordinary = f"below {limits.correlation:g}, high and low may have changed places"
    return _finding("reversed_direction", found, limits.correlation, ordinary, limits)


def _changed_scale(population: Population, limits: DriftLimits) -> Finding:
    found = []
    for each in population.scores:
        if each.small_share is None:
            continue
        before = each.small_share_before
        was_before = "no earlier day" if before is None else f"{before:.1%} on the last good day"
        fact = (
            f"The {_words(each)} is {SMALL_SCALE_POINTS} or less for {each.small_share:.1%} of the "
            f"accounts ({was_before})"
        )
        is_new = (before or 0.0) < limits.small_scale_share_before
        is_suspicious = is_new and each.small_share >= limits.small_scale_share
        found.append(
            _Measured(is_suspicious, each.small_share, each.small_share, each.scored, fact)
        )
    ordinary = (
        f"from {limits.small_scale_share:.0%} on, the scores may be on a scale of 0 to 10 or 0 to 1"
    )
    return _finding("changed_scale", found, limits.small_scale_share, ordinary, limits)
