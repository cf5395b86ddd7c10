"""What becomes of an account after a call: a rating, another attempt, or a stop of the run.

Every outcome goes from here to the checkpoint, the work list and the breaker's evidence. It makes
no call and waits for nothing.
"""

import logging
import random
from collections.abc import Callable
from datetime import datetime

from esg_pipeline.ratings import ProcessingStatus, Rating, Reason, failed_rating
from esg_pipeline.scoring.api.call import CallOutcome, CallResult
from esg_pipeline.scoring.api.credentials import Bearer, Credentials
from esg_pipeline.scoring.breaker import Breaker, Evidence
from esg_pipeline.scoring.checkpoint import CheckpointThread
from esg_pipeline.scoring.errors import ApiUnauthorized
from esg_pipeline.scoring.pace import CallTimes
from esg_pipeline.scoring.refusals import Refusals
from esg_pipeline.scoring.tally import Tally
from esg_pipeline.scoring.work_list import Item, WorkList
from esg_pipeline.settings import Settings

log = logging.getLogger("esg_pipeline.scoring")

MAX_PAUSE_S = 900.0
"""Longest wait an API may ask for and get; a longer one is cut and reported."""
MAX_UNTOLD_PAUSE_S = 60.0


class Settler:
    """Settles calls. One per run, in the event loop only.

    Attributes:
        outage_reason: Why calls fail in the newest outage.
    """

    def __init__(
        self,
        *,
        work: WorkList,
        checkpoint: CheckpointThread,
        breaker: Breaker,
        schedule: CallTimes,
        credentials: Credentials,
        settings: Settings,
        calls_end_at: datetime,
        tally: Tally,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self._work = work
        self._checkpoint = checkpoint
        self._breaker = breaker
        self._schedule = schedule
        self._credentials = credentials
        self._backoff_base_s = settings.api_backoff_base
        self._backoff_max_s = settings.api_backoff_max
        self._calls_end_at = calls_end_at
        self._now = now
        self._clock = clock
        self._rng = rng
        self._refusals = Refusals(work.to_be_asked)
        self._is_refused = False
        self._untold_throttles = 0
        self.outage_reason = Reason.CONNECTION
        self._tally = tally

    def settle(
        self, item: Item, result: CallResult, *, bearer: Bearer, called_at: float
    ) -> Evidence | None:
        """Settle one call; returns what it says about the API, None if it says nothing.

        Raises:
            ApiUnauthorized, ApiUntrusted: the run must stop.
        """
        if log.isEnabledFor(logging.DEBUG) and result.outcome is not CallOutcome.ANSWERED:
            self._log_attempt(item, result)
        match result.outcome:
            case CallOutcome.ANSWERED:
                self._answered(item, result, called_at)
            case CallOutcome.FAILED:
                self._failed(item, result)
            case CallOutcome.REFUSED if result.reason is Reason.UNAUTHORIZED:
                self._refused(item, result)
            case CallOutcome.REFUSED:
                self._credentials_accepted()
                self._fail(item, result)
            case CallOutcome.THROTTLED:
                self._throttled(item, result, called_at)
            case CallOutcome.UNAUTHORIZED:
                self._unauthorized(item, result, bearer)
            case CallOutcome.NOT_SENT | CallOutcome.UNTRUSTED:
                self.give_back(item)
                if result.stop is not None:
                    raise result.stop
                return None
        if result.pause_s is not None and result.outcome is not CallOutcome.THROTTLED:
            self._schedule.pause(self._clock() + self._believed_s(result.pause_s))
        return self._evidence(item, result)

    def _evidence(self, item: Item, result: CallResult) -> Evidence:
        if not result.is_outage:
            return Evidence.ALIVE
        self.outage_reason = result.reason or Reason.CONNECTION
        if self._work.is_suspect[item.row]:
            return Evidence.DOUBTFUL
        self._work.is_suspect[item.row] = self._breaker.api_is_healthy
        return Evidence.DOWN

    def _answered(self, item: Item, result: CallResult, called_at: float) -> None:
        answer = result.answer
        assert answer is not None  # noqa: S101 - the outcome says so
        self._credentials_accepted()
        self._schedule.accept()
        if called_at >= self._schedule.paused_until:
            self._untold_throttles = 0
        if answer.reason is Reason.IDENTITY_MISMATCH:
            self._tally.identity_mismatches += 1
        if answer.status is ProcessingStatus.FAILED:
            self._fail(item, result)
            return
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
            result.http_status,
            self._work.attempts[item.row],
            answer.message,
            self._now(),
        )
        self._work.note_answered(item.row)
        self._checkpoint.add(rating)

    def _failed(self, item: Item, result: CallResult) -> None:
        """A failed attempt: another one later, if there is one left."""
        if not self._work.has_attempt_left(item.row):
            self._fail(item, result)
            return
        self._spend(item, result)
        attempts = self._work.attempts[item.row]
        ceiling_s = min(self._backoff_max_s, self._backoff_base_s * 2 ** (attempts - 1))
        self._work.call_later(item.row, self._clock() + self._rng.uniform(0, ceiling_s))

    def _spend(self, item: Item, result: CallResult) -> None:
        reason = result.reason or Reason.CONNECTION
        self._work.note_failure(item.row, reason, result.http_status)
        self._checkpoint.add_failed(item.account_id, self._work.attempts[item.row], reason)

    def _fail(self, item: Item, result: CallResult) -> None:
        """The account is Failed, for good."""
        self._log_failure(item, result)
        self._work.note_answered(item.row)
        self._checkpoint.add(self._failed_rating(item, result))

    def _failed_rating(self, item: Item, result: CallResult) -> Rating:
        self._tally.failed += 1
        return failed_rating(
            item.account_id,
            result.reason or Reason.CONNECTION,
            result.http_status,
            self._work.attempts[item.row],
            result.message,
            self._now(),
        )

    def _throttled(self, item: Item, result: CallResult, called_at: float) -> None:
        self._tally.throttled += 1
        self._work.note_failure(item.row, Reason.RATE_LIMITED, result.http_status)
        self.give_back(item)
        now = self._clock()
        is_news = self._schedule.slow_down(now, called_at=called_at)
        pause_s = result.pause_s
        if pause_s is None:
            if not is_news:
                return
            pause_s = min(MAX_UNTOLD_PAUSE_S, 2.0**self._untold_throttles)
            self._untold_throttles = min(self._untold_throttles + 1, 6)
        pause_s = self._believed_s(pause_s)
        self._schedule.pause(now + pause_s)
        if is_news:
            log.warning(
                "API says slow down (HTTP %s): no call for %.1f s, then at most %.1f a second",
                result.http_status,
                pause_s,
                self._schedule.rate,
            )

    def _believed_s(self, pause_s: float) -> float:
        """The wait, or less if it is absurd or would leave no time for any call."""
        left_s = max(0.0, (self._calls_end_at - self._now()).total_seconds())
        if pause_s <= MAX_PAUSE_S and pause_s < left_s:
            return pause_s
        believed_s = min(MAX_PAUSE_S, left_s / 2)
        if pause_s > (self._tally.longest_pause_capped_s or 0.0):
            self._tally.longest_pause_capped_s = pause_s
            log.warning("API asks for a wait of %.0f s; waiting %.0f s", pause_s, believed_s)
        return believed_s

    def _unauthorized(self, item: Item, result: CallResult, bearer: Bearer) -> None:
        """401: one more call of the account, with a new token if there can be one."""
        self._tally.unauthorized += 1
        self._refusals.note_spent(item.row)
        if self._credentials.refused(bearer):
            is_first = True
        else:
            self._note_refusal(item, result)
            is_first = not self._work.was_unauthorized[item.row]
        if is_first and self._work.has_attempt_left(item.row):
            self._work.was_unauthorized[item.row] = True
            self._spend(item, result)
            self._work.call_again(item.row)
        else:
            self._hold_failure(item, result)

    def _refused(self, item: Item, result: CallResult) -> None:
        self._refusals.note_spent(item.row)
        self._note_refusal(item, result)
        self._hold_failure(item, result)

    def _note_refusal(self, item: Item, result: CallResult) -> None:
        self._refusals.note(item.row)
        if not self._refusals.are_everywhere:
            return
        self._is_refused = True
        raise ApiUnauthorized(
            f"the API refuses our credentials for every account (HTTP {result.http_status}). "
            "Check ESG_API_TOKEN or the ESG_API_OAUTH_… settings, then run again: only what is "
            "missing will be asked."
        )

    def _hold_failure(self, item: Item, result: CallResult) -> None:
        self._log_failure(item, result)
        self._work.note_answered(item.row)
        self._refusals.hold(self._failed_rating(item, result))

    def _credentials_accepted(self) -> None:
        if not self._is_refused and self._refusals.end():
            self.release_held()

    def release_held(self) -> None:
        """Record the refused accounts as Failed, or what they spent if everybody was refused."""
        held = self._refusals.take_held()
        if not self._is_refused:
            for rating in held:
                self._checkpoint.add(rating)
            return
        for refused in self._work.items(list(self._refusals.spent)):
            spent = self._work.attempts[refused.row] - self._refusals.spent[refused.row]
            self._checkpoint.add_failed(refused.account_id, spent, Reason.UNAUTHORIZED)

    def give_back(self, item: Item) -> None:
        """The begun attempt was not spent; the account goes to the front."""
        self._work.give_back(item.row)
        self._checkpoint.add_refund(item.account_id)

    def write_off(
        self, item: Item, reason: Reason | None, http_status: int | None, message: str
    ) -> None:
        """Make an account Failed without another call."""
        result = CallResult(CallOutcome.REFUSED, reason, http_status, message)
        self._work.note_answered(item.row)
        self._checkpoint.add(self._failed_rating(item, result))

    def _log_attempt(self, item: Item, result: CallResult) -> None:
        log.debug(
            "account %a: attempt %d: %s (%s)",
            item.account_id,
            self._work.attempts[item.row],
            result.outcome.name.lower(),
            result.message,
        )

    def _log_failure(self, item: Item, result: CallResult) -> None:
        log.warning(
            "account %a is Failed after %d attempts: %s (%s)",
            item.account_id,
            self._work.attempts[item.row],
            result.reason,
            result.message,
        )
