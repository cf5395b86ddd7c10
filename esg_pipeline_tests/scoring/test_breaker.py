"""When many failures are an outage, and when they are only accounts that fail."""

import pytest

from esg_pipeline.scoring.breaker import Breaker, Evidence, RetryBudget

ALIVE, DOWN, DOUBTFUL = Evidence.ALIVE, Evidence.DOWN, Evidence.DOUBTFUL


def breaker(accounts: int = 1000) -> Breaker:
    return Breaker(accounts, probe_base_s=1.0, probe_max_s=60.0)


def opened_after(breaker: Breaker, evidence: list[Evidence]) -> int | None:
    """The number of calls after which it opened."""
    for number, each in enumerate(evidence, 1):
        if breaker.note(each, now=100.0):
            return number
    return None


@pytest.mark.parametrize(
    ("accounts", "evidence", "opens"),
    [
        (1000, [DOWN] * 50, 20),
        (1000, [ALIVE] * 50 + [DOWN] * 50, 90),
        (1000, [ALIVE, DOWN] * 500, None),
        (1000, [ALIVE] + [DOWN] * 3, None),
        (1000, ([ALIVE] + [DOWN] * 3) * 100, None),
        (1000, ([ALIVE] + [DOWN] * 4) * 100, 20),
        (3, [DOWN] * 3, 3),
        (1, [DOWN], 1),
        (1000, [DOUBTFUL] * 20, 20),
    ],
)
def test_it_opens_when_four_of_five_recent_calls_say_down(accounts, evidence, opens):
    assert opened_after(breaker(accounts), evidence) == opens


def test_probes_are_spaced_exponentially_up_to_the_maximum():
    outage, waits = breaker(), []
    opened_after(outage, [DOWN] * 20)
    now = 100.0
    for _ in range(9):
        waits.append(outage.next_probe_at - now)
        now = outage.next_probe_at
        outage.probe_failed(now)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_an_outage_is_timed_from_when_it_was_noticed():
    outage = breaker()
    assert outage.outage_s(50.0) < 0
    opened_after(outage, [DOWN] * 20)
    outage.probe_failed(107.0)
    assert outage.outage_s(110.0) == 10
    outage.close()
    assert outage.outage_s(110.0) < 0


def test_calls_that_were_in_flight_do_not_count_after_it_has_opened():
    outage = breaker()
    opened_after(outage, [DOWN] * 20)
    assert not outage.note(DOWN, 101.0)
    assert outage.opened_at == 100.0


def test_failures_of_accounts_that_failed_before_are_only_a_doubt():
    doubt = breaker()
    opened_after(doubt, [DOUBTFUL] * 20)
    assert doubt.is_doubtful
    assert doubt.next_probe_at == 100.0
    assert doubt.outage_s(9999.0) < 0
    doubt.probe_failed(101.0)
    assert not doubt.is_doubtful
    assert doubt.outage_s(111.0) == 11


def test_after_it_closed_the_old_evidence_is_forgotten():
    outage = breaker()
    opened_after(outage, [DOWN] * 20)
    outage.close()
    assert opened_after(outage, [DOWN] * 19) is None


def test_retries_are_a_tenth_of_the_calls():
    budget, retries = RetryBudget(), 0
    for calls in range(1, 10_001):
        is_retry = budget.allows_retry()
        budget.note(is_retry=is_retry)
        retries += is_retry
        assert retries <= 0.1 * calls
    assert retries == 1000
