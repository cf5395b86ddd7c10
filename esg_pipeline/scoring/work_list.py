"""Which account is called next, and how many attempts each has spent.

An account during whose calls runs died is in quarantine: it may be what kills them, so it is
called last and alone, where another death costs nobody else an attempt (docs/faults.md#f11).

Kept in flat columns over the sorted account list, a few bytes an account, so that a million fit.
Nothing here waits, calls, or writes to disk.
"""

import heapq
import random
from array import array
from collections import deque
from collections.abc import Iterator, Mapping, Set
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from esg_pipeline.ratings import Focus, Reason
from esg_pipeline.scoring.retries import RetryBudget

_REASONS = [None, *Reason]
_REASON_CODES = {reason: code for code, reason in enumerate(_REASONS)}
_Retry = tuple[float, int]
"""When it is due (monotonic seconds), and the account's row."""
QUARANTINE_FROM = 2
"""So many runs died during its calls: the account is called alone. At one more it is given up."""


class ResumeState(Protocol):
    """What an earlier run of the same edition left behind."""

    @property
    def answered(self) -> Set[str]:
        """Ids of accounts that have a rating."""

    @property
    def failed(self) -> int:
        """How many of these are Failed."""

    @property
    def attempts(self) -> Mapping[str, int]:
        """Attempts spent on accounts that have none."""

    @property
    def cut_off(self) -> Mapping[str, int]:
        """How many of the latest of these ended with the death of their run."""


class Item(NamedTuple):
    """An account whose next attempt is written down and may be called."""

    row: int
    account_id: str
    focus: Focus | None


