"""The part of the rate limit that is this run's, beside the runs of other dates."""

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Protocol

from esg_pipeline.ledger import RateShare
from esg_pipeline.scoring.pace import CallTimes
from esg_pipeline.scoring.run_time import RunTime

log = logging.getLogger("esg_pipeline.scoring")

ASK_EVERY_S = 0.25
TERM_S = 20.0
"""For so long a share may be used unseen: less than a lease's term, after which other runs take it.
A frozen run that wakes up makes no call before it has asked again."""
HANDOVER_S = 1.0
"""Whoever gave a share up called until then, and no second may have more calls than the limit."""


class SharedRateLimit(Protocol):
    """Who says how much of the limit is this run's; `ledger.SharedRateLimit` in production."""

    def take(self, limit: float, in_use: float) -> RateShare:
        """Of the calls a second that all runs may make, those that this run may make."""

    def give_back(self) -> None:
        """This run makes no more calls; the end of its lease says the same."""


TakeShare = Callable[[float, float], Awaitable[RateShare]]
"""`SharedRateLimit.take` as the event loop asks for it."""


class ShareKeeper:
    """Asks for the share again and again, and keeps the call times to it.

    Args:
        limit: Calls a second for all runs together.
        take: Asks for the share.
        times: Whose limit is set.
        on_change: Called when the share has changed.
    """

    def __init__(
        self,
        limit: float,
        take: TakeShare,
        times: CallTimes,
        *,
        on_change: Callable[[], None],
        time: RunTime,
    ) -> None:
        self._limit = limit
        self._take = take
        self._times = times
        self._on_change = on_change
        self._clock = time.monotonic
        self._sleep = time.sleep
        self._ends_at = -math.inf

    @property
    def is_valid(self) -> bool:
        """Whether calls may be made by the share; False when it was not asked for in time."""
        return self._clock() < self._ends_at

    async def keep(self, is_over: Callable[[], bool]) -> None:
        """Keep the share until the calls are over."""
        in_use = 0.0
        while not is_over():
            asked_at = self._clock()
            share, is_free = await self._take(self._limit, in_use)
            if share > in_use and not is_free:
                await self._sleep(HANDOVER_S)
            self._ends_at = asked_at + TERM_S
            if share != self._times.limit:
                self._times.set_limit(share)
            if share != in_use:
                if in_use or share < self._limit:
                    log.info("%g of %g calls a second are for this date", share, self._limit)
                in_use = share
                self._on_change()
                continue  # what was given up is written down at once, for the others
            await self._sleep(ASK_EVERY_S)
