"""However a run ends, it ends in time and what was answered is safe."""

import os
import signal
import threading
from datetime import UTC, datetime, timedelta

import pytest

from esg_pipeline.ledger import LeaseLost, LedgerUnavailable
from esg_pipeline.scoring import Ended, engine_thread
from esg_pipeline.scoring.api import client
from esg_pipeline_tests.scoring.checkpoints import MemoryCheckpoint
from esg_pipeline_tests.servers.waiting import PATIENCE_S, wait_until

STALL_S = 2.0
"""For so long a busy machine may keep a call that has left from being counted by the server."""


def test_no_call_starts_after_the_end_of_calls_and_those_in_flight_are_waited_for(scoring):
    scoring.sandbox.set_faults(latency_s=0.5)
    ratings = scoring.run(3000, api_rate_limit=100, calls_end_in_s=2)
    calls = scoring.sandbox.calls()
    assert max(call.wall for call in calls) <= scoring.calls_end_at.timestamp() + STALL_S
    assert len(ratings) == len(calls) == scoring.outcome.tally.calls
    assert scoring.outcome.ended is Ended.DEADLINE
    assert scoring.outcome.unanswered == 3000 - len(ratings)
    assert scoring.checkpoint.begun == set()


def test_calls_that_never_end_do_not_hold_up_the_end(scoring):
    scoring.sandbox.set_faults({"timeout": 0.05})
    ratings = scoring.run(300, calls_end_in_s=3, reserve_s=2, api_timeout=600)
    assert ratings
    assert set(scoring.checkpoint.by_reason()) == {""}, "nobody was waited for until a timeout"
    assert scoring.outcome.ended is Ended.DEADLINE
    assert scoring.outcome.unanswered == 300 - len(ratings) > 0


def test_the_end_follows_the_wall_clock_when_it_jumps(scoring):
    jump = [timedelta(0)]

    def forward(progress):
        if progress.answered > 30:
            jump[0] = timedelta(hours=1)

    scoring.run(
        3000,
        api_rate_limit=50,
        calls_end_in_s=3000,
        now=lambda: datetime.now(UTC) + jump[0],
        on_progress=forward,
    )
    assert 30 < scoring.counts.total < 3000
    assert scoring.outcome.ended is Ended.DEADLINE


def test_a_clock_that_jumps_back_does_not_stop_the_calls(scoring):
    jump = [timedelta(0)]

    def back(progress):
        if progress.answered > 30:
            jump[0] = timedelta(hours=-1)

    ratings = scoring.run(
        300, api_rate_limit=100, now=lambda: datetime.now(UTC) + jump[0], on_progress=back
    )
    assert jump[0]
    assert len(ratings) == 300


def test_a_hang_that_ignores_cancellation_does_not_hold_up_the_end(scoring, monkeypatch):
    monkeypatch.setattr(engine_thread, "HANG_GRACE_S", 1.0)
    wakes_up = threading.Event()
    read = client.ApiClient._result_of

    def hang_at_the_50th(self, *arguments):
        result = read(self, *arguments)
        calls.append(None)
        if len(calls) == 50:
            hangs.append(None)
            wakes_up.wait(PATIENCE_S)
            hangs.clear()
        return result

    calls: list[None] = []
    hangs: list[None] = []
    monkeypatch.setattr(client.ApiClient, "_result_of", hang_at_the_50th)
    ratings = scoring.run(300, api_rate_limit=100, calls_end_in_s=4)
    answered, made = len(ratings), scoring.counts.total
    assert hangs, "it is over, although the call hangs still"
    wakes_up.set()
    wait_until(lambda: not hangs)
    assert scoring.outcome.ended is Ended.HANG
    assert answered >= 45
    # The thread that woke up did what it could: nothing.
    assert (len(ratings), scoring.counts.total) == (answered, made)


class Interrupted(BaseException):
    """What Dagster raises in the main thread."""


def test_an_interrupt_keeps_what_was_answered_and_goes_on_its_way(scoring):
    def interrupt(signum, frame):
        raise Interrupted

    scoring.sandbox.set_faults(latency_s=0.1)
    handler = signal.signal(signal.SIGUSR1, interrupt)
    has_begun = threading.Event()
    killer = threading.Thread(
        target=lambda: has_begun.wait(PATIENCE_S) and os.kill(os.getpid(), signal.SIGUSR1)
    )
    killer.start()
    try:
        with pytest.raises(Interrupted):
            scoring.run(
                3000,
                api_rate_limit=100,
                on_progress=lambda progress: progress.answered > 50 and has_begun.set(),
            )
    finally:
        killer.join()
        signal.signal(signal.SIGUSR1, handler)
    answered = set(scoring.checkpoint.ratings)
    assert 3000 > len(answered) == scoring.counts.total > 50
    assert scoring.checkpoint.begun == set()
    scoring.sandbox.reset()
    scoring.run(300, checkpoint=scoring.checkpoint)
    assert answered.isdisjoint(scoring.sandbox.calls_by_account())


def test_while_the_ledger_is_away_no_call_is_made_and_then_all_goes_on(scoring):
    checkpoint = MemoryCheckpoint()
    seen, paused = [], []

    def watch(progress):
        seen.append(progress)
        if progress.answered > 50 and not paused:
            checkpoint.is_away = True
        if progress.paused == "ledger":
            paused.append(progress.calls)
        if len(paused) == 4:
            checkpoint.is_away = False

    ratings = scoring.run(200, api_rate_limit=100, checkpoint=checkpoint, on_progress=watch)
    assert len(ratings) == scoring.counts.total == 200
    assert len(paused) >= 4
    assert paused[-1] - paused[1] <= 1


def test_a_ledger_that_stays_away_is_an_error_at_the_end(scoring, monkeypatch):
    monkeypatch.setattr(engine_thread, "FLUSH_MIN_S", 1.0)
    checkpoint = MemoryCheckpoint()

    def break_it(progress):
        checkpoint.is_away = progress.answered > 20

    with pytest.raises(LedgerUnavailable):
        scoring.run(
            3000,
            api_rate_limit=100,
            checkpoint=checkpoint,
            on_progress=break_it,
            calls_end_in_s=3,
            reserve_s=2,
        )
    assert scoring.counts.total < 1500


def test_a_lost_lease_stops_everything_and_nothing_more_is_written(scoring):
    checkpoint = MemoryCheckpoint(lost_after=100)
    with pytest.raises(LeaseLost):
        scoring.run(3000, api_rate_limit=200, checkpoint=checkpoint)
    assert 100 <= len(checkpoint.ratings) < 1000
    assert scoring.counts.total < 1000


def test_a_bug_in_the_checkpoint_reaches_the_caller(scoring):
    class Broken(MemoryCheckpoint):
        def record(self, *outcomes):
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        scoring.run(3000, api_rate_limit=200, checkpoint=Broken())
