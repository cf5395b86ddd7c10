"""Keeps a little work ready for the workers: attempts are written ahead, then may be called.

So a crash can make the count of attempts too high for a few accounts, never too low. It makes no
call, and does not decide when one may start.
"""

import logging
from collections.abc import Callable

from esg_pipeline.scoring.after_a_call import Settler
from esg_pipeline.scoring.checkpoint import CheckpointThread
from esg_pipeline.scoring.pace import CallTimes
from esg_pipeline.scoring.ready import ReadyQueue
from esg_pipeline.scoring.work_list import Item, WorkList

log = logging.getLogger("esg_pipeline.scoring")

WRITE_AHEAD_S = 0.25
"""Calls of about this time are written ahead together: what a crash can cost an attempt."""
MAX_WRITE_AHEAD = 1000


class Feeder:
    """Moves accounts from the work list to the ready queue, in batches of `WRITE_AHEAD_S`.

    Args:
        first_batch: Size of the first batch; the next ones follow the pace of the calls.
    """

    def __init__(
        self,
        *,
        work: WorkList,
        ready: ReadyQueue,
        checkpoint: CheckpointThread,
        settler: Settler,
        schedule: CallTimes,
        first_batch: int,
        clock: Callable[[], float],
    ) -> None:
        self._work = work
        self._ready = ready
        self._checkpoint = checkpoint
        self._settler = settler
        self._schedule = schedule
        self._clock = clock
        self._size = first_batch
        self._begun_at = clock() - WRITE_AHEAD_S

    async def top_up(self) -> bool:
        """Make the next batch ready if the last one is half used up; whether it did."""
        if len(self._ready.items) > self._size // 2 or self._checkpoint.is_away:
            return False
        # As much as the last batch should have been to last for its time.
        elapsed_s = max(self._clock() - self._begun_at, WRITE_AHEAD_S / 4)
        wanted = self._size * WRITE_AHEAD_S / elapsed_s
        at_pace = self._schedule.rate * WRITE_AHEAD_S
        self._size = max(1, min(MAX_WRITE_AHEAD, int(min(wanted, at_pace))))
        items = await self.begin(self._work.draw(self._size, self._clock()))
        if not items:
            return False
        self._begun_at = self._clock()
        self._ready.put(items)
        return True

    async def begin(self, rows: list[int]) -> list[Item]:
        """Write attempts ahead; the accounts may be called when this returns."""
        if not rows:
            return []
        items = self._work.items(rows)
        if self._work.is_quarantined(rows[0]):
            log.info("account %a is asked, alone", items[0].account_id)
            self._checkpoint.flush()  # should the run die, all other outcomes are safe
        try:
            await self._checkpoint.begin([item.account_id for item in items])
        except BaseException:
            self.give_back(items)
            raise
        return items

    def give_back(self, items: list[Item]) -> None:
        """Unspend the attempts of accounts that were begun and not called."""
        for item in reversed(items):
            self._settler.give_back(item)

    def take_back(self) -> None:
        """Unspend the attempts of all that is ready."""
        self.give_back(self._ready.take_all())
