"""The scoring loop: workers that call, a feed of work for them, a watch on the time.

It decides when a call may start and when all calls end; what a call's outcome means is decided in
`settle`, which account is next in `work`. Runs in one event loop and knows no Dagster.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import pyarrow as pa

from esg_pipeline.ratings import Reason
from esg_pipeline.scoring.after_a_call import Settler
from esg_pipeline.scoring.api.call import CallOutcome, CallResult
from esg_pipeline.scoring.api.client import open_api
from esg_pipeline.scoring.api.credentials import Bearer, Credentials
from esg_pipeline.scoring.breaker import Breaker
from esg_pipeline.scoring.checkpoint import CheckpointThread
from esg_pipeline.scoring.estimate import Estimate
from esg_pipeline.scoring.feeder import Feeder
from esg_pipeline.scoring.pace import Pacer
from esg_pipeline.scoring.probes import Prober
from esg_pipeline.scoring.rate_share import SharedRateLimit
from esg_pipeline.scoring.ready import ReadyQueue
from esg_pipeline.scoring.tally import ANSWERED, Ended, Progress, ScoringOutcome, Tally
from esg_pipeline.scoring.work_list import QUARANTINE_FROM, Item, ResumeState, WorkList
from esg_pipeline.settings import Settings

log = logging.getLogger("esg_pipeline.scoring")

MAX_BACKLOG = 1000
"""Outcomes not yet durable; at more, calls wait, so that a crash repeats no more than these."""
FEED_EVERY_S = 0.01
WATCH_EVERY_S = 1.0
LOG_PROGRESS_EVERY_S = 10.0
SETTLE_MAX_S = 30.0
SHARE_EVERY_S = 0.25
SHARE_TERM_S = 20.0
"""For so long a share of the rate limit may be used unseen: less than a lease's term, after which
other runs take it. A frozen run that wakes up makes no call before it has asked again."""
HANDOVER_S = 1.0
"""Whoever gave a share up called until then, and no second may have more calls than the limit."""
STOP_SETTLE_S = 5.0
"""Time that calls in flight get when the run is interrupted or must stop."""


class Engine:
    """One scoring run. `run` is its life; `request_stop` and `progress` may come from any thread.

    Attributes:
        error: Why the run must stop, if it must.
        over_at: When the calls ended (monotonic seconds), None before.
        beat_at: When the event loop last gave a sign of life (monotonic seconds).
    """

    def __init__(
        self,
        accounts: pa.Table,
        *,
        settings: Settings,
        day: date,
        checkpoint: CheckpointThread,
        rate_limit: SharedRateLimit,
        resume: ResumeState,
        calls_end_at: datetime,
        deadline_at: datetime,
        now: Callable[[], datetime],
        rng: random.Random,
    ) -> None:
        self._settings = settings
        self._day = day
        self._checkpoint = checkpoint
        self._rate_limit = rate_limit
        self._calls_end_at = calls_end_at
        self._now = now
        self._clock = time.monotonic
        self._rng = rng
        self._work = WorkList(accounts, resume, settings.api_max_attempts, rng)
        self._workers = min(settings.api_max_concurrency, self._work.total)
        self._pacer = Pacer(settings.api_rate_limit, self._clock)
        self._breaker = Breaker(
            self._work.unanswered,
            probe_base_s=settings.api_backoff_base,
            probe_max_s=settings.api_backoff_max,
        )
        self._ready = ReadyQueue()
        self._tally = Tally()
        self._failed_before = resume.failed
        self._estimate = Estimate()
        self._is_turn_taken = False
        self._share_ends_at = 0.0
        self._in_flight = 0
        reserve_s = (deadline_at - calls_end_at).total_seconds()
        self._settle_s = min(settings.api_timeout, SETTLE_MAX_S, reserve_s / 2)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = asyncio.Event()
        self._ended = Ended.COMPLETE
        self._started_at = self._clock()
        self.error: BaseException | None = None
        self.over_at: float | None = None
        self.beat_at = self._clock()

    async def run(self) -> None:
        """Call until every account is answered, or something ends the calls."""
        self._loop = asyncio.get_running_loop()
        self._checkpoint.notify(self._loop, self._on_checkpoint)
        settings, schedule = self._settings, self._pacer.schedule
        api = open_api(
            settings,
            self._day,
            now=self._now,
            on_delayed=lambda number: schedule.correct(number, self._clock()),
        )
        async with api as (self._client, credentials):
            self._settler = Settler(
                work=self._work,
                checkpoint=self._checkpoint,
                breaker=self._breaker,
                schedule=schedule,
                credentials=credentials,
                settings=settings,
                calls_end_at=self._calls_end_at,
                tally=self._tally,
                now=self._now,
                clock=self._clock,
                rng=self._rng,
            )
            feeder = Feeder(
                work=self._work,
                ready=self._ready,
                checkpoint=self._checkpoint,
                settler=self._settler,
                schedule=schedule,
                first_batch=self._workers,
                clock=self._clock,
            )
            prober = Prober(
                feeder=feeder,
                call=self._call,
                breaker=self._breaker,
                work=self._work,
                pacer=self._pacer,
                client=self._client,
                credentials=credentials,
                may_probe=lambda: (
                    self.over_at is None
                    and not self._checkpoint.is_away
                    and self._clock() < self._share_ends_at
                ),
                clock=self._clock,
            )
            self._begin_run()
            await self._work_until_over(credentials, feeder, prober)
            await self._finish(feeder)

    async def _work_until_over(
        self, credentials: Credentials, feeder: Feeder, prober: Prober
    ) -> None:
        jobs: list[Callable[[], Coroutine[Any, Any, None]]]
        jobs = [partial(self._feed, feeder, prober), self._watch, self._share_limit]
        jobs += [partial(self._call_accounts, credentials)] * self._workers
        tasks = [asyncio.create_task(self._guard(job)) for job in jobs]
        await self._over.wait()
        await self._let_calls_end()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin_run(self) -> None:
        for item in self._work.items(self._work.take_exhausted()):
            deaths = self._work.cut_off[item.row]
            message = "a run was cut off during the last attempt"
            if deaths > 1:
                message = f"{deaths} runs died while this account was asked"
                log.warning("account %a is given up: %s", item.account_id, message)
            self._settler.write_off(item, Reason.CONNECTION, None, message)
        if self._work.quarantined:
            log.warning(
                "%d runs died while %d accounts were asked: these come last, one at a time",
                QUARANTINE_FROM,
                self._work.quarantined,
            )
        left_s = (self._calls_end_at - self._now()).total_seconds()
        needed_s = self._work.unanswered / self._settings.api_rate_limit
        log.info("%d of %d accounts to be asked", self._work.unanswered, self._work.total)
        if self._work.unanswered == 0:
            self._end(Ended.COMPLETE)
        elif needed_s > left_s:
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
            self._end(self._ended, error)

    def _end(self, ended: Ended, error: BaseException | None = None) -> None:
        """No call starts from now on."""
        if error is not None and self.error is None:
            self.error = error
            self._settle_s = min(self._settle_s, STOP_SETTLE_S)
        if self.over_at is None:
            self._ended = ended
            self.over_at = self._clock()
        self._over.set()

    def request_stop(self) -> None:
        """End the calls soon; what is answered is kept."""
        self._settle_s = min(self._settle_s, STOP_SETTLE_S)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._end, self._ended)

    def abandon(self) -> None:
        """The loop hangs: should it wake up, it must make no call."""
        self.over_at = self.over_at or self._clock()
        self._ended = Ended.HANG

    # ---- the workers

    @property
    def _may_call(self) -> bool:
        return (
            self.over_at is None
            and self._breaker.opened_at is None
            and not self._checkpoint.is_away
            and self._checkpoint.backlog < MAX_BACKLOG
            and self._clock() < self._share_ends_at
        )

    async def _call_accounts(self, credentials: Credentials) -> None:
        """A worker: takes what is ready, when the pacer says so, until the calls are over."""
        while self.over_at is None:
            if not self._ready.items or self._is_turn_taken or not self._may_call:
                await self._ready.wait()
                continue
            item = self._ready.take()
            try:
                # The token first: waiting for it after the pacer's turn would bunch calls up.
                bearer = credentials.ready or await credentials.obtain()
                number = self._pacer.start_now() if self._may_call else None
                if number is None:
                    number = await self._wait_for_turn()
            except BaseException:
                self._ready.put_back(item)
                raise
            if number is None or credentials.ready is None:  # the wait outlived the token
                self._ready.put_back(item)
                continue
            if self._ready.items:
                self._ready.wake_one()
            result = await self._call(item, number, bearer)
            if result.outcome is CallOutcome.NOT_SENT and self._retires():
                return

    async def _wait_for_turn(self) -> int | None:
        """Only one worker at a time waits for the pacer, so that little is taken in advance."""
        self._is_turn_taken = True
        try:
            return await self._pacer.wait_for_start(lambda: self._may_call)
        finally:
            self._is_turn_taken = False
            self._ready.wake_one()

    def _retires(self) -> bool:
        """The machine is short of sockets: one worker less, but never none (docs/faults.md#c8)."""
        self._pacer.schedule.pause(self._clock() + 1)
        if self._workers == 1:
            return False
        self._workers -= 1
        log.warning("this machine is short of sockets; %d calls at once from now", self._workers)
        self._ready.wake_one()
        return True

    async def _call(self, item: Item, number: int, bearer: Bearer) -> CallResult:
        """Make one call and settle it."""
        self._tally.calls += 1
        self._in_flight += 1
        called_at = self._clock()
        try:
            result = await self._client.ask(item.account_id, item.focus, bearer.header, number)
        except asyncio.CancelledError:  # we cut it off: an outcome that is known, no run died of it
            spent = self._work.attempts[item.row]
            self._checkpoint.add_failed(item.account_id, spent, Reason.TIMEOUT)
            raise
        finally:
            self._in_flight -= 1
        self._tally.latency.add(self._clock() - called_at)
        self._tally.outcomes[result.reason or ANSWERED] += 1
        evidence = self._settler.settle(item, result, bearer=bearer, called_at=called_at)
        if evidence is not None and self._breaker.note(evidence, self._clock()):
            self._tally.outages += 1
            log.warning("API seems down (%s); calls stop, probes begin", result.message)
        if self._work.unanswered == 0:
            self._end(Ended.COMPLETE)
        return result

    def _on_checkpoint(self) -> None:
        if self._checkpoint.error is not None:
            self._end(self._ended, self._checkpoint.error)
        self._ready.wake_one()

    # ---- the feeder

    async def _feed(self, feeder: Feeder, prober: Prober) -> None:
        """Keep work ready; while the API is down, probe it."""
        while self.over_at is None:
            if self._breaker.is_open:
                await self._wait_out(feeder, prober)
            elif await feeder.top_up():
                continue
            await asyncio.sleep(FEED_EVERY_S)

    async def _wait_out(self, feeder: Feeder, prober: Prober) -> None:
        """The API is down: probe it, until it is back or patience is over."""
        feeder.take_back()
        patience_s = self._settings.api_outage_patience
        if patience_s is not None and self._breaker.outage_s(self._clock()) >= patience_s:
            self._end(Ended.OUTAGE)
            return
        await prober.probe()
        if not self._breaker.is_open:
            self._ready.wake_one()

    # ---- time

    async def _watch(self) -> None:
        """Every second: the deadline by the wall clock, the checkpoint, the pace, the estimate."""
        next_log_at = self._clock() + LOG_PROGRESS_EVERY_S
        while self.over_at is None:
            self.beat_at = self._clock()
            left_s = (self._calls_end_at - self._now()).total_seconds()
            if left_s <= 0:
                log.warning("calls end now: %d accounts not reached", self._work.unanswered)
                self._end(Ended.DEADLINE)
                return
            self._checkpoint.flush()
            self._pacer.schedule.tick(self.beat_at)
            self._estimate.add(self.beat_at, self._work.answered)
            if self.beat_at >= next_log_at:
                next_log_at += LOG_PROGRESS_EVERY_S
                self._log_progress()
            await asyncio.sleep(min(WATCH_EVERY_S, left_s))

    async def _share_limit(self) -> None:
        """Again and again: the rate limit is shared with the runs of other dates."""
        schedule, limit = self._pacer.schedule, self._settings.api_rate_limit
        in_use = 0.0
        while self.over_at is None:
            asked_at = self._clock()
            share, is_free = await self._checkpoint.written(
                partial(self._rate_limit.take, limit, in_use)
            )
            if share > in_use and not is_free:
                await asyncio.sleep(HANDOVER_S)
            self._share_ends_at = asked_at + SHARE_TERM_S
            if share != schedule.limit:
                schedule.set_limit(share)
            if share != in_use:
                if in_use or share < limit:
                    log.info("%g of %g calls a second are for this date", share, limit)
                in_use = share
                self._ready.wake_one()
                continue  # what was given up is written down at once, for the others
            await asyncio.sleep(SHARE_EVERY_S)

    async def _let_calls_end(self) -> None:
        over_at = self._clock()
        # `request_stop` may shorten the time meanwhile.
        while self._in_flight and self._clock() < over_at + self._settle_s:
            self.beat_at = self._clock()
            await asyncio.sleep(FEED_EVERY_S)

    async def _finish(self, feeder: Feeder) -> None:
        """Settle what needs no call any more, and hand everything over."""
        feeder.take_back()
        self._checkpoint.flush()
        self._settler.release_held()
        if self.error is None and self._ended is Ended.OUTAGE:
            await self._write_off_outage()
        if self.error is None and self._ended is Ended.DEADLINE:
            for item in self._work.items(self._work.throttled_last()):
                reason, http_status = self._work.last_failure(item.row)
                message = "told to slow down until the calls had to end"
                self._settler.write_off(item, reason, http_status, message)
        self._checkpoint.flush()

    async def _write_off_outage(self) -> None:
        """The outage outlasted the patience: what is left is Failed for it."""
        log.warning("API down for too long: %d accounts are given up", self._work.unanswered)
        for page in self._work.unanswered_pages(MAX_BACKLOG):
            for item in self._work.items(page):
                reason, http_status = self._work.last_failure(item.row)
                message = "given up: the API was down"
                self._settler.write_off(
                    item, reason or self._settler.outage_reason, http_status, message
                )
            while self._checkpoint.backlog > MAX_BACKLOG and self._checkpoint.error is None:
                self.beat_at = self._clock()
                await asyncio.sleep(FEED_EVERY_S)

    # ---- what others see

    @property
    def _paused(self) -> str | None:
        if self._checkpoint.is_away:
            return "ledger"
        if self._breaker.is_open:
            return "outage"
        if not self._pacer.schedule.limit:
            return "another date"
        return "throttle" if self._pacer.schedule.paused_until > self._clock() else None

    def progress(self) -> Progress:
        """How far the calls are."""
        left_s = self._estimate.seconds_left(self._work.unanswered)
        return Progress(
            total=self._work.total,
            answered=self._work.answered,
            failed=self._failed_before + self._tally.failed,
            calls=self._tally.calls,
            rate=self._estimate.rate,
            throttled=self._tally.throttled,
            pace=self._pacer.schedule.rate,
            retries_waiting=self._work.retries_waiting,
            paused=self._paused,
            eta=None if left_s is None else self._now() + timedelta(seconds=left_s),
            outcomes=dict(self._tally.outcomes),
            latency=self._tally.latency,
        )

    def outcome(self) -> ScoringOutcome:
        """How it ended."""
        return ScoringOutcome(
            ended=self._ended,
            progress=self.progress(),
            unanswered=self._work.unanswered,
            seconds=(self.over_at or self._clock()) - self._started_at,
            tally=self._tally,
        )

    def _log_progress(self) -> None:
        progress = self.progress()
        log.info(
            "%d/%d answered, %.1f/s, %d failed, %d retries waiting, %s, ends %s",
            progress.answered,
            progress.total,
            progress.rate,
            progress.failed,
            progress.retries_waiting,
            f"paused: {progress.paused}" if progress.paused else f"pace {progress.pace:.1f}/s",
            f"{progress.eta:%H:%M:%S} UTC" if progress.eta else "unknown",
        )
