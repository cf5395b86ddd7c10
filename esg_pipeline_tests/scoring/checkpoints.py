"""Checkpoint and rate limit in memory for the engine's tests; they can be slow, away, or lost."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from esg_pipeline.ledger import LeaseLost, LedgerUnavailable, RateShare
from esg_pipeline.ratings import ProcessingStatus, Rating


@dataclass
class MemoryCheckpoint:
    """Keeps what the engine writes, and checks that it keeps to the ledger's rules.

    Attributes:
        ratings: By account id.
        cut_off: As a resume state: how many runs died while an account was asked.
        begun: Ids of attempts that were written ahead and have no outcome yet.
        largest_batch: Most outcomes in one transaction.
        is_away: Every write fails until it is set to False.
        lost_after: The lease is lost after so many ratings.
        delay_s: How long each write takes.
    """

    ratings: dict[str, Rating] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    cut_off: dict[str, int] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    begun_calls: int = 0
    refunds: int = 0
    largest_batch: int = 0
    is_away: bool = False
    lost_after: int | None = None
    delay_s: float = 0.0
    was_written: threading.Event = field(default_factory=threading.Event)

    def begin_attempts(self, account_ids: Sequence[str]) -> int:
        self.write()
        assert 0 < len(account_ids) <= 1000
        assert self.begun.isdisjoint(account_ids), "begun again before its outcome was recorded"
        assert self.ratings.keys().isdisjoint(account_ids), "called again after its rating"
        self.begun.update(account_ids)
        self.begun_calls += len(account_ids)
        return self.begun_calls

    def record(
        self,
        ratings: Sequence[Rating],
        failed_attempts: Sequence[tuple[str, int, str]] = (),
        refunded: Sequence[str] = (),
    ) -> None:
        self.write()
        self.largest_batch = max(self.largest_batch, len(ratings))
        for rating in ratings:
            assert rating.account_id not in self.ratings, "two ratings for one account"
            self.ratings[rating.account_id] = rating
            self.begun.discard(rating.account_id)
        for account_id, spent, _ in failed_attempts:
            self.attempts[account_id] = spent
            self.begun.discard(account_id)
        for account_id in refunded:
            self.begun.discard(account_id)
            self.refunds += 1
        self.was_written.set()

    def write(self) -> None:
        """Take as long, and fail, as every write does now."""
        if self.is_away:
            raise LedgerUnavailable("the database is away")
        if self.lost_after is not None and len(self.ratings) >= self.lost_after:
            raise LeaseLost("another run has taken over")
        time.sleep(self.delay_s)

    @property
    def answered(self) -> set[str]:
        """What a resuming run need not ask; with the attempts, this is a resume state."""
        return set(self.ratings)

    @property
    def failed(self) -> int:
        """How many of these are Failed."""
        return sum(each.status is ProcessingStatus.FAILED for each in self.ratings.values())

    def by_reason(self) -> dict[str, int]:
        """Accounts by reason; `""` for Successful ones."""
        counts: dict[str, int] = {}
        for rating in self.ratings.values():
            counts[rating.reason or ""] = counts.get(rating.reason or "", 0) + 1
        return counts


@dataclass
class MemoryRateLimit:
    """Gives the whole limit; it lies in the same database as the checkpoint."""

    checkpoint: MemoryCheckpoint

    def take(self, limit: float, in_use: float) -> RateShare:
        self.checkpoint.write()
        return RateShare(limit, is_free=True)

    def give_back(self) -> None:
        self.checkpoint.write()
