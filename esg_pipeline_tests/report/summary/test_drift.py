"""Planted faults are found, and an ordinary day passes (docs/faults.md#e11)."""

import time

import numpy as np
import pytest

from esg_pipeline.report.summary import Drift, drift
from esg_pipeline_tests.report.summary.days import day_of, moved, usual_scores

SIZE = 1000
SCORES = usual_scores(SIZE)
BEFORE = day_of(SCORES)


def found(today: Drift) -> set[str]:
    return {each.name for each in today.suspicions}


def number(today: Drift, name: str) -> float | None:
    return next(each.number for each in today.findings if each.name == name)


@pytest.mark.parametrize("seed", range(5))
def test_an_ordinary_day_has_no_suspicion(seed: int) -> None:
    today = drift(day_of(moved(SCORES, seed=seed), failed=range(30)), BEFORE)
    assert not today.suspicions
    assert all(each.passed for each in today.findings)
    assert today.population.compared == SIZE - 30


def test_the_same_score_for_everyone_is_found() -> None:
    today = SCORES.copy()
    today[:, 0] = 5000
    result = drift(day_of(today), BEFORE)
    assert "constant_score" in found(result)
    assert number(result, "constant_score") == 1


def test_scores_copied_from_before_are_found() -> None:
    result = drift(day_of(SCORES, failed=range(30)), BEFORE)
    assert found(result) == {"copied_scores"}
    assert number(result, "copied_scores") == 1


def test_only_a_few_new_scores_among_copied_ones_are_found_too() -> None:
    today = SCORES.copy()
    today[:30] = moved(SCORES)[:30]
    assert found(drift(day_of(today), BEFORE)) == {"copied_scores"}


@pytest.mark.parametrize("column", range(4))
def test_a_score_that_is_turned_round_is_found(column: int) -> None:
    today = moved(SCORES)
    today[:, column] = 10_000 - today[:, column]
    assert "reversed_direction" in found(drift(day_of(today), BEFORE))


@pytest.mark.parametrize("divisor", [10, 100])
def test_another_scale_is_found(divisor: int) -> None:
    result = drift(day_of(moved(SCORES) // divisor), BEFORE)
    assert {"changed_scale", "average_move", "large_moves"} <= found(result)
    assert "reversed_direction" not in found(result)


def test_another_scale_is_found_on_the_first_day_too() -> None:
    assert found(drift(day_of(SCORES // 10), None)) == {"changed_scale"}


def test_a_scale_that_was_small_before_is_no_change() -> None:
    small = SCORES // 10
    assert "changed_scale" not in found(drift(day_of(moved(small, by=6)), day_of(small)))


def test_a_fifth_of_the_accounts_moving_more_than_fifteen_points_is_found() -> None:
    today = moved(SCORES)
    movers = np.arange(SIZE) % 5 == 0
    today[movers] += np.where(today[movers] > 5000, -1600, 1600)
    result = drift(day_of(today), BEFORE)
    assert "large_moves" in found(result)
    share = number(result, "large_moves")
    assert share == pytest.approx(0.2, abs=0.01)


def test_a_move_of_exactly_ten_points_is_not_large() -> None:
    before = np.full((30, 4), 5000)
    before[:15] += 100
    assert drift(day_of(before + 1000), day_of(before)).population.scores[0].large_move_share == 0
    assert drift(day_of(before + 1001), day_of(before)).population.scores[0].large_move_share == 1


def test_the_measures_are_those_worked_out_by_hand() -> None:
    before = np.array([[5000] * 4, [6000] * 4, [7000] * 4])
    today = np.array([[5100] * 4, [6000] * 4, [5000] * 4])
    overall = drift(day_of(today), day_of(before)).population.scores[0]
    assert overall.compared == 3
    assert overall.average_move == 7.0  # (1 + 0 + 20) / 3
    assert overall.large_move_share == 0.333333
    assert overall.identical_share == 0.333333
    assert overall.commonest_share == 0.333333


def test_fewer_than_twenty_accounts_give_numbers_and_no_verdict() -> None:
    before = SCORES[:19]
    result = drift(day_of(10_000 - before), day_of(before))
    assert not result.suspicions
    assert {each.passed for each in result.findings} == {None}
    assert number(result, "reversed_direction") == -1
    assert "fewer than 20" in result.findings[0].sentence


def test_twenty_accounts_are_enough() -> None:
    before = SCORES[:20]
    assert "reversed_direction" in found(drift(day_of(10_000 - before), day_of(before)))


def test_the_first_day_judges_only_what_needs_no_comparison() -> None:
    result = drift(BEFORE, None)
    assert {each.name: each.passed for each in result.findings} == {
        "average_move": None,
        "large_moves": None,
        "copied_scores": None,
        "constant_score": True,
        "reversed_direction": None,
        "changed_scale": True,
    }


@pytest.mark.parametrize("before", [None, BEFORE, BEFORE.slice(0, 0)])
def test_a_day_that_failed_as_a_whole_is_not_judged(before: object) -> None:
    result = drift(day_of(SCORES, failed=range(SIZE)), before)
    assert {(each.passed, each.number) for each in result.findings} == {(None, None)}


def test_a_million_accounts_take_about_a_second() -> None:
    scores = usual_scores(1_000_000)
    before, today = day_of(scores), day_of(moved(scores))
    started = time.process_time()
    drift(today, before)
    assert time.process_time() - started < 3  # processor time of both cores, others at work
