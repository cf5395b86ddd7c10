"""Accounts that may be called now, and the workers that wait for one.

A first-come queue inside one event loop; why an account is ready is not known here.
"""

import asyncio
from collections import deque
from collections.abc import Iterable

from esg_pipeline.scoring.work_list import Item


class ReadyQueue:
    """Items to call, whose attempts are written down, and idle workers.

    A worker that takes an item wakes the next one while there is more, so that putting a
    thousand items wakes one worker and not all.

    Attributes:
        items: Next first; to look at, not to change.
    """

    def __init__(self) -> None:
        self.items: deque[Item] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()

    def put(self, items: Iterable[Item]) -> None:
        """Add items at the end, and wake a worker."""
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
        """Wait, as a worker, until woken."""
        turn = asyncio.get_running_loop().create_future()
        self._idle.append(turn)
        await turn

    def wake_one(self) -> None:
        """Wake the worker that has waited longest."""
        while self._idle:
            turn = self._idle.popleft()
            if not turn.done():
                turn.set_result(None)
                return
