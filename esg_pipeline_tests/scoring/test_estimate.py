"""The estimated finish: honest within 10 % when the API is steady, and silent when it cannot be."""

from datetime import UTC, datetime

import pytest

from esg_pipeline.scoring.estimate import FIRST_ESTIMATE_S, Estimate


def after(*phases: tuple[int, float]) -> tuple[Estimate, float, int]:
    """An estimate after so many seconds at so many answers a second, each; time and answers."""
    estimate, now, answered = Estimate(), 0.0, 0.0
    for seconds, rate in phases:
        for _ in range(seconds):
            estimate.add(now, int(answered))
            now, answered = now + 1, answered + rate
    estimate.add(now, int(answered))
    return estimate, now, int(answered)


@pytest.mark.parametrize("rate", [0.7, 50, 2000])
@pytest.mark.parametrize("seconds", [10, 60, 600])
def test_a_steady_pace_is_foretold_within_ten_per_cent(rate, seconds):
    estimate, _, answered = after((seconds, rate))
    remaining = 4 * answered
    assert estimate.seconds_left(remaining) == pytest.approx(remaining / rate, rel=0.1)


def test_a_new_pace_is_believed_within_a_minute():
    estimate, _, _ = after((600, 50), (60, 10))
    assert estimate.seconds_left(1000) == pytest.approx(100, rel=0.1)


def test_before_there_is_anything_to_go_by_nothing_is_foretold():
    assert Estimate().seconds_left(1000) is None
    assert after((int(FIRST_ESTIMATE_S) - 1, 50))[0].seconds_left(1000) is None
    assert after((120, 0))[0].seconds_left(1000) is None


def test_what_is_done_needs_no_more_time():
    assert Estimate().seconds_left(0) == 0


def test_a_real_run_says_early_when_it_will_be_over(scoring):
    foretold = []

    def listen(progress):
        if progress.eta is not None and progress.answered < progress.total:
            foretold.append((datetime.now(UTC), progress))

    scoring.run(600, api_rate_limit=50, on_progress=listen)
    assert foretold[0][1].answered < 600 * 0.75, "early"
    for now, progress in foretold:
        at_its_pace = (progress.total - progress.answered) / progress.rate
        assert (progress.eta - now).total_seconds() == pytest.approx(at_its_pace, rel=0.1, abs=0.5)
