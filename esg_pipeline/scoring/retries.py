"""How long a retry waits, and how many of the calls may be retries. Pure arithmetic."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential waits with full jitter, so that retries spread out."""

    base_s: float
    max_s: float
    rng: random.Random

    def wait_s(self, attempts: int) -> float:
        """Seconds until the next attempt, after so many failed ones."""
        return self.rng.uniform(0, min(self.max_s, self.base_s * 2 ** (attempts - 1)))


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
