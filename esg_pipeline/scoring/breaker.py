"""Tells an outage of the API from accounts that fail, and says when to call and when to probe.

Pure state: outcomes and times go in, decisions come out. It makes no call and spends no attempt.
"""

from collections import deque
from enum import Enum, auto

WINDOW_CALLS = 50
MIN_CALLS = 20
OUTAGE_SHARE = 0.8


class Evidence(Enum):
    """What one finished call says about the API."""

    ALIVE = auto()
    """It answered, whatever the answer."""
    DOWN = auto()
    """Transport error or 5xx, from an account with nothing against it."""
    DOUBTFUL = auto()
    """The same, from an account that failed before while the API was alive."""


class Breaker:
    """Open means: the API is down, make no calls but probes (docs/design.md#outage).

    Opens when at least 80 % of the last 50 calls say down. Accounts that always fail would look
    like an outage once only they are left: when most of the evidence is doubtful, the first
    probe must be independent of any account.

    Attributes:
        is_doubtful: Open, but perhaps only for accounts that always fail.
        opened_at: When the outage was noticed, None while closed.
        next_probe_at: When the next probe may be made.
    """

    def __init__(self, accounts: int, *, probe_base_s: float, probe_max_s: float) -> None:
        self._window: deque[Evidence] = deque(maxlen=WINDOW_CALLS)
        self._min_calls = min(MIN_CALLS, accounts)
        self._probe_base_s = probe_base_s
        self._probe_max_s = probe_max_s
        self._probes = 0
        self.opened_at: float | None = None
        self.next_probe_at = 0.0
        self.is_doubtful = False

    @property
    def is_open(self) -> bool:
        """Whether the API counts as down."""
        return self.opened_at is not None

    def outage_s(self, now: float) -> float:
        """Seconds since the outage was noticed; less than 0 while there is none for sure."""
        return -1.0 if self.opened_at is None or self.is_doubtful else now - self.opened_at

    @property
    def api_is_healthy(self) -> bool:
        """Whether most recent calls were answered: a failure now is the account's own."""
        return 2 * self._window.count(Evidence.ALIVE) > len(self._window)

    def note(self, evidence: Evidence, now: float) -> bool:
        """Take in a finished call that was not a probe; True if this opened the breaker."""
        if self.is_open:
            return False  # a call that was in flight when the outage was noticed
        self._window.append(evidence)
        if evidence is Evidence.ALIVE or len(self._window) < self._min_calls:
            return False
        down = len(self._window) - self._window.count(Evidence.ALIVE)
        if down < OUTAGE_SHARE * len(self._window):
            return False
        self.opened_at = now
        self._probes = 0
        self.is_doubtful = 2 * self._window.count(Evidence.DOUBTFUL) > down
        self.next_probe_at = now if self.is_doubtful else now + self._probe_base_s
        return True

    def probe_failed(self, now: float) -> None:
        """The API is still down: the next probe waits longer."""
        self._probes += 1
        self.is_doubtful = False
        wait = min(self._probe_max_s, self._probe_base_s * 2 ** min(self._probes, 32))
        self.next_probe_at = now + wait

    def close(self) -> None:
        """The API is back; the evidence of the outage is forgotten."""
        self.opened_at = None
        self.is_doubtful = False
        self._window.clear()


class RetryBudget:
    """Keeps retries to a share of the calls while first ones remain (docs/design.md#retries)."""

    SHARE = 0.1

    def __init__(self) -> None:
        self._calls = 0
        self._retries = 0

    def allows_retry(self) -> bool:
        """Whether one more retry stays within the share."""
        return self._retries + 1 <= self.SHARE * (self._calls + 1)

    def note(self, *, is_retry: bool) -> None:
        """Count a call that is about to be made."""
        self._calls += 1
        self._retries += is_retry
