"""How long retries wait, and how many there may be."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from esg_pipeline.scoring.retries import Backoff, RetryBudget


def test_retries_are_a_tenth_of_the_calls():
    budget, retries = RetryBudget(), 0
    for calls in range(1, 10_001):
        is_retry = budget.allows_retry()
        budget.note(is_retry=is_retry)
        retries += is_retry
        assert retries <= 0.1 * calls
    assert retries == 1000


@given(st.integers(1, 255), st.integers())
def test_a_wait_doubles_with_each_attempt_up_to_the_longest(attempts, seed):
    wait_s = Backoff(1.0, 60.0, Random(seed)).wait_s(attempts)
    assert 0 <= wait_s <= min(60, 2 ** (attempts - 1))


def test_waits_are_spread_over_the_whole_of_their_range():
    backoff = Backoff(1.0, 60.0, Random(7))
    for attempts, longest_s in ((1, 1), (2, 2), (3, 4), (9, 60)):
        waits = [backoff.wait_s(attempts) for _ in range(1000)]
        assert min(waits) < 0.02 * longest_s
        assert max(waits) > 0.98 * longest_s
