"""When the calls of a run end, and why. Of several reasons the first one counts."""

import asyncio
from collections.abc import Callable

from esg_pipeline.scoring.tally import Ended

MAX_GRACE_S = 30.0
STOP_GRACE_S = 5.0
"""Time that calls in flight get when the run is interrupted or must stop."""


class EndOfCalls:
    """Whether the calls are over. Set in the event loop; may be read from any thread.

    Args:
        clock: Monotonic seconds.
        grace_s: Time that calls in flight get at the end.

    Attributes:
        at: When the calls ended (monotonic seconds), None before.
        why: Why they ended.
        error: Why the run must stop, if it must.
        grace_s: Time that calls in flight get now.
    """

    def __init__(self, clock: Callable[[], float], grace_s: float) -> None:
        self._clock = clock
        self._is_over = asyncio.Event()
        self.grace_s = min(grace_s, MAX_GRACE_S)
        self.at: float | None = None
        self.why = Ended.COMPLETE
        self.error: BaseException | None = None

    def end(self, why: Ended) -> None:
        """No call starts from now on."""
        if self.at is None:
            self.why = why
            self.at = self._clock()
        self._is_over.set()

    def stop(self) -> None:
        """No call starts from now on, whatever is left; those in flight get less time."""
        self.hurry()
        self.end(self.why)

    def fail(self, error: BaseException) -> None:
        """The run must stop; its caller gets the first error."""
        if self.error is None:
            self.error = error
        self.stop()

    def hurry(self) -> None:
        """Give the calls in flight less time. May come from any thread."""
        self.grace_s = min(self.grace_s, STOP_GRACE_S)

    def abandon(self) -> None:
        """The event loop hangs: should it wake up, it must make no call. From another thread."""
        if self.at is None:
            self.at = self._clock()
        self.why = Ended.HANG

    async def wait(self) -> None:
        """Wait until the calls are over."""
        await self._is_over.wait()
