"""Makes the calls: callers take what is ready, wait for their turn, call, and have it settled.

Neither what a call's outcome means nor who is next is decided here.
"""

import asyncio
import logging
from collections.abc import Callable

from esg_pipeline.scoring.after_a_call import Settler
from esg_pipeline.scoring.api.call import Api, CallOutcome, CallResult
from esg_pipeline.scoring.api.credentials import Bearer, Credentials
from esg_pipeline.scoring.attempts import Attempts
from esg_pipeline.scoring.pace import Pacer
from esg_pipeline.scoring.tally import Tally
from esg_pipeline.scoring.verdicts import Verdict
from esg_pipeline.scoring.work_list import Item
from esg_pipeline.scoring.write_ahead import ReadyQueue

log = logging.getLogger("esg_pipeline.scoring")

SHORTAGE_PAUSE_S = 1.0


class Calls:
    """Makes one call for whoever asks, and has it settled.

    Args:
        on_settled: Called after each.

    Attributes:
        in_flight: Calls made and not settled.
    """

    def __init__(
        self,
        *,
        api: Api,
        settler: Settler,
        attempts: Attempts,
        tally: Tally,
        on_settled: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._api = api
        self._settler = settler
        self._attempts = attempts
        self._tally = tally
        self._on_settled = on_settled
        self._clock = clock
        self.in_flight = 0

    async def call(self, item: Item, number: int, bearer: Bearer) -> CallResult:
        """Make the call that the pacer has given this number, and settle it.

        Raises:
            ApiUnauthorized, ApiUntrusted: the run must stop.
        """
        self._tally.calls += 1
        self.in_flight += 1
        called_at = self._clock()
        try:
            result = await self._api.ask(item.account_id, item.focus, bearer.header, number)
        except asyncio.CancelledError:
            self._attempts.cut_off(item)
            raise
        finally:
            self.in_flight -= 1
        verdict = self._settler.settle(item, result, bearer=bearer, called_at=called_at)
        if verdict is Verdict.API_DOWN:
            self._tally.outages += 1
            log.warning("API seems down (%s); calls stop, probes begin", result.message)
        self._on_settled()
        return result


class Callers:
    """So many callers side by side, less when the machine is short of sockets.

    Args:
        may_call: Whether calls may be made at all now.
    """

    def __init__(
        self,
        *,
        number: int,
        ready: ReadyQueue,
        pacer: Pacer,
        credentials: Credentials,
        calls: Calls,
        may_call: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self._callers = number
        self._ready = ready
        self._pacer = pacer
        self._credentials = credentials
        self._calls = calls
        self._may_call = may_call
        self._clock = clock
        self._is_turn_taken = False

    async def run_one(self) -> None:
        """One of the callers: it goes on until it is cancelled, or one too many."""
        while True:
            if not self._ready.items or self._is_turn_taken or not self._may_call():
                await self._ready.wait()
                continue
            item = self._ready.take()
            try:
                # The token first: waiting for it after the pacer's turn would bunch calls up.
                bearer = self._credentials.ready or await self._credentials.obtain()
                number = self._pacer.start_now() if self._may_call() else None
                if number is None:
                    number = await self._wait_for_turn()
            except BaseException:
                self._ready.put_back(item)
                raise
            if number is None or self._credentials.ready is None:  # the wait outlived the token
                self._ready.put_back(item)
                continue
            if self._ready.items:
                self._ready.wake_one()
            result = await self._calls.call(item, number, bearer)
            if result.outcome is CallOutcome.NOT_SENT and self._retires():
                return

    async def _wait_for_turn(self) -> int | None:
        """Only one caller at a time waits for the pacer, so that little is taken in advance."""
        self._is_turn_taken = True
        try:
            return await self._pacer.wait_for_start(self._may_call)
        finally:
            self._is_turn_taken = False
            self._ready.wake_one()

    def _retires(self) -> bool:
        """The machine is short of sockets: one caller less, but never none (docs/faults.md#c8)."""
        self._pacer.times.pause(self._clock() + SHORTAGE_PAUSE_S)
        if self._callers == 1:
            return False
        self._callers -= 1
        log.warning("this machine is short of sockets; %d calls at once from now", self._callers)
        self._ready.wake_one()
        return True
