"""Scores all accounts of a day: the engine in a thread of its own, and whoever waits for it.

The caller's thread only waits, so that an interrupt or the deadline reaches it whatever the event
loop does (docs/design.md#scoring, docs/faults.md#h2). No rule of scoring is decided here.
"""

import asyncio
import logging
import random
import threading
from collections.abc import Callable, Coroutine
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import uvloop

from esg_pipeline.clock import now_utc
from esg_pipeline.ledger import RateShare
from esg_pipeline.scoring.api.client import open_api
from esg_pipeline.scoring.checkpoint import Checkpoint, CheckpointThread
from esg_pipeline.scoring.end_of_calls import STOP_GRACE_S
from esg_pipeline.scoring.engine import Engine
from esg_pipeline.scoring.rate_share import SharedRateLimit
from esg_pipeline.scoring.run_time import RunTime
from esg_pipeline.scoring.tally import Progress, ScoringOutcome
from esg_pipeline.scoring.work_list import ResumeState
from esg_pipeline.settings import Settings

log = logging.getLogger("esg_pipeline.scoring")

PROGRESS_EVERY_S = 0.5
HANG_GRACE_S = 10.0
"""Time the event loop may be late after the calls have ended before it counts as hanging."""
FLUSH_MIN_S = 10.0


def score_accounts(
    accounts: pa.Table,
    *,
    settings: Settings,
    day: date,
    writer: Checkpoint,
    rate_limit: SharedRateLimit,
    resume: ResumeState,
    calls_end_at: datetime,
    deadline_at: datetime,
    on_progress: Callable[[Progress], None] | None = None,
    now: Callable[[], datetime] = now_utc,
    rng: random.Random | None = None,
) -> ScoringOutcome:
    """Ask the API for every account that has no rating yet; ratings go to `writer`.

    Args:
        accounts: ACCOUNTS_SCHEMA, sorted by account id.
        settings: Checked by `require_for_run`.
        day: The business date.
        writer: Made durable before a call (attempts) and after it (ratings); used from one
            thread.
        rate_limit: Says what part of `ESG_API_RATE_LIMIT` is this run's; used from the same thread.
        resume: What an earlier run of this edition left behind.
        calls_end_at: From here on no new call (aware); calls in flight are waited for a little.
        deadline_at: All must be over by then (aware).
        on_progress: Called in this thread about twice a second; must return quickly.
        now: The wall clock, aware; deadlines follow it, waits do not.
        rng: Spreads the retries.

    Returns:
        How it ended. Accounts without a rating were not reached before `calls_end_at`.

    Raises:
        ApiUnauthorized: the API refuses our credentials for everybody.
        ApiUntrusted: the server did not prove who it is.
        LeaseLost: another run has taken over; nothing more is written.
        LedgerUnavailable: the ledger did not come back before the deadline.
        BaseException: what interrupted this thread, after what was answered is safe.
    """
    time = RunTime(calls_end_at, now)
    checkpoint = CheckpointThread(writer, at_end=rate_limit.give_back)

    async def take_share(limit: float, in_use: float) -> RateShare:
        return await checkpoint.written(lambda: rate_limit.take(limit, in_use))

    engine = Engine(
        accounts,
        resume,
        settings=settings,
        checkpoint=checkpoint,
        take_share=take_share,
        time=time,
        deadline_at=deadline_at,
        rng=rng or random.Random(),  # noqa: S311 - spreads retries, keeps no secret
    )

    async def run() -> None:
        api = open_api(settings, day, now=now, on_delayed=engine.call_was_delayed)
        async with api as (client, credentials):
            await engine.run(client, credentials)

    over = threading.Event()
    threading.Thread(
        target=_run_in_loop, args=(run, engine, over), name="esg-scoring", daemon=True
    ).start()
    try:
        while not over.wait(PROGRESS_EVERY_S):
            if on_progress is not None:
                on_progress(engine.progress())
            if _hangs(engine, time):
                log.error("the event loop hangs; going on with what is answered")
                engine.end.abandon()
                break
    except BaseException:
        _stop(engine, over, checkpoint)
        raise
    flush_s = (deadline_at - now()).total_seconds() / 2
    try:
        checkpoint.close(max(FLUSH_MIN_S, flush_s))
    finally:
        if engine.end.error is not None:
            raise engine.end.error
    if on_progress is not None:
        on_progress(engine.progress())
    return engine.outcome()


def _run_in_loop(
    run: Callable[[], Coroutine[Any, Any, None]], engine: Engine, over: threading.Event
) -> None:
    async def run_and_tell() -> None:
        try:
            await run()
        except Exception as error:  # it must not die unseen in this thread
            engine.end.fail(error)
        finally:
            # Not after the runner has closed: it waits for name lookups that hang.
            over.set()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_and_tell())


def _hangs(engine: Engine, time: RunTime) -> bool:
    """Whether the calls should be over, and the event loop shows no sign of it."""
    return time.left_s() <= 0 and time.monotonic() - engine.beat_at > HANG_GRACE_S


def _stop(engine: Engine, over: threading.Event, checkpoint: CheckpointThread) -> None:
    """Interrupted: end the calls, and make safe what is answered; bounded in time."""
    log.warning("interrupted: no more calls, writing down what is answered")
    engine.request_stop()
    over.wait(STOP_GRACE_S + 1)
    engine.end.abandon()
    try:
        checkpoint.close(FLUSH_MIN_S)
    except Exception as error:
        log.error("interrupted: not everything could be written down (%s)", error)
