"""The clocks of a run, as arguments: a simulation brings its own, and hours pass in a moment."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from esg_pipeline.clock import now_utc


@dataclass(frozen=True, slots=True)
class RunTime:
    """What time it is for a run, and how it waits.

    Attributes:
        calls_end_at: From here on no new call (aware).
        now: The wall clock, aware; the end of the calls follows it.
        monotonic: Seconds that never jump; waits and the pace follow it.
        sleep: Waits so many seconds in the event loop.
    """

    calls_end_at: datetime
    now: Callable[[], datetime] = now_utc
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def left_s(self) -> float:
        """Seconds until the calls end by the wall clock; not above 0 when they must have ended."""
        return (self.calls_end_at - self.now()).total_seconds()
