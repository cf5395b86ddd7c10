"""The pace of the calls, on a clock that the test moves."""

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esg_pipeline.scoring.pace import CallTimes


def run(times: CallTimes, wake_late_s: list[float], seconds: float) -> list[float]:
    """Let callers call as often as they may, each timer as late as told; the times of calls."""
    return run_from(times, 0.0, seconds, wake_late_s)


def run_from(times: CallTimes, now: float, until: float, wake_late_s: list[float]) -> list[float]:
    """The same, from a time on."""
    starts, wakes = [], 0
    while now < until:
        start = times.next_start()
        if start <= now:
            times.take(now)
            starts.append(now)
            continue
        now = start + wake_late_s[wakes % len(wake_late_s)]
        wakes += 1
    return starts


def most_in_a_second(starts: list[float]) -> int:
    return max(position + 1 - bisect_left(starts, at - 1) for position, at in enumerate(starts))


LATE = st.lists(st.floats(0, 0.2), min_size=1, max_size=20)


@given(st.sampled_from([1, 2, 3, 7, 10, 50, 500]), LATE)
def test_no_second_ever_has_more_calls_than_the_limit(limit, wake_late_s):
    starts = run(CallTimes(limit, 0.0), wake_late_s, 3.0)
    assert most_in_a_second(starts) <= limit


@given(st.sampled_from([2, 10, 50, 500]), st.lists(st.floats(-0.004, 0.004), min_size=1))
def test_a_network_that_moves_calls_by_4_ms_breaks_no_limit(limit, jitter_s):
    starts = run(CallTimes(limit, 0.0), [0.0005], 3.0)
    arrivals = sorted(at + jitter_s[n % len(jitter_s)] for n, at in enumerate(starts))
    assert most_in_a_second(arrivals) <= limit


@pytest.mark.parametrize("limit", [1, 10, 50, 500, 2000])
@pytest.mark.parametrize("late_ms", [0, 1, 5, 9])
def test_timers_that_are_a_little_late_cost_nothing(limit, late_ms):
    starts = run(CallTimes(limit, 0.0), [late_ms / 1000], 20.0)
    assert len(starts) >= 0.98 * limit * 20


def test_a_long_stall_is_not_made_up_for():
    times = CallTimes(100, 0.0)
    run(times, [0.001], 1.0)
    starts = []
    while times.next_start() <= 5.0:
        times.take(5.0)
        starts.append(5.0)
    assert len(starts) <= 2  # 10 ms of budget, not four seconds' worth


def test_a_fractional_limit_is_spaced_evenly():
    starts = run(CallTimes(0.5, 0.0), [0.0], 11.0)
    assert [round(at) for at in starts] == [0, 2, 4, 6, 8, 10]


def test_calls_that_waited_for_a_connection_count_from_when_they_left():
    times = CallTimes(10, 0.0)
    for _ in range(10):
        number = times.take(0.0)
        times.correct(number, 0.7)
    assert times.next_start() >= 1.7


def test_a_pause_stops_everybody_until_its_end():
    times = CallTimes(100, 0.0)
    times.pause(30.0)
    times.pause(10.0)
    assert times.next_start() == 30.0


def test_a_throttle_lowers_the_rate_once_for_all_calls_that_were_in_flight():
    times = CallTimes(100, 0.0)
    assert times.slow_down(1.0, called_at=0.9)
    once = times.rate
    assert not times.slow_down(1.01, called_at=0.95)
    assert times.rate == once < 100
    assert times.slow_down(3.0, called_at=2.0)
    assert times.rate < once


def throttled_share_and_use(times: CallTimes, allowed: int, seconds: int) -> tuple[int, int]:
    """Call a server that lets so many calls through a second; (throttles, accepted)."""
    throttles = accepted = 0
    through: list[float] = []
    for tick in range(seconds * 1000):
        now = tick / 1000
        if tick % 1000 == 0:
            times.tick(now)
        while times.next_start() <= now:
            times.take(now)
            through = [at for at in through if at > now - 1]
            if len(through) < allowed:
                through.append(now)
                times.accept(called_at=now)
                accepted += 1
            else:
                throttles += 1
                times.slow_down(now, called_at=now)
                times.pause(now + 1)
    return throttles, accepted


def test_a_limit_cut_to_a_tenth_is_found_within_seconds_and_left_again():
    times = CallTimes(50, 0.0)
    throttles, accepted = throttled_share_and_use(times, 5, 60)
    assert throttles <= 30
    assert accepted >= 0.5 * 5 * 60
    assert times.rate <= 15
    for second in range(60, 90):
        times.tick(float(second))
    assert times.rate == 50


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=60))
def test_the_rate_stays_between_its_bounds(events):
    times, now = CallTimes(50, 0.0), 0.0
    for wait, is_throttle in events:
        now += wait
        if is_throttle:
            times.slow_down(now, called_at=now)
        else:
            times.tick(now)
        assert 0.5 <= times.rate <= 50


@given(
    st.lists(st.tuples(st.floats(0.05, 1.5), st.sampled_from([0, 1, 2, 10, 40, 50])), min_size=1),
    LATE,
)
def test_a_limit_that_changes_is_kept_in_every_second(changes, wake_late_s):
    """In every second there are no more calls than the highest limit that was in force in it."""
    times, now, starts, limits = CallTimes(50, 0.0), 0.0, [], []
    for seconds, limit in changes:
        times.set_limit(limit)
        limits.append((now, limit))
        starts += run_from(times, now, now + seconds, wake_late_s)
        now += seconds
    for at in starts:
        in_force = [
            limit
            for n, (since, limit) in enumerate(limits)
            if since <= at and (n + 1 == len(limits) or limits[n + 1][0] > at - 1)
        ]
        assert sum(at - 1 < other <= at for other in starts) <= max(in_force)


def test_without_a_share_of_the_limit_no_call_may_start():
    times = CallTimes(10, 0.0)
    times.set_limit(0)
    assert times.next_start() == float("inf")
    times.set_limit(10)
    assert times.next_start() <= 1e6
