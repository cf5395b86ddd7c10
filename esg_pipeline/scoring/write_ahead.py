"""Keeps a little work ready for the callers: attempts are written ahead, then may be called.

It makes no call, and decides neither who is next nor when a call may start.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from esg_pipeline.scoring.attempts import Attempts
from esg_pipeline.scoring.pace import CallTimes
from esg_pipeline.scoring.work_list import Item, WorkList

WRITE_AHEAD_S = 0.25
"""Calls of about this time are written ahead together: what a crash can cost an attempt."""
MAX_WRITE_AHEAD = 1000


class ReadyQueue:
    """Accounts to call, whose attempts are written down, and idle callers.

    A caller that takes an item wakes the next one while there is more, so that putting a
    thousand items wakes one caller and not all.

    Attributes:
        items: Next first; to look at, not to change.
    """

    def __init__(self) -> None:
        self.items: deque[Item] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()

    def put(self, items: Iterable[Item]) -> None:
        """Add items at the end, and wake a caller."""
        self.items.extend(items)
        self.wake_one()

    def put_back(self, item: Item) -> None:
        """Return an item that was taken and not called; it is next."""
        self.items.appendleft(item)

    def take(self) -> Item:
        """Take the next item. Raises IndexError when there is none."""
        return self.items.popleft()

    def take_all(self) -> list[Item]:
        """Take all items, first to last."""
        items = list(self.items)
        self.items.clear()
        return items

    async def wait(self) -> None:
        """Wait, as a caller, until woken."""
        turn = asyncio.get_running_loop().create_future()
        self._idle.append(turn)
        await turn

    def wake_one(self) -> None:
        """Wake the caller that has waited longest."""
        while self._idle:
            turn = self._idle.popleft()
            if not turn.done():
                turn.set_result(None)
                return


class Feeder:
    """Moves accounts from the work list to the ready queue, in batches of `WRITE_AHEAD_S`.

    Args:
        first_batch: Size of the first batch; the next ones follow the pace of the calls.
    """

    def __init__(
        self,
        *,
        work: WorkList,
        attempts: Attempts,
        ready: ReadyQueue,
        times: CallTimes,
        first_batch: int,
        clock: Callable[[], float],
    ) -> None:
        self._work = work
        self._attempts = attempts
        self._ready = ready
        self._times = times
        self._clock = clock
        self._size = first_batch
        self._begun_at = clock() - WRITE_AHEAD_S

    async def top_up(self) -> bool:
        """Make the next batch ready if the last one is half used up; whether it did."""
        if len(self._ready.items) > self._size // 2:
            return False
        # As much as the last batch should have been to last for its time.
        elapsed_s = max(self._clock() - self._begun_at, WRITE_AHEAD_S / 4)
        wanted = self._size * WRITE_AHEAD_S / elapsed_s
        at_pace = self._times.rate * WRITE_AHEAD_S
        self._size = max(1, min(MAX_WRITE_AHEAD, int(min(wanted, at_pace))))
        items = await self._attempts.begin(self._work.draw(self._size, self._clock()))
        if not items:
            return False
        self._begun_at = self._clock()
        self._ready.put(items)
        return True

    def take_back(self) -> None:
        """Unspend the attempts of all that is ready."""
        self._attempts.give_all_back(self._ready.take_all())
