"""Where the calls stand, for whoever looks on: numbers, the reason of a pause, a line for the log.

It reads what others own and changes nothing.
"""

import logging
from collections.abc import Callable
from datetime import timedelta

from esg_pipeline.scoring.checkpoint import CheckpointQueue
from esg_pipeline.scoring.estimate import Estimate
from esg_pipeline.scoring.pace import CallTimes
from esg_pipeline.scoring.run_time import RunTime
from esg_pipeline.scoring.tally import Progress, Tally
from esg_pipeline.scoring.verdicts import Judge
from esg_pipeline.scoring.work_list import WorkList

log = logging.getLogger("esg_pipeline.scoring")

LOG_EVERY_S = 10.0


class Standing:
    """How far a run is. `progress` may be asked from any thread."""

    def __init__(
        self,
        *,
        work: WorkList,
        judge: Judge,
        times: CallTimes,
        checkpoint: CheckpointQueue,
        tally: Tally,
        time: RunTime,
    ) -> None:
        self._work = work
        self._judge = judge
        self._times = times
        self._checkpoint = checkpoint
        self._tally = tally
        self._now = time.now
        self._clock: Callable[[], float] = time.monotonic
        self._estimate = Estimate()
        self._log_at = self._clock() + LOG_EVERY_S

    def note(self) -> None:
        """Take a sample for rate and estimate, and log now and then; about once a second."""
        now = self._clock()
        self._estimate.add(now, self._work.answered)
        if now >= self._log_at:
            self._log_at += LOG_EVERY_S
            self._log()

    def progress(self) -> Progress:
        """How far the calls are."""
        left_s = self._estimate.seconds_left(self._work.unanswered)
        return Progress(
            total=self._work.total,
            answered=self._work.answered,
            failed=self._work.failed_before + self._tally.failed,
            calls=self._tally.calls,
            rate=self._estimate.rate,
            throttled=self._tally.throttled,
            pace=self._times.rate,
            retries_waiting=self._work.retries_waiting,
            paused=self._paused(),
            eta=None if left_s is None else self._now() + timedelta(seconds=left_s),
            outcomes=dict(self._tally.outcomes),
            latency=self._tally.latency,
        )

    def _paused(self) -> str | None:
        if self._checkpoint.is_away:
            return "ledger"
        if self._judge.is_down:
            return "outage"
        if not self._times.limit:
            return "another date"
        return "throttle" if self._times.paused_until > self._clock() else None

    def _log(self) -> None:
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
