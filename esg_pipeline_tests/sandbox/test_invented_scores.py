"""The right answers: deterministic, valid, and calm from day to day."""

from datetime import date, timedelta
from decimal import Decimal

from esg_pipeline.sandbox import expected_answer, registered_focus

DAY = date(2026, 11, 24)
IDS = [f"A{number:07d}" for number in range(2000)]
SCORES = ("overall_esg_score", "environmental_score", "social_score", "governance_score")


def scores_on(day, field="overall_esg_score"):
    return [expected_answer(each, day, None)["esg_analysis"][field] for each in IDS]


def test_an_answer_has_the_default_paths_and_the_focus_asked_for():
    answer = expected_answer("00123", DAY, "social")
    assert (answer["status"], answer["portfolio_id"]) == ("success", "00123")
    assert answer["analysis_date"] == "2026-11-24"
    analysis = answer["esg_analysis"]
    assert analysis["primary_esg_focus"] == "social"
    assert analysis["primary_focus_score"] == analysis["social_score"]
    assert set(SCORES) < set(analysis)


def test_without_a_focus_the_api_sends_one_for_some_and_none_for_others():
    analyses = [expected_answer(each, DAY, None)["esg_analysis"] for each in IDS]
    with_focus = [each for each in analyses if "primary_esg_focus" in each]
    assert 0.4 < len(with_focus) / len(IDS) < 0.6
    for analysis in with_focus:
        score = analysis[f"{analysis['primary_esg_focus']}_score"]
        assert analysis["primary_focus_score"] == score
    assert all(
        ("primary_focus_score" in each) == ("primary_esg_focus" in each) for each in analyses
    )


def test_scores_are_valid_with_0_to_3_decimals_and_half_cases():
    scores = [Decimal(repr(score)) for field in SCORES for score in scores_on(DAY, field)]
    assert all(0 <= score <= 100 for score in scores)
    decimals = {-score.as_tuple().exponent for score in scores}
    assert decimals == {0, 1, 2, 3}
    assert any(
        score.as_tuple().digits[-1] == 5 and score.as_tuple().exponent == -3 for score in scores
    )


def test_scores_move_a_little_each_day_and_stay_the_same_account():
    today, tomorrow, next_year = (scores_on(DAY + timedelta(days=n)) for n in (0, 1, 365))
    moves = [abs(a - b) for a, b in zip(today, tomorrow, strict=True)]
    assert 0 < sum(moves) / len(moves) < 1
    assert max(moves) < 3
    assert max(abs(a - b) for a, b in zip(today, next_year, strict=True)) < 3
    assert sum(move > 0 for move in moves) > len(moves) / 2


def test_the_same_question_has_the_same_answer():
    assert expected_answer("1E5", DAY, None) == expected_answer("1E5", DAY, None)
    assert registered_focus("1E5") == registered_focus("1E5")
