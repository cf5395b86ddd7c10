"""The oracle: its numbers are what really happened, also for refused and abandoned calls."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esg_pipeline.sandbox import SandboxError
from esg_pipeline.sandbox.call_log import CallLog
from esg_pipeline.sandbox.rate_limit import SlidingWindow
from esg_pipeline_tests.sandbox.wire import DAY, Caller, ask_on_the_wire, send

# Whole 64ths of a second are exact in floating point, so the ends of the window are too.
ARRIVALS = st.lists(st.integers(0, 100), max_size=60).map(
    lambda gaps: [tick / 64 for tick in accumulate(gaps)]
)


@given(ARRIVALS)
def test_the_busiest_second_is_counted_exactly(arrivals):
    log = CallLog()
    for now in arrivals:
        log.arrive(1, now)
    busiest = max((sum(end - 1 < at <= end for at in arrivals) for end in arrivals), default=0)
    assert log.counts().max_in_a_second == busiest


@given(ARRIVALS, st.integers(1, 8))
def test_the_limit_refuses_what_is_over_it_and_nothing_else(arrivals, limit):
    window, admitted = SlidingWindow(), []
    for now in arrivals:
        room = sum(now - 1 < at <= now for at in admitted) < limit
        assert window.admits(now, limit) == room
        if room:
            admitted.append(now)


def test_each_call_is_recorded_with_who_when_and_what_was_sent(sandbox):
    sandbox.set_faults(account_faults={"A2": "http_500"}, rate_limit=2)
    began, began_wall = time.monotonic(), time.time()
    with Caller(sandbox) as caller, Caller(sandbox, token="wrong") as stranger:
        for account_id in ("A1", "A2", "A1"):
            caller.post(account_id)
        stranger.post("A3")
        stranger.request("POST", stranger.path, b"{")
    calls = sandbox.calls()
    seen = [(c.account_id, c.status, c.fault, c.over_limit, c.authorized) for c in calls]
    assert seen == [
        ("A1", 200, None, False, True),
        ("A2", 500, "http_500", False, True),
        ("A1", 429, None, True, True),
        ("A3", 401, None, False, False),
        ("", 400, None, False, False),
    ]
    assert [c.analysis_date for c in calls] == [DAY] * 4 + [None]
    times = [c.at for c in calls]
    assert began <= times[0] and times == sorted(times) and times[-1] <= time.monotonic()
    assert began_wall - 1 <= calls[0].wall <= time.time() + 1
    connections = [c.connection for c in calls]
    assert connections[0] == connections[1] == connections[2]
    assert connections[3] == connections[4] == connections[0] + 1
    assert calls[0].body_hash == calls[2].body_hash != calls[1].body_hash


def test_counts_add_up(sandbox):
    sandbox.set_faults(latency_s=0.2)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: ask_on_the_wire(sandbox, f"A{number % 5}"), range(8)))
    counts = sandbox.counts()
    assert (counts.total, counts.accounts, counts.most_per_account) == (8, 5, 2)
    assert (counts.in_flight, counts.in_flight_peak, counts.connections) == (0, 8, 8)
    assert counts.by_status == {"200": 8}
    assert sandbox.calls_by_account() == {"A0": 2, "A1": 2, "A2": 2, "A3": 1, "A4": 1}


def test_a_call_whose_caller_left_counts_and_has_no_status(sandbox):
    sandbox.set_faults({"timeout": 1})
    peer = send(sandbox)
    assert sandbox.wait_for_calls(1).in_flight == 1
    peer.close()
    sandbox.set_faults({})
    ask_on_the_wire(sandbox, "A2")
    assert [(c.account_id, c.status, c.fault) for c in sandbox.calls()] == [
        ("A1", 0, "timeout"),
        ("A2", 200, None),
    ]
    assert sandbox.counts().in_flight == 0


def test_waiting_ends_at_the_call_waited_for_or_says_what_is_missing(sandbox):
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(sandbox.wait_for_calls, 2)
        ask_on_the_wire(sandbox)
        assert not waiting.done()
        ask_on_the_wire(sandbox)
        assert waiting.result(5).total >= 2
    with pytest.raises(SandboxError, match="only 2 calls arrived"):
        sandbox.wait_for_calls(3, timeout_s=0.1)


def test_a_reset_forgets_the_calls_but_not_the_behaviour(sandbox):
    sandbox.set_faults({"http_500": "1:1"})
    assert [ask_on_the_wire(sandbox).status for _ in range(2)] == [500, 200]
    sandbox.reset()
    assert (sandbox.counts().total, sandbox.calls(), sandbox.calls_by_account()) == (0, [], {})
    assert ask_on_the_wire(sandbox).status == 500
