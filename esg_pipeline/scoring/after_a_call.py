"""After a call: what its outcome means for its account, for the pace and for the token.

Whether it is one account's or everybody's is asked of the judge. It makes no call and waits for
nothing.
"""

import logging
from collections import Counter

from esg_pipeline.ratings import ProcessingStatus, Reason
from esg_pipeline.scoring.api.call import CallOutcome, CallResult
from esg_pipeline.scoring.api.credentials import Bearer, Credentials
from esg_pipeline.scoring.attempts import Attempts
from esg_pipeline.scoring.errors import ApiUnauthorized
from esg_pipeline.scoring.pace import CallTimes, believed_pause_s
from esg_pipeline.scoring.run_time import RunTime
from esg_pipeline.scoring.tally import ANSWERED, Tally
from esg_pipeline.scoring.verdicts import Judge, Verdict
from esg_pipeline.scoring.work_list import Item

log = logging.getLogger("esg_pipeline.scoring")


class Settler:
    """Settles calls. One per run, in the event loop only.

    Attributes:
        outage_reason: Why calls fail in the newest outage.
    """

    def __init__(
        self,
        *,
        attempts: Attempts,
        judge: Judge,
        times: CallTimes,
        credentials: Credentials,
        tally: Tally,
        time: RunTime,
    ) -> None:
        self._attempts = attempts
        self._judge = judge
        self._times = times
        self._credentials = credentials
        self._tally = tally
        self._time = time
        self._refused_attempts: Counter[int] = Counter()
        """By row, attempts that refusals have cost since our credentials were last accepted."""
        self._were_unauthorized: set[int] = set()
        self.outage_reason = Reason.CONNECTION

    def settle(
        self, item: Item, result: CallResult, *, bearer: Bearer, called_at: float
    ) -> Verdict:
        """Settle one call: count it, have it judged, and end its attempt.

        Args:
            item: Whose call it was.
            result: What came of it.
            bearer: What it was made with.
            called_at: When it was made (monotonic seconds).

        Returns:
            What it means beside the calls before it; the account itself is settled.

        Raises:
            ApiUnauthorized, ApiUntrusted: the run must stop.
        """
        now = self._time.monotonic()
        self._tally.latency.add(now - called_at)
        self._tally.outcomes[result.reason or ANSWERED] += 1
        if result.outcome is not CallOutcome.ANSWERED and log.isEnabledFor(logging.DEBUG):
            self._log_attempt(item, result)
        match result.outcome:
            case CallOutcome.ANSWERED:
                verdict = self._note_accepted(item, result, now)
                self._answered(item, result, called_at)
            case CallOutcome.FAILED:
                verdict = self._judge.note(item.row, is_down=result.is_outage, now=now)
                self._failed(item, result)
            case CallOutcome.REFUSED if result.reason is Reason.UNAUTHORIZED:
                verdict = self._note_refused(item, result, now)
                self._attempts.set_aside(item, result)
            case CallOutcome.REFUSED:
                verdict = self._note_accepted(item, result, now)
                self._attempts.fail(item, result)
            case CallOutcome.THROTTLED:
                verdict = self._judge.note(item.row, now=now)
                self._throttled(item, result, called_at)
                return verdict
            case CallOutcome.UNAUTHORIZED:
                verdict = self._unauthorized(item, result, bearer, now)
            case CallOutcome.NOT_SENT | CallOutcome.UNTRUSTED:
                self._attempts.give_back(item)
                if result.stop is not None:
                    raise result.stop
                return Verdict.ITS_OWN
        if result.is_outage:
            self.outage_reason = result.reason or Reason.CONNECTION
        if result.pause_s is not None:
            self._pause(result.pause_s)
        return verdict

    def settle_set_aside(self) -> None:
        """At the end of the calls: who was refused, the accounts or our credentials."""
        if not self._judge.is_refused:
            self._attempts.release()
            return
        for row, attempts in self._refused_attempts.items():
            self._attempts.unspend(row, attempts)

    def _answered(self, item: Item, result: CallResult, called_at: float) -> None:
        answer = result.answer
        assert answer is not None  # noqa: S101 - the outcome says so
        self._times.accept(called_at)
        if answer.reason is Reason.IDENTITY_MISMATCH:
            self._tally.identity_mismatches += 1
        if answer.status is ProcessingStatus.FAILED:
            self._attempts.fail(item, result)
        else:
            self._attempts.answer(item, answer, result.http_status)

    def _failed(self, item: Item, result: CallResult) -> None:
        """A failed attempt: another one later, if there is one left."""
        if self._attempts.is_last(item):
            self._attempts.fail(item, result)
        else:
            self._attempts.retry_later(item, result)

    # ---- throttles and pauses

    def _throttled(self, item: Item, result: CallResult, called_at: float) -> None:
        self._tally.throttled += 1
        self._attempts.throttled(item, result)
        is_news = self._times.slow_down(self._time.monotonic(), called_at=called_at)
        if result.pause_s is not None:
            pause_s = self._pause(result.pause_s)
        elif is_news:
            pause_s = self._pause(self._times.untold_pause_s())
        if is_news:
            log.warning(
                "API says slow down (HTTP %s): no call for %.1f s, then at most %.1f a second",
                result.http_status,
                pause_s,
                self._times.rate,
            )

    def _pause(self, asked_s: float) -> float:
        """Let no call start for as long as the API asks, within reason; returns how long."""
        pause_s = believed_pause_s(asked_s, self._time.left_s())
        if pause_s < asked_s and asked_s > (self._tally.longest_pause_capped_s or 0.0):
            self._tally.longest_pause_capped_s = asked_s
            log.warning("API asks for a wait of %.0f s; waiting %.0f s", asked_s, pause_s)
        self._times.pause(self._time.monotonic() + pause_s)
        return pause_s

    # ---- our credentials

    def _unauthorized(self, item: Item, result: CallResult, bearer: Bearer, now: float) -> Verdict:
        """401: one more call of the account, with a new token if there can be one."""
        self._tally.unauthorized += 1
        if self._credentials.refused(bearer):
            self._refused_attempts[item.row] += 1
            verdict = self._judge.note(item.row, now=now)
            is_first = True
        else:
            verdict = self._note_refused(item, result, now)
            is_first = item.row not in self._were_unauthorized
        if is_first and not self._attempts.is_last(item):
            self._were_unauthorized.add(item.row)
            self._attempts.retry_now(item, result)
        else:
            self._attempts.set_aside(item, result)
        return verdict

    def _note_refused(self, item: Item, result: CallResult, now: float) -> Verdict:
        self._refused_attempts[item.row] += 1
        verdict = self._judge.note(item.row, is_refused=True, now=now)
        if verdict is Verdict.ALL_REFUSED:
            raise ApiUnauthorized(
                f"the API refuses our credentials for every account (HTTP {result.http_status}). "
                "Check ESG_API_TOKEN or the ESG_API_OAUTH_… settings, then run again: only what is "
                "missing will be asked."
            )
        return verdict

    def _note_accepted(self, item: Item, result: CallResult, now: float) -> Verdict:
        verdict = self._judge.note(item.row, is_down=result.is_outage, is_refused=False, now=now)
        if self._refused_attempts and not self._judge.is_refused:
            self._refused_attempts.clear()
            self._attempts.release()
        return verdict

    def _log_attempt(self, item: Item, result: CallResult) -> None:
        log.debug(
            "account %a: attempt %d: %s (%s)",
            item.account_id,
            self._attempts.spent(item),
            result.outcome.name.lower(),
            result.message,
        )
