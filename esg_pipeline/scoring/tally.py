"""What a scoring tells its caller, on the way and at the end: numbers, and no account.

Nothing is counted or decided here.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

LATENCY_BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


ANSWERED = "answered"


class Ended(StrEnum):
    """Why the calls ended."""

    COMPLETE = "complete"
    DEADLINE = "deadline"
    OUTAGE = "outage"
    HANG = "hang"


@dataclass(slots=True)
class Latency:
    """How long calls took: a histogram with the bounds of `LATENCY_BOUNDS_S`, and the sum."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS_S) + 1))
    sum_s: float = 0.0

    def add(self, seconds: float) -> None:
        """Note one call."""
        self.counts[bisect_left(LATENCY_BOUNDS_S, seconds)] += 1
        self.sum_s += seconds

    def quantile_bound_s(self, share: float) -> float | None:
        """A bound that this share of the calls stayed under, None if there is none."""
        wanted, seen = share * sum(self.counts), 0
        for bound, count in zip(LATENCY_BOUNDS_S, self.counts, strict=False):
            seen += count
            if seen >= wanted:
                return bound
        return None


@dataclass(slots=True)
class Tally:
    """What happened, in numbers, while it happens.

    Attributes:
        calls: Calls made.
        failed: Accounts that became Failed in this run.
        throttled: Calls that the API told to slow down.
        unauthorized: Calls refused with 401.
        identity_mismatches: Answers that were for another account.
        outages: Times the API was found to be down.
        longest_pause_capped_s: The longest wait the API asked for and did not get, seconds.
        outcomes: Calls by what came of them: `answered`, or the word of the reason.
        latency: Of all calls.
    """

    calls: int = 0
    failed: int = 0
    throttled: int = 0
    unauthorized: int = 0
    identity_mismatches: int = 0
    outages: int = 0
    longest_pause_capped_s: float | None = None
    outcomes: Counter[str] = field(default_factory=Counter)
    latency: Latency = field(default_factory=Latency)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the calls are.

    Attributes:
        total: Active accounts.
        answered: Accounts that have their final rating, also from an earlier run of the edition.
        failed: Those of them that are Failed.
        calls: Calls made by this run.
        rate: Accounts answered a second, over the last minute.
        throttled: Calls that the API told to slow down.
        pace: Calls a second that the pacer allows now.
        retries_waiting: Accounts that wait for another attempt.
        paused: Why no calls are made now, None when they are: `outage`, `throttle`, `ledger`.
        eta: When all will be answered, UTC; None while there is no honest estimate.
        outcomes: As in `Tally`.
        latency: As in `Tally`.
    """

    total: int
    answered: int
    failed: int
    calls: int
    rate: float
    throttled: int
    pace: float
    retries_waiting: int
    paused: str | None
    eta: datetime | None
    outcomes: Mapping[str, int]
    latency: Latency


@dataclass(frozen=True, slots=True)
class ScoringOutcome:
    """The end of a scoring.

    Attributes:
        ended: Why the calls ended.
        progress: Where it stood at the end.
        unanswered: Accounts without a rating; the caller writes them off as `deadline`.
        seconds: Time from the start to the end of the calls.
        tally: What happened, in numbers.
    """

    ended: Ended
    progress: Progress
    unanswered: int
    seconds: float
    tally: Tally

    def metadata(self) -> dict[str, str | int | float]:
        """The numbers worth showing beside the run, by name."""
        tally = self.tally
        numbers: dict[str, str | int | float | None] = {
            "ended": self.ended.value,
            "accounts": self.progress.total,
            "unanswered": self.unanswered,
            "seconds": round(self.seconds, 1),
            "calls": tally.calls,
            "calls_per_second": round(tally.calls / self.seconds, 1) if self.seconds else 0.0,
            "throttled": tally.throttled,
            "unauthorized": tally.unauthorized,
            "identity_mismatches": tally.identity_mismatches,
            "outages": tally.outages,
            "longest_pause_capped_s": tally.longest_pause_capped_s,
            "p50_under_s": tally.latency.quantile_bound_s(0.5),
            "p99_under_s": tally.latency.quantile_bound_s(0.99),
        }
        return {name: number for name, number in numbers.items() if number is not None}
