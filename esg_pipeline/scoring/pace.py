"""When a call may start: one smooth budget for all workers, so that no second has too many.

`CallTimes` is the arithmetic, without a clock or an event loop; `Pacer` makes a caller wait by it.
Neither knows what a call is.
"""

import math
from array import array
from collections import deque
from collections.abc import Callable

from esg_pipeline.scoring.run_time import RunTime

CATCH_UP_S = 0.010
"""Budget that a late timer may catch up; 16 ms were too much (docs/design.md#measured)."""
JITTER_SHARE = 0.008
"""Each window of `limit` calls is stretched by this, so that calls which the network pushes
together by up to 8 ms still fit into the server's second."""
SLOWER = 0.7
RECOVERY_SHARE = 0.005
"""Share of the limit by which the rate rises, times the seconds since it last fell: slowly near
the rate that was refused, and back from any rate within 20 s."""
SLOWEST_SHARE = 0.01
PROOF_S = 10
"""Seconds for which it counts as proven that the API accepts so many calls a second."""
RAMP_FROM_SHARE = 0.25
MAX_PAUSE_S = 900.0
"""Longest wait that an API may ask for and get."""
MAX_UNTOLD_PAUSE_S = 60.0


def believed_pause_s(asked_s: float, left_s: float) -> float:
    """The wait that the API asks for, or less if it is absurd or would leave time for no call.

    Args:
        asked_s: What the API asks for, seconds.
        left_s: Time until the calls must end.
    """
    left_s = max(0.0, left_s)
    if asked_s <= MAX_PAUSE_S and asked_s < left_s:
        return asked_s
    return min(MAX_PAUSE_S, left_s / 2)


class CallTimes:
    """When the next call may start: evenly spaced (GCRA), and never over the limit in a window.

    Spacing alone would let the catch-up allowance exceed the limit within a second, so the time
    of the call `limit` calls ago is checked too. The rate falls on a throttle and recovers with
    time, never above the limit (AIMD).

    Attributes:
        limit: Calls a second at most.
        rate: Calls a second now.
        paused_until: No call before this time.
    """

    def __init__(self, limit: float, now: float) -> None:
        self.limit = self.rate = limit
        self._rate_share = 1.0
        self.paused_until = now
        self._starts = array("d", [-math.inf]) * max(1, math.floor(limit))
        self.set_limit(limit)
        self._accepted = 0
        self._accepted_before: deque[int] = deque(maxlen=PROOF_S)
        self._count = 0
        self._next = now
        self._changed_at = now
        self._untold_throttles = 0

    def set_limit(self, limit: float) -> None:
        """Allow so many calls a second from now on: 0, or at most as many as at first."""
        if self.limit:
            self._rate_share = self.rate / self.limit
        self.limit = limit
        self.rate = limit * self._rate_share
        self._window_calls = max(1, math.floor(limit))
        if limit:  # a second, for a whole limit
            self._window_s = self._window_calls / limit * (1 + JITTER_SHARE)

    def next_start(self) -> float:
        """The earliest time at which a call may start, be it past or to come."""
        if not self.limit:
            return math.inf
        oldest = self._starts[(self._count - self._window_calls) % len(self._starts)]
        return max(self._next - CATCH_UP_S, oldest + self._window_s, self.paused_until)

    def take(self, now: float) -> int:
        """Book a call that starts now; returns its number, for `correct`."""
        self._next = max(self._next, now) + (1 + JITTER_SHARE) / self.rate
        number = self._count
        self._starts[number % len(self._starts)] = now
        self._count += 1
        return number

    def correct(self, number: int, now: float) -> None:
        """A booked call left only now, because its connection had to be opened first."""
        if self._count - number <= len(self._starts):
            self._starts[number % len(self._starts)] = now

    def pause(self, until: float) -> None:
        """Let no call start before `until`."""
        self.paused_until = max(self.paused_until, until)

    def accept(self, called_at: float) -> None:
        """Note a call that was answered."""
        self._accepted += 1
        if called_at >= self.paused_until:
            self._untold_throttles = 0

    def untold_pause_s(self) -> float:
        """How long to pause for a throttle that does not say it; it doubles with each in a row."""
        pause_s = min(MAX_UNTOLD_PAUSE_S, 2.0**self._untold_throttles)
        self._untold_throttles = min(self._untold_throttles + 1, 6)
        return pause_s

    def slow_down(self, now: float, *, called_at: float) -> bool:
        """Lower the rate for a throttled call; False if it was made before the last lowering.

        Never below what the API accepted in one of the last seconds, so that a stray throttle
        costs its pause and no more.
        """
        if called_at < self._changed_at:
            return False
        proven = max(self._accepted, *self._accepted_before, 0)
        floor = max(min(self.rate, proven), self.limit * SLOWEST_SHARE)
        self.rate = max(self.rate * SLOWER, floor)
        self._changed_at = now
        return True

    def tick(self, now: float) -> None:
        """Let the rate recover; to be called once a second."""
        self._accepted_before.append(self._accepted)
        self._accepted = 0
        quiet_s = now - max(self._changed_at, self.paused_until)
        if self.rate < self.limit and quiet_s > 0:
            self.rate = min(self.limit, self.rate + self.limit * RECOVERY_SHARE * quiet_s)

    def ramp_up(self, now: float) -> None:
        """Begin again slowly after an outage."""
        self.rate = min(self.rate, self.limit * RAMP_FROM_SHARE)
        self._changed_at = now


class Pacer:
    """Lets calls start when the times allow.

    Attributes:
        times: What it goes by.
    """

    LOOK_AGAIN_S = 0.1

    def __init__(self, times: CallTimes, time: RunTime) -> None:
        self.times = times
        self._clock = time.monotonic
        self._sleep = time.sleep

    def start_now(self) -> int | None:
        """Book a call if one may start at once; returns its number, else None."""
        now = self._clock()
        return self.times.take(now) if self.times.next_start() <= now else None

    async def wait_for_start(self, may_call: Callable[[], bool]) -> int | None:
        """Wait for a turn and book it; None as soon as `may_call` says no.

        Cheapest with one waiter at a time.
        """
        while may_call():
            now = self._clock()
            start = self.times.next_start()
            if start <= now:
                return self.times.take(now)
            await self._sleep(min(start - now, self.LOOK_AGAIN_S))
        return None