class WorkList:
    """The accounts of a run: fresh ones, waiting retries, those put back in front, the quarantine.

    Attributes:
        total: All accounts.
        answered: Accounts that have their final rating, the resumed ones too.
        failed_before: Those of the resumed ones that are Failed.
        attempts: Per account, attempts spent, the one in flight included.
        cut_off: Per account, earlier runs that died during its latest calls.
    """

    def __init__(
        self, accounts: pa.Table, resume: ResumeState, max_attempts: int, rng: random.Random
    ) -> None:
        self._ids = accounts.column("account_id")
        self._focuses = accounts.column("primary_esg_focus")
        self._max_attempts = max_attempts
        self._rng = rng
        self.total: int = accounts.num_rows
        self.attempts = bytearray(self.total)
        self.cut_off = bytearray(self.total)
        self.is_answered = bytearray(self.total)
        self._reasons = bytearray(self.total)
        self._statuses = array("H", bytes(2 * self.total))
        self._budget = RetryBudget()
        self._front: deque[int] = deque()
        self._later: list[_Retry] = []
        self._quarantine: list[_Retry] = []
        self._exhausted: list[int] = []
        self._restore(resume)
        self.answered = self.is_answered.count(1)
        self.failed_before = resume.failed
        is_fresh = (np.frombuffer(self.is_answered, "u1") | np.frombuffer(self.attempts, "u1")) == 0
        self._fresh = np.flatnonzero(is_fresh).astype(np.int32)
        self._fresh_taken = 0

    def _restore(self, resume: ResumeState) -> None:
        if resume.answered:
            answered = pc.is_in(self._ids, value_set=pa.array(list(resume.answered), pa.string()))
            self.is_answered[:] = answered.to_numpy().astype("u1").tobytes()
        if resume.attempts:
            begun = pa.array(list(resume.attempts), pa.string())
            for row in np.flatnonzero(pc.is_in(self._ids, value_set=begun).to_numpy()).tolist():
                account_id = self._ids[row].as_py()
                spent = resume.attempts[account_id]
                if spent > 0 and not self.is_answered[row]:
                    self._restore_attempts(row, spent, resume.cut_off.get(account_id, 0))

    def _restore_attempts(self, row: int, spent: int, cut_off: int) -> None:
        self.attempts[row] = min(spent, 255)
        self.cut_off[row] = min(cut_off, 255)
        if self.has_attempt_left(row) and cut_off <= QUARANTINE_FROM:
            self.call_later(row, 0)
        else:
            self._exhausted.append(row)

    def items(self, rows: list[int]) -> list[Item]:
        """The accounts at these rows."""
        chosen = pa.array(rows, pa.int32())
        focuses = self._focuses.take(chosen).to_pylist()
        return [
            Item(row, account_id, None if focus is None else Focus(focus))
            for row, account_id, focus in zip(
                rows, self._ids.take(chosen).to_pylist(), focuses, strict=True
            )
        ]

    def draw(self, count: int, now: float) -> list[int]:
        """Take up to `count` accounts that may be called now; each spends an attempt.

        Accounts put back in front come first, then retries that are due, but while first attempts
        remain only as many as the retry budget allows, then first attempts. When none of these is
        left, nor in flight, a quarantined one.
        """
        drawn: list[int] = []
        while len(drawn) < count:
            if self._front:
                row = self._front.popleft()
            elif self._may_retry(now):
                _, row = heapq.heappop(self._later)
            elif self._fresh_taken < len(self._fresh):
                row = self._next_fresh()
            else:
                break
            drawn.append(self._spend(row))
        if self._quarantine_may_go and self._quarantine[0][0] <= now:
            drawn.append(self._spend(heapq.heappop(self._quarantine)[1]))
        return drawn

    def is_quarantined(self, row: int) -> bool:
        """Whether the account must be called alone."""
        return self.cut_off[row] >= QUARANTINE_FROM

    @property
    def _quarantine_may_go(self) -> bool:
        """Whether quarantined accounts are all that is unanswered: no other waits or is called."""
        return 0 < len(self._quarantine) == self.unanswered

    def _retries_with(self, row: int) -> list[_Retry]:
        """The heap in which the account waits."""
        return self._quarantine if self.is_quarantined(row) else self._later

    def _next_fresh(self) -> int:
        self._fresh_taken += 1
        return int(self._fresh[self._fresh_taken - 1])

    def _may_retry(self, now: float) -> bool:
        if not self._later or self._later[0][0] > now:
            return False
        return self._fresh_taken == len(self._fresh) or self._budget.allows_retry()

    def draw_for_probe(self) -> int | None:
        """Take a waiting account with the most attempts left, due or not.

        A fresh one is taken from anywhere, since neighbours in the list may fail together.
        """
        fewest = min(self._called_before(), key=lambda row: self.attempts[row], default=None)
        if self._fresh_taken < len(self._fresh) and (fewest is None or self.attempts[fewest] > 0):
            first, other = (
                self._fresh_taken,
                self._rng.randrange(self._fresh_taken, len(self._fresh)),
            )
            self._fresh[[first, other]] = self._fresh[[other, first]]
            return self._spend(self._next_fresh())
        if fewest is None:
            return None
        if fewest in self._front:
            self._front.remove(fewest)
        else:
            retries = self._retries_with(fewest)
            retries[:] = [retry for retry in retries if retry[1] != fewest]
            heapq.heapify(retries)
        return self._spend(fewest)

    def _called_before(self) -> list[int]:
        """The accounts that wait, other than fresh ones; quarantined ones if it is their turn."""
        retries = self._quarantine if self._quarantine_may_go else self._later
        return [*self._front, *(row for _, row in retries)]

    @property
    def unanswered(self) -> int:
        """Accounts without a rating."""
        return self.total - self.answered

    @property
    def to_be_asked(self) -> int:
        """Accounts without a rating that may still be called."""
        return self.unanswered - len(self._exhausted)

    @property
    def has_waiting(self) -> bool:
        """Whether any account could be called, due or not."""
        return (
            bool(self._front or self._later)
            or self._fresh_taken < len(self._fresh)
            or self._quarantine_may_go
        )

    def only_last_attempts_wait(self) -> bool:
        """Whether every account that could be called has one attempt left."""
        if self._fresh_taken < len(self._fresh):
            return self._max_attempts == 1
        return all(self.attempts[row] >= self._max_attempts - 1 for row in self._called_before())

    def _spend(self, row: int) -> int:
        self._budget.note(is_retry=self.attempts[row] > 0)
        self.attempts[row] += 1
        return row

    def has_attempt_left(self, row: int) -> bool:
        """Whether the account may be called once more."""
        return self.attempts[row] < self._max_attempts

    def give_back(self, row: int) -> None:
        """The call was not made, or cost no attempt: it comes first, its attempt unspent."""
        self.attempts[row] -= 1
        if self.is_quarantined(row):
            self.call_later(row, 0)
        else:
            self._front.appendleft(row)

    def call_again(self, row: int) -> None:
        """Let the account be called once more, at once."""
        if self.is_quarantined(row):
            self.call_later(row, 0)
        else:
            self._front.append(row)

    def call_later(self, row: int, due: float) -> None:
        """Let the account be called again from `due` (monotonic seconds) on."""
        heapq.heappush(self._retries_with(row), (due, row))

    @property
    def retries_waiting(self) -> int:
        """Accounts that wait for another attempt."""
        return len(self._later) + len(self._quarantine)

    @property
    def quarantined(self) -> int:
        """Accounts that wait until they can be called alone."""
        return len(self._quarantine)

    def note_failure(self, row: int, reason: Reason | None, http_status: int | None) -> None:
        """Remember why the account's last call failed."""
        self._reasons[row] = _REASON_CODES[reason]
        self._statuses[row] = http_status or 0

    def last_failure(self, row: int) -> tuple[Reason | None, int | None]:
        """Why the account's last call failed, if one was made."""
        return _REASONS[self._reasons[row]], self._statuses[row] or None

    def note_answered(self, row: int) -> None:
        """The account has its final rating."""
        self.is_answered[row] = 1
        self.answered += 1

    def take_exhausted(self) -> list[int]:
        """Take out the resumed accounts that must not be called any more."""
        exhausted, self._exhausted = self._exhausted, []
        return exhausted

    def throttled_last(self) -> list[int]:
        """The accounts whose last call was told to slow down."""
        code = _REASON_CODES[Reason.RATE_LIMITED]
        waiting = [*self._front, *(row for _, row in self._quarantine)]
        return [row for row in waiting if self._reasons[row] == code]

    def unanswered_pages(self, page: int) -> Iterator[list[int]]:
        """The rows of all accounts without a rating, `page` at a time."""
        rows = np.flatnonzero(np.frombuffer(self.is_answered, "u1") == 0)
        for start in range(0, len(rows), page):
            yield rows[start : start + page].tolist()
