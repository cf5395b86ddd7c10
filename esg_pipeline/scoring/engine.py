"""The scoring loop: callers, a feed of work for them, a watch on the time, and the end.

Who owns which state is listed in the room's docstring. Runs in one event loop, knows no Dagster,
and takes clocks, chance, network and ledger as arguments.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import partial
from typing import Any

import pyarrow as pa

from esg_pipeline.scoring import write_offs
from esg_pipeline.scoring.after_a_call import Settler
from esg_pipeline.scoring.api.call import Api
from esg_pipeline.scoring.api.credentials import Credentials
from esg_pipeline.scoring.attempts import Attempts
from esg_pipeline.scoring.calls import Callers, Calls
from esg_pipeline.scoring.checkpoint import CheckpointQueue
from esg_pipeline.scoring.end_of_calls import EndOfCalls
from esg_pipeline.scoring.pace import CallTimes, Pacer
from esg_pipeline.scoring.probes import Prober
from esg_pipeline.scoring.rate_share import ShareKeeper, TakeShare
from esg_pipeline.scoring.retries import Backoff
from esg_pipeline.scoring.run_time import RunTime
from esg_pipeline.scoring.standing import Standing
from esg_pipeline.scoring.tally import Ended, Progress, ScoringOutcome, Tally
from esg_pipeline.scoring.verdicts import Judge
from esg_pipeline.scoring.work_list import QUARANTINE_FROM, ResumeState, WorkList
from esg_pipeline.scoring.write_ahead import Feeder, ReadyQueue
from esg_pipeline.settings import Settings

log = logging.getLogger("esg_pipeline.scoring")

MAX_BACKLOG = 1000
"""Outcomes not yet durable; at more, calls wait, so that a crash repeats no more than these."""
FEED_EVERY_S = 0.01
FEED_IN_A_PAUSE_EVERY_S = 1.0
WATCH_EVERY_S = 1.0


class Engine:
    """One scoring run. `run` is its life; `request_stop` and `progress` may come from any thread.

    Args:
        accounts: ACCOUNTS_SCHEMA, sorted by account id.
        resume: What an earlier run of this edition left behind.
        settings: Limits, attempts and waits; the API itself is given to `run`.
        checkpoint: Takes what must be durable.
        take_share: Asks for the part of the rate limit that is this run's.
        time: The clocks.
        deadline_at: All must be over by then (aware).
        rng: Spreads retries and probes.

    Attributes:
        end: Whether the calls are over, and why.
        beat_at: When the event loop last gave a sign of life (monotonic seconds).
    """

    def __init__(
        self,
        accounts: pa.Table,
        resume: ResumeState,
        *,
        settings: Settings,
        checkpoint: CheckpointQueue,
        take_share: TakeShare,
        time: RunTime,
        deadline_at: datetime,
        rng: random.Random,
    ) -> None:
        self._settings = settings
        self._checkpoint = checkpoint
        self._time = time
        self._clock = time.monotonic
        self._tally = Tally()
        self._work = WorkList(accounts, resume, settings.api_max_attempts, rng)
        self._callers = min(settings.api_max_concurrency, self._work.total)
        self._ready = ReadyQueue()
        self._attempts = Attempts(
            self._work,
            checkpoint,
            Backoff(settings.api_backoff_base, settings.api_backoff_max, rng),
            self._tally,
            time,
        )
        self._judge = Judge(
            self._work.unanswered,
            self._work.to_be_asked,
            probe_base_s=settings.api_backoff_base,
            probe_max_s=settings.api_backoff_max,
        )
        limit = settings.api_rate_limit
        self._times = CallTimes(limit, self._clock())
        self._share = ShareKeeper(
            limit, take_share, self._times, on_change=self._ready.wake_one, time=time
        )
        self._standing = Standing(
            work=self._work,
            judge=self._judge,
            times=self._times,
            checkpoint=checkpoint,
            tally=self._tally,
            time=time,
        )
        reserve_s = (deadline_at - time.calls_end_at).total_seconds()
        self.end = EndOfCalls(self._clock, min(settings.api_timeout, reserve_s / 2))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started_at = self._clock()
        self.beat_at = self._clock()

    async def run(self, api: Api, credentials: Credentials) -> None:
        """Call until every account is answered, or something ends the calls."""
        self._loop = asyncio.get_running_loop()
        self._checkpoint.notify(self._loop, self._on_checkpoint)
        settler = Settler(
            attempts=self._attempts,
            judge=self._judge,
            times=self._times,
            credentials=credentials,
            tally=self._tally,
            time=self._time,
        )
        calls = Calls(
            api=api,
            settler=settler,
            attempts=self._attempts,
            tally=self._tally,
            on_settled=self._end_if_complete,
            clock=self._clock,
        )
        pacer = Pacer(self._times, self._time)
        callers = Callers(
            number=self._callers,
            ready=self._ready,
            pacer=pacer,
            credentials=credentials,
            calls=calls,
            may_call=self._may_call,
            clock=self._clock,
        )
        feeder = Feeder(
            work=self._work,
            attempts=self._attempts,
            ready=self._ready,
            times=self._times,
            first_batch=self._callers,
            clock=self._clock,
        )
        prober = Prober(
            judge=self._judge,
            work=self._work,
            attempts=self._attempts,
            pacer=pacer,
            api=api,
            calls=calls,
            credentials=credentials,
            may_probe=self._may_probe,
            clock=self._clock,
        )
        self._begin_run()
        jobs: list[Callable[[], Coroutine[Any, Any, None]]]
        jobs = [
            partial(self._feed, feeder, prober),
            self._watch,
            partial(self._share.keep, self._is_over),
        ]
        jobs += [callers.run_one] * self._callers
        tasks = [asyncio.create_task(self._guard(job)) for job in jobs]
        await self.end.wait()
        await self._let_calls_end(calls)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._finish(feeder, settler)

    def _begin_run(self) -> None:
        write_offs.cut_off(self._work, self._attempts)
        if self._work.quarantined:
            log.warning(
                "%d runs died while %d accounts were asked: these come last, one at a time",
                QUARANTINE_FROM,
                self._work.quarantined,
            )
        log.info("%d of %d accounts to be asked", self._work.unanswered, self._work.total)
        self._end_if_complete()
        left_s = self._time.left_s()
        needed_s = self._work.unanswered / self._settings.api_rate_limit
        if needed_s > max(left_s, 0):
            log.warning(
                "%d accounts need %.0f s at ESG_API_RATE_LIMIT %g, but calls end in %.0f s",
                self._work.unanswered,
                needed_s,
                self._settings.api_rate_limit,
                left_s,
            )

    async def _guard(self, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await job()
        except Exception as error:  # whatever it is, the run must end and its caller hear of it
            self.end.fail(error)

    # ---- whether calls may be made

    def _is_over(self) -> bool:
        return self.end.at is not None

    def _may_call(self) -> bool:
        return (
            self.end.at is None
            and self._judge.down_since is None
            and not self._checkpoint.is_away
            and self._checkpoint.backlog < MAX_BACKLOG
            and self._share.is_valid
        )

    def _may_probe(self) -> bool:
        return self.end.at is None and not self._checkpoint.is_away and self._share.is_valid

    def call_was_delayed(self, number: int) -> None:
        """The call with the pacer's number left only now: its connection had to be opened first."""
        self._times.correct(number, self._clock())

    def request_stop(self) -> None:
        """End the calls soon; what is answered is kept."""
        self.end.hurry()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.end.stop)

    def _end_if_complete(self) -> None:
        if self._work.unanswered == 0:
            self.end.end(Ended.COMPLETE)

    def _on_checkpoint(self) -> None:
        if self._checkpoint.error is not None:
            self.end.fail(self._checkpoint.error)
        self._ready.wake_one()

    # ---- the jobs beside the callers

    async def _feed(self, feeder: Feeder, prober: Prober) -> None:
        """Keep work ready; while the API is down, probe it."""
        while not self._is_over():
            if self._judge.is_down:
                await self._wait_out(feeder, prober)
            elif not self._checkpoint.is_away and await feeder.top_up():
                continue
            pause_s = self._next_move_at() - self._clock()
            await self._time.sleep(max(FEED_EVERY_S, min(FEED_IN_A_PAUSE_EVERY_S, pause_s)))

    def _next_move_at(self) -> float:
        """Before this time no call and no probe may start."""
        if self._judge.down_since is None:
            return self._times.paused_until
        patience_s = self._settings.api_outage_patience
        if patience_s is None:
            return self._judge.next_probe_at
        return min(self._judge.next_probe_at, self._judge.down_since + patience_s)

    async def _wait_out(self, feeder: Feeder, prober: Prober) -> None:
        """The API is down: probe it, until it is back or patience is over."""
        feeder.take_back()
        patience_s = self._settings.api_outage_patience
        if patience_s is not None and self._judge.down_s(self._clock()) >= patience_s:
            self.end.end(Ended.OUTAGE)
            return
        await prober.probe()
        if not self._judge.is_down:
            self._ready.wake_one()

    async def _watch(self) -> None:
        """Every second: the deadline by the wall clock, the checkpoint, the pace, the estimate."""
        while not self._is_over():
            self.beat_at = self._clock()
            left_s = self._time.left_s()
            if left_s <= 0:
                log.warning("calls end now: %d accounts not reached", self._work.unanswered)
                self.end.end(Ended.DEADLINE)
                return
            self._checkpoint.flush()
            self._times.tick(self.beat_at)
            self._standing.note()
            await self._time.sleep(min(WATCH_EVERY_S, left_s))

    # ---- the end

    async def _let_calls_end(self, calls: Calls) -> None:
        over_at = self._clock()
        # `request_stop` may shorten the time meanwhile.
        while calls.in_flight and self._clock() < over_at + self.end.grace_s:
            self.beat_at = self._clock()
            await self._time.sleep(FEED_EVERY_S)

    async def _finish(self, feeder: Feeder, settler: Settler) -> None:
        """Settle what needs no call any more, and hand everything over."""
        feeder.take_back()
        self._checkpoint.flush()
        settler.settle_set_aside()
        if self.end.error is None and self.end.why is Ended.OUTAGE:
            log.warning("API down for too long: %d accounts are given up", self._work.unanswered)
            for page in self._work.unanswered_pages(MAX_BACKLOG):
                write_offs.outage(self._work, self._attempts, page, settler.outage_reason)
                await self._wait_for_checkpoint()
        if self.end.error is None and self.end.why is Ended.DEADLINE:
            write_offs.throttled(self._work, self._attempts)
        self._checkpoint.flush()

    async def _wait_for_checkpoint(self) -> None:
        while self._checkpoint.backlog > MAX_BACKLOG and self._checkpoint.error is None:
            self.beat_at = self._clock()
            await self._time.sleep(FEED_EVERY_S)

    # ---- what others see

    def progress(self) -> Progress:
        """How far the calls are."""
        return self._standing.progress()

    def outcome(self) -> ScoringOutcome:
        """How it ended."""
        over_at = self._clock() if self.end.at is None else self.end.at
        return ScoringOutcome(
            ended=self.end.why,
            progress=self.progress(),
            unanswered=self._work.unanswered,
            seconds=over_at - self._started_at,
            tally=self._tally,
        )
