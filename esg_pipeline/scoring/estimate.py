"""Estimates when the calls will be over, from what the last minute brought.

Pure arithmetic on (time, answered) samples; it reads no clock and decides nothing.
"""

from collections import deque

WINDOW_S = 60.0
FIRST_ESTIMATE_S = 5.0


class Estimate:
    """The rate of answers over the last minute, and the time the rest will take at that rate."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, now: float, answered: int) -> None:
        """Note how many accounts are answered at `now` (monotonic seconds); about once a second."""
        self._samples.append((now, answered))
        while len(self._samples) > 2 and self._samples[1][0] <= now - WINDOW_S:  # noqa: PLR2004
            self._samples.popleft()

    @property
    def rate(self) -> float:
        """Accounts answered a second, over the last minute."""
        if not self._samples:
            return 0.0
        (first, before), (last, after) = self._samples[0], self._samples[-1]
        return (after - before) / (last - first) if last > first else 0.0

    def seconds_left(self, remaining: int) -> float | None:
        """Seconds until `remaining` more are answered; None while there is no honest answer."""
        if remaining == 0:
            return 0.0
        if not self._samples or self._samples[-1][0] - self._samples[0][0] < FIRST_ESTIMATE_S:
            return None
        return remaining / self.rate if self.rate > 0 else None
