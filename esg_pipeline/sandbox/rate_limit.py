"""The API's own rate limit: exact, over a sliding second, whoever calls."""

from collections import deque

WINDOW_S = 1.0


class SlidingWindow:
    """Lets at most so many calls through in any second.

    Refused calls do not count, so that a caller who is too fast still gets the limit.
    """

    def __init__(self) -> None:
        self._let_through: deque[float] = deque()

    def admits(self, now: float, limit: int | None) -> bool:
        """Say whether a call at `now` (monotonic seconds) goes through, and count it if so."""
        while self._let_through and self._let_through[0] <= now - WINDOW_S:
            self._let_through.popleft()
        if limit is not None and len(self._let_through) >= limit:
            return False
        self._let_through.append(now)
        return True
