"""An attempt of an account from its beginning to what becomes of it.

Each step is taken in the work list and handed to the checkpoint, never in one of them alone. It
makes no call and does not decide what a call's outcome means.
"""

import logging

from esg_pipeline.ratings import Rating, Reason, failed_rating
from esg_pipeline.scoring.api.answer import Answer
from esg_pipeline.scoring.api.call import CallResult
from esg_pipeline.scoring.checkpoint import CheckpointQueue
from esg_pipeline.scoring.retries import Backoff
from esg_pipeline.scoring.run_time import RunTime
from esg_pipeline.scoring.tally import Tally
from esg_pipeline.scoring.work_list import Item, WorkList

log = logging.getLogger("esg_pipeline.scoring")


class Attempts:
    """Begins attempts and ends them. One per run, in the event loop only."""

    def __init__(
        self,
        work: WorkList,
        checkpoint: CheckpointQueue,
        backoff: Backoff,
        tally: Tally,
        time: RunTime,
    ) -> None:
        self._work = work
        self._checkpoint = checkpoint
        self._backoff = backoff
        self._tally = tally
        self._time = time
        self._set_aside: list[Rating] = []

    async def begin(self, rows: list[int]) -> list[Item]:
        """Write the attempts of drawn accounts ahead; they may be called when this returns.

        So a crash can make the count of attempts too high for a few accounts, never too low.
        """
        if not rows:
            return []
        items = self._work.items(rows)
        if self._work.is_quarantined(rows[0]):
            log.info("account %a is asked, alone", items[0].account_id)
            self._checkpoint.flush()  # should the run die, all other outcomes are safe
        try:
            await self._checkpoint.begin([item.account_id for item in items])
        except BaseException:
            self.give_all_back(items)
            raise
        return items

    def give_back(self, item: Item) -> None:
        """The begun attempt was not spent; the account goes to the front."""
        self._work.give_back(item.row)
        self._checkpoint.add_refund(item.account_id)

    def give_all_back(self, items: list[Item]) -> None:
        """Unspend the attempts of accounts that were begun and not called; their order stays."""
        for item in reversed(items):
            self.give_back(item)

    def cut_off(self, item: Item) -> None:
        """We ended the call ourselves: its outcome is known, no run died of it."""
        spent = self._work.attempts[item.row]
        self._checkpoint.add_failed(item.account_id, spent, Reason.TIMEOUT)

    def unspend(self, row: int, attempts: int) -> None:
        """So many attempts of an account cost nothing after all; the run will not call it again."""
        [item] = self._work.items([row])
        spent = self._work.attempts[row] - attempts
        self._checkpoint.add_failed(item.account_id, spent, Reason.UNAUTHORIZED)

    def spent(self, item: Item) -> int:
        """Attempts spent on the account, the one in flight included."""
        return self._work.attempts[item.row]

    def is_last(self, item: Item) -> bool:
        """Whether the account may not be called again."""
        return not self._work.has_attempt_left(item.row)

    def retry_later(self, item: Item, result: CallResult) -> None:
        """The attempt failed; the account waits for the next one."""
        self._spend(item, result)
        wait_s = self._backoff.wait_s(self._work.attempts[item.row])
        self._work.call_later(item.row, self._time.monotonic() + wait_s)

    def retry_now(self, item: Item, result: CallResult) -> None:
        """The attempt failed; the next one may follow at once."""
        self._spend(item, result)
        self._work.call_again(item.row)

    def throttled(self, item: Item, result: CallResult) -> None:
        """The attempt was not spent, but the API said to slow down."""
        self._work.note_failure(item.row, Reason.RATE_LIMITED, result.http_status)
        self.give_back(item)

    def _spend(self, item: Item, result: CallResult) -> None:
        reason = result.reason or Reason.CONNECTION
        self._work.note_failure(item.row, reason, result.http_status)
        self._checkpoint.add_failed(item.account_id, self._work.attempts[item.row], reason)

    def answer(self, item: Item, answer: Answer, http_status: int | None) -> None:
        """The account is rated."""
        rating = Rating(
            item.account_id,
            answer.status,
            answer.reason,
            answer.overall,
            answer.environmental,
            answer.social,
            answer.governance,
            answer.focus,
            answer.focus_score,
            answer.analysis_date,
            http_status,
            self._work.attempts[item.row],
            answer.message,
            self._time.now(),
        )
        self._work.note_answered(item.row)
        self._checkpoint.add(rating)

    def fail(self, item: Item, result: CallResult) -> None:
        """The account is Failed, for good."""
        self._checkpoint.add(self._failed_call(item, result))

    def set_aside(self, item: Item, result: CallResult) -> None:
        """The account would be Failed; its rating waits until it is known who is refused."""
        self._set_aside.append(self._failed_call(item, result))

    def release(self) -> None:
        """What was set aside is true of its accounts."""
        set_aside, self._set_aside = self._set_aside, []
        for rating in set_aside:
            self._checkpoint.add(rating)

    def _failed_call(self, item: Item, result: CallResult) -> Rating:
        log.warning(
            "account %a is Failed after %d attempts: %s (%s)",
            item.account_id,
            self._work.attempts[item.row],
            result.reason,
            result.message,
        )
        return self._failed(item, result.reason, result.http_status, result.message)

    def write_off(
        self, item: Item, reason: Reason | None, http_status: int | None, message: str
    ) -> None:
        """Make an account Failed without another call."""
        self._checkpoint.add(self._failed(item, reason, http_status, message))

    def _failed(
        self, item: Item, reason: Reason | None, http_status: int | None, message: str
    ) -> Rating:
        self._tally.failed += 1
        self._work.note_answered(item.row)
        return failed_rating(
            item.account_id,
            reason or Reason.CONNECTION,
            http_status,
            self._work.attempts[item.row],
            message,
            self._time.now(),
        )
