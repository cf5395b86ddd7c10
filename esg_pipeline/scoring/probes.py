"""Finds out whether an API that was down is back, with as few calls as possible
(docs/design.md#probes).

A probe is a real call of the account with the most attempts left. Where that would cost an
account its last attempt, or where the accounts themselves are suspected, a request that asks for
nothing (HEAD) goes first.
"""

import logging
from collections.abc import Awaitable, Callable

from esg_pipeline.scoring.api.call import Api, CallOutcome
from esg_pipeline.scoring.api.credentials import Bearer, Credentials
from esg_pipeline.scoring.attempts import Attempts
from esg_pipeline.scoring.calls import Calls
from esg_pipeline.scoring.pace import Pacer
from esg_pipeline.scoring.verdicts import Judge
from esg_pipeline.scoring.work_list import WorkList

log = logging.getLogger("esg_pipeline.scoring")


class Prober:
    """Makes the probes while the API is down, and tells the judge what they brought.

    Args:
        may_probe: Whether probes may be made at all now.
    """

    def __init__(
        self,
        *,
        judge: Judge,
        work: WorkList,
        attempts: Attempts,
        pacer: Pacer,
        api: Api,
        calls: Calls,
        credentials: Credentials,
        may_probe: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self._judge = judge
        self._work = work
        self._attempts = attempts
        self._pacer = pacer
        self._api = api
        self._calls = calls
        self._credentials = credentials
        self._may_probe = may_probe
        self._clock = clock

    async def probe(self) -> None:
        """Make a probe if it is time to; the API is down."""
        is_due = self._clock() >= self._judge.next_probe_at
        if not (is_due and self._may_probe() and self._work.has_waiting):
            return
        bearer = await self._credentials.obtain()
        if self._judge.is_doubtful:
            await self._ask_for_nothing(bearer, self._accounts_are_to_blame)
        elif self._work.only_last_attempts_wait():
            await self._ask_for_nothing(bearer, lambda: self._probe_account(bearer))
        else:
            await self._probe_account(bearer)

    async def _ask_for_nothing(
        self, bearer: Bearer, if_alive: Callable[[], Awaitable[None]]
    ) -> None:
        number = await self._pacer.wait_for_start(self._may_probe)
        if number is None:
            return
        if await self._api.is_alive(bearer.header, number):
            await if_alive()
        else:
            self._judge.probe_failed(self._clock())

    async def _accounts_are_to_blame(self) -> None:
        log.warning("API is up after all; it is the remaining accounts that fail")
        self._judge.probe_answered()

    async def _probe_account(self, bearer: Bearer) -> None:
        row = self._work.draw_for_probe()
        if row is None:
            return
        items = await self._attempts.begin([row])
        number = await self._pacer.wait_for_start(self._may_probe)
        if number is None:
            self._attempts.give_all_back(items)
            return
        result = await self._calls.call(items[0], number, bearer)
        if result.is_outage or result.outcome is CallOutcome.NOT_SENT:
            self._judge.probe_failed(self._clock())
            return
        log.warning("API is back; calls go on")
        self._pacer.times.ramp_up(self._clock())
        self._judge.probe_answered()
