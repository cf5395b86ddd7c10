"""However a run ends, it ends in time and what was answered is safe."""

import signal
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from esg_pipeline.ledger import LeaseLost, LedgerUnavailable
from esg_pipeline.scoring import Ended, engine_thread
from esg_pipeline.scoring.api import client
from esg_pipeline_tests.scoring.checkpoints import MemoryCheckpoint


def test_no_call_starts_after_the_end_of_calls_and_those_in_flight_are_waited_for(scoring):
    scoring.sandbox.set_faults(latency_s=0.5)
    end = time.time() + 2
    ratings = scoring.run(3000, api_rate_limit=100, calls_end_in_s=2)
    calls = scoring.sandbox.calls()
    assert max(call.wall for call in calls) <= end + 0.5
    assert len(ratings) == len(calls) == scoring.outcome.tally.calls
    assert scoring.outcome.ended is Ended.DEADLINE
    assert scoring.outcome.unanswered == 3000 - len(ratings)
    assert scoring.checkpoint.begun == set()


def test_calls_that_never_end_do_not_hold_up_the_end(scoring):
    scoring.sandbox.set_faults({"timeout": 0.05})
    started = time.monotonic()
    ratings = scoring.run(300, calls_end_in_s=1.5, reserve_s=2, api_timeout=60)
    assert time.monotonic() - started < 10
    assert ratings
    assert scoring.outcome.ended is Ended.DEADLINE
    assert scoring.outcome.unanswered == 300 - len(ratings) > 0


def test_the_end_follows_the_wall_clock_when_it_jumps(scoring):
    jump = [timedelta(0)]
    timer = threading.Timer(1.5, jump.__setitem__, (0, timedelta(hours=1)))
    timer.start()
    started = time.monotonic()
    scoring.run(
        3000,
        api_rate_limit=50,
        calls_end_in_s=3000,
        now=lambda: datetime.now(UTC) + jump[0],
    )
    timer.join()
    assert time.monotonic() - started < 10
    assert scoring.outcome.ended is Ended.DEADLINE


def test_a_clock_that_jumps_back_does_not_stop_the_calls(scoring):
    jump = [timedelta(0)]
    timer = threading.Timer(0.7, jump.__setitem__, (0, timedelta(hours=-1)))
    timer.start()
    ratings = scoring.run(150, api_rate_limit=100, now=lambda: datetime.now(UTC) + jump[0])
    timer.join()
    assert len(ratings) == 150


def test_a_hang_that_ignores_cancellation_does_not_hold_up_the_end(scoring, monkeypatch):
    monkeypatch.setattr(engine_thread, "HANG_GRACE_S", 1.0)
    wakes_up = threading.Event()
    read = client.ApiClient._result_of

    def hang_at_the_50th(self, *arguments):
        result = read(self, *arguments)
        calls.append(None)
        if len(calls) == 50:
            wakes_up.wait(30)
        return result

    calls: list[None] = []
    monkeypatch.setattr(client.ApiClient, "_result_of", hang_at_the_50th)
    started = time.monotonic()
    ratings = scoring.run(300, api_rate_limit=100, calls_end_in_s=2)
    took = time.monotonic() - started
    answered, made = len(ratings), scoring.counts.total
    wakes_up.set()
    assert took < 20
    assert scoring.outcome.ended is Ended.HANG
    assert answered >= 45
    time.sleep(0.5)  # the thread that woke up may do what it can: nothing
    assert (len(ratings), scoring.counts.total) == (answered, made)


class Interrupted(BaseException):
    """What Dagster raises in the main thread."""


def test_an_interrupt_keeps_what_was_answered_and_goes_on_its_way(scoring):
    def interrupt(signum, frame):
        raise Interrupted

    scoring.sandbox.set_faults(latency_s=0.1)
    handler = signal.signal(signal.SIGUSR1, interrupt)
    killer = threading.Timer(1.5, signal.raise_signal, (signal.SIGUSR1,))
    killer.start()
    started = time.monotonic()
    try:
        with pytest.raises(Interrupted):
            scoring.run(3000, api_rate_limit=100)
    finally:
        killer.join()
        signal.signal(signal.SIGUSR1, handler)
    assert time.monotonic() - started < 10
    answered = set(scoring.checkpoint.ratings)
    assert len(answered) == scoring.counts.total > 50
    assert scoring.checkpoint.begun == set()
    scoring.sandbox.reset()
    scoring.run(300, checkpoint=scoring.checkpoint)
    assert answered.isdisjoint(scoring.sandbox.calls_by_account())


def test_while_the_ledger_is_away_no_call_is_made_and_then_all_goes_on(scoring):
    checkpoint = MemoryCheckpoint()
    seen, paused = [], []

    def watch(progress):
        seen.append(progress)
        if progress.answered > 50 and not paused and not checkpoint.is_away:
            checkpoint.is_away = True
            threading.Timer(2.5, checkpoint.__setattr__, ("is_away", False)).start()
        if progress.paused == "ledger":
            paused.append(progress.calls)

    ratings = scoring.run(200, api_rate_limit=100, checkpoint=checkpoint, on_progress=watch)
    assert len(ratings) == scoring.counts.total == 200
    assert len(paused) >= 3
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
    assert scoring.counts.total < 250


def test_a_lost_lease_stops_everything_and_nothing_more_is_written(scoring):
    checkpoint = MemoryCheckpoint(lost_after=100)
    started = time.monotonic()
    with pytest.raises(LeaseLost):
        scoring.run(3000, api_rate_limit=200, checkpoint=checkpoint)
    assert time.monotonic() - started < 10
    assert 100 <= len(checkpoint.ratings) < 1000
    assert scoring.counts.total < 1000


def test_a_bug_in_the_checkpoint_reaches_the_caller(scoring):
    class Broken(MemoryCheckpoint):
        def record(self, *outcomes):
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        scoring.run(3000, api_rate_limit=200, checkpoint=Broken())
