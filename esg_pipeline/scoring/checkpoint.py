"""Writes attempts and results to the ledger in batches, from a thread of its own.

The event loop hands over and goes on; it is told when the ledger is away. An outcome is never
dropped while the ledger may come back.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Protocol, TypeVar

from esg_pipeline.ledger import LedgerUnavailable
from esg_pipeline.ratings import Rating, Reason

log = logging.getLogger("esg_pipeline.scoring")

T = TypeVar("T")

BATCH_RESULTS = 500
"""Results in one transaction. With the batch being filled, at most 1,000 are not yet safe."""
RETRY_LEDGER_S = 1.0


class Checkpoint(Protocol):
    """Where attempts and results become durable; `ledger.EditionWriter` in production."""

    def begin_attempts(self, account_ids: Sequence[str]) -> int:
        """Write down that these accounts are about to be called."""

    def record(
        self,
        ratings: Sequence[Rating],
        failed_attempts: Sequence[tuple[str, int, str]] = (),
        refunded: Sequence[str] = (),
    ) -> None:
        """Write down final ratings, attempts of accounts to be called again, and refunds."""


class CheckpointQueue(Protocol):
    """What the engine hands over to be made durable; `CheckpointThread` in production.

    Attributes:
        backlog: Outcomes that are not durable yet.
        is_away: Nothing can be made durable now.
        error: Why that has ended for good.
    """

    @property
    def backlog(self) -> int: ...
    @property
    def is_away(self) -> bool: ...
    @property
    def error(self) -> BaseException | None: ...

    def notify(self, loop: asyncio.AbstractEventLoop, on_change: Callable[[], None]) -> None:
        """Call `on_change` in the loop after each write and each change of state."""

    async def begin(self, account_ids: list[str]) -> None:
        """Write attempts ahead; returns when they are durable."""

    def add(self, rating: Rating) -> None:
        """Hand over a final rating."""

    def add_failed(self, account_id: str, attempts: int, reason: Reason) -> None:
        """Hand over a failed attempt of an account that will be called again."""

    def add_refund(self, account_id: str) -> None:
        """Hand over that a begun attempt was not spent."""

    def flush(self) -> None:
        """Let what was handed over be written now."""


@dataclass(slots=True)
class _Outcomes:
    """What is to be recorded in one transaction."""

    ratings: list[Rating] = field(default_factory=list)
    failed: list[tuple[str, int, str]] = field(default_factory=list)
    refunded: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ratings) + len(self.failed) + len(self.refunded)


class CheckpointThread:
    """The writer thread and its queue.

    Args:
        at_end: Written last, when no call is made any more; not waited for if the ledger is away.

    Attributes:
        backlog: Outcomes that are not durable yet.
        is_away: The ledger cannot be written now.
        error: Why writing has ended for good: a lost lease, or a bug.
    """

    def __init__(self, checkpoint: Checkpoint, *, at_end: Callable[[], None]) -> None:
        self._checkpoint = checkpoint
        self._at_end = at_end
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._pending = _Outcomes()
        self._gives_up = threading.Event()
        self._on_change: Callable[[], None] = lambda: None
        self._is_closed = False
        self.backlog = 0
        self.is_away = False
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="esg-checkpoint", daemon=True)
        self._thread.start()

    def notify(self, loop: asyncio.AbstractEventLoop, on_change: Callable[[], None]) -> None:
        """Call `on_change` in the loop after each write and each change of state."""

        def change() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens
                loop.call_soon_threadsafe(on_change)

        self._on_change = change

    async def begin(self, account_ids: list[str]) -> None:
        """Write attempts ahead; returns when they are durable.

        An account must be settled before it is begun again, so failed and refunded attempts that
        wait are recorded before.

        Raises:
            BaseException: `error`, when writing has ended for good.
        """
        if self._pending.failed or self._pending.refunded:
            self.flush()
        await self.written(lambda: self._checkpoint.begin_attempts(account_ids))

    async def written(self, write: Callable[[], T]) -> T:
        """Let the thread do it, after what it has to do already; gives what it gave.

        Raises:
            BaseException: `error`, when writing has ended for good.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def finish(written: T) -> None:
            if not done.done():
                done.set_result(written)

        def do() -> None:
            written = write()
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(finish, written)

        self._jobs.put(do)
        while not done.done():
            if self.error is not None:
                raise self.error
            await asyncio.wait([done], timeout=RETRY_LEDGER_S)
        return done.result()

    def add(self, rating: Rating) -> None:
        """Hand over a final rating."""
        with self._lock:
            self._pending.ratings.append(rating)
            self.backlog += 1
        if len(self._pending.ratings) >= BATCH_RESULTS:
            self.flush()

    def add_failed(self, account_id: str, attempts: int, reason: Reason) -> None:
        """Hand over a failed attempt of an account that will be called again."""
        with self._lock:
            self._pending.failed.append((account_id, attempts, reason.value))
            self.backlog += 1

    def add_refund(self, account_id: str) -> None:
        """Hand over that a begun attempt was not spent."""
        with self._lock:
            self._pending.refunded.append(account_id)
            self.backlog += 1

    def flush(self) -> None:
        """Queue what was handed over to be written."""
        with self._lock:
            outcomes, self._pending = self._pending, _Outcomes()
        if not outcomes:
            return

        def write() -> None:
            self._checkpoint.record(outcomes.ratings, outcomes.failed, outcomes.refunded)
            with self._lock:
                self.backlog -= len(outcomes)

        self._jobs.put(write)

    def close(self, timeout_s: float) -> None:
        """Write what is left, wait at most so long, and take nothing more.

        Raises:
            BaseException: `error`, when writing has ended for good.
            LedgerUnavailable: the ledger did not come back in time; outcomes are lost.
        """
        if not self._is_closed:
            self._is_closed = True
            self.flush()
            self._jobs.put(self._write_end)
            self._jobs.put(None)
        self._thread.join(timeout_s)
        self._gives_up.set()
        if self.error is not None:
            raise self.error
        if self._thread.is_alive():
            raise LedgerUnavailable(
                f"the ledger did not take the last {self.backlog} outcomes in time; a rerun asks "
                "for those accounts again"
            )

    def _write_end(self) -> None:
        with contextlib.suppress(LedgerUnavailable):
            self._at_end()

    def _run(self) -> None:
        while (write := self._jobs.get()) is not None:
            if self.error is None:
                self._write(write)
                self._on_change()

    def _write(self, write: Callable[[], None]) -> None:
        while True:
            try:
                write()
            except LedgerUnavailable as error:
                if not error.retryable or self._gives_up.is_set():
                    self.error = error
                    return
                if not self.is_away:
                    log.warning("ledger away, calls stop until it is back: %s", error)
                    self.is_away = True
                    self._on_change()
                self._gives_up.wait(RETRY_LEDGER_S)
            except BaseException as error:  # a lost lease, or a bug: the run must hear of it
                self.error = error
                return
            else:
                if self.is_away:
                    log.warning("ledger back, calls go on")
                    self.is_away = False
                return
