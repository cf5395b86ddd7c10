"""Scores all accounts of a day: the engine in a thread of its own, and whoever waits for it.

The caller's thread only waits, so that an interrupt or the deadline reaches it whatever the event
loop does (docs/design.md#scoring, docs/faults.md#h2). No rule of scoring is decided here.
"""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable
from datetime import date, datetime

import pyarrow as pa
import uvloop

from esg_pipeline.clock import now_utc
from esg_pipeline.scoring.checkpoint import Checkpoint, CheckpointThread
from esg_pipeline.scoring.engine import STOP_SETTLE_S, Engine
from esg_pipeline.scoring.rate_share import SharedRateLimit
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
    checkpoint = CheckpointThread(writer, at_end=rate_limit.give_back)
    engine = Engine(
        accounts,
        settings=settings,
        day=day,
        checkpoint=checkpoint,
        rate_limit=rate_limit,
        resume=resume,
        calls_end_at=calls_end_at,
        deadline_at=deadline_at,
        now=now,
        rng=rng or random.Random(),  # noqa: S311 - spreads retries, keeps no secret
    )
    over = threading.Event()
    threading.Thread(
        target=_run_engine, args=(engine, over), name="esg-scoring", daemon=True
    ).start()
    try:
        while not over.wait(PROGRESS_EVERY_S):
            if on_progress is not None:
                on_progress(engine.progress())
            if _hangs(engine, calls_end_at, now):
                log.error("the event loop hangs; going on with what is answered")
                engine.abandon()
                break
    except BaseException:
        _stop(engine, over, checkpoint)
        raise
    flush_s = (deadline_at - now()).total_seconds() / 2
    try:
        checkpoint.close(max(FLUSH_MIN_S, flush_s))
    finally:
        if engine.error is not None:
            raise engine.error
    if on_progress is not None:
        on_progress(engine.progress())
    return engine.outcome()


def _run_engine(engine: Engine, over: threading.Event) -> None:
    async def run() -> None:
        try:
            await engine.run()
        except Exception as error:  # it must not die unseen in this thread
            engine.error = engine.error or error
        finally:
            # Not after the runner has closed: it waits for name lookups that hang.
            over.set()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def _hangs(engine: Engine, calls_end_at: datetime, now: Callable[[], datetime]) -> bool:
    """Whether the calls should be over, and the event loop shows no sign of it."""
    if now() < calls_end_at:
        return False
    return time.monotonic() - engine.beat_at > HANG_GRACE_S


def _stop(engine: Engine, over: threading.Event, checkpoint: CheckpointThread) -> None:
    """Interrupted: end the calls, and make safe what is answered; bounded in time."""
    log.warning("interrupted: no more calls, writing down what is answered")
    engine.request_stop()
    over.wait(STOP_SETTLE_S + 1)
    engine.abandon()
    try:
        checkpoint.close(FLUSH_MIN_S)
    except Exception as error:
        log.error("interrupted: not everything could be written down (%s)", error)
