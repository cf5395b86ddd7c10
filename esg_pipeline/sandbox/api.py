"""The ESG Portfolio Analysis API of the simulated firm, and the record of what it was asked.

It answers by docs/api-contract.md, misbehaves only as `behaviour` says, and writes down every call
before it judges it. It knows nothing of the pipeline.
"""

import asyncio
import json
import random
import time
from collections import Counter
from datetime import date
from typing import Any, NamedTuple
from urllib.parse import unquote

from aiohttp import web

from esg_pipeline.sandbox.behaviour import Behaviour
from esg_pipeline.sandbox.call import Call, answer_rightly, respond_error
from esg_pipeline.sandbox.call_log import CallLog
from esg_pipeline.sandbox.faults import FAULTS
from esg_pipeline.sandbox.invented_scores import PILLARS, registered_focus
from esg_pipeline.sandbox.rate_limit import SlidingWindow
from esg_pipeline.sandbox.tokens import Tokens

POST_PATH = "/portfolio-analysis"
GET_PATH = "/portfolios/{account_id}/esg"
TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path, not a secret


class InvalidRequest(Exception):
    """A request the API cannot answer; the text is its error message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Asked(NamedTuple):
    """What a request asks for."""

    account_id: str
    analysis_date: date
    primary_esg_focus: str | None


class EsgApi(web.Server):
    """The API as an aiohttp server, to be given to `loop.create_server`.

    Attributes:
        log: All calls since the start or the last reset.
        tokens: Who is let in.
        behaviour: How it answers; change it with `behave`.
    """

    def __init__(self, elsewhere_url: str) -> None:
        # Without cancellation, calls that are never answered would outlive their callers.
        super().__init__(self._handle, handler_cancellation=True, access_log=None)
        self.log = CallLog()
        self.tokens = Tokens()
        self.behaviour = Behaviour()
        self._plan = self.behaviour.plan()
        self._elsewhere_url = elsewhere_url
        self._window = SlidingWindow()
        self._planned_calls: Counter[tuple[str, date]] = Counter()
        self._connection_numbers: dict[Any, int] = {}
        self._connections_made = 0

    def behave(self, behaviour: Behaviour) -> None:
        """Answer so from now on; if the faults differ, those of the first N calls begin anew."""
        before = self.behaviour
        self.behaviour = behaviour
        if (before.faults, before.account_faults) != (behaviour.faults, behaviour.account_faults):
            self._plan = behaviour.plan()
            self._planned_calls.clear()

    def reset(self) -> None:
        """Forget all calls; those in flight belong to the old log."""
        self.log = CallLog()
        self._window = SlidingWindow()
        self._planned_calls.clear()

    def hang_up(self) -> None:
        """Cut every open connection."""
        for connection in self.connections:
            if connection.transport is not None:
                connection.transport.abort()

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        """Number the connection."""
        super().connection_made(handler, transport)
        self._connections_made += 1
        self._connection_numbers[handler] = self._connections_made

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        """Forget the connection's number."""
        super().connection_lost(handler, exc)
        self._connection_numbers.pop(handler, None)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        log = self.log
        if request.path == TOKEN_PATH:
            log.token_requests += 1
            response = await self.tokens.issue(request, self.behaviour)
            log.tokens_issued += response.status == web.HTTPOk.status_code
            return response
        now = time.monotonic()
        row = log.arrive(self._connection_numbers.get(request.protocol, 0), now)
        try:
            response = await self._answer(request, log, row, now)
            log.answer(row, response.status)
            return response
        finally:
            log.leave()

    async def _answer(
        self, request: web.BaseRequest, log: CallLog, row: int, now: float
    ) -> web.StreamResponse:
        """Refuse the call, or answer it by the behaviour of this moment."""
        authorized = self.tokens.accepts(request.headers.get("Authorization", ""))
        if authorized:
            log.authorize(row)
        body = await request.read()
        log.hash_body(row, body)
        try:
            asked = read_request(request, body)
        except InvalidRequest as error:
            return respond_error(error.status, str(error))
        log.identify(row, asked.account_id, asked.analysis_date)
        behaviour = self.behaviour
        fault = behaviour.outage
        if fault is None:
            if not authorized:
                return respond_error(401, "invalid token", {"WWW-Authenticate": "Bearer"})
            if self._is_too_much(log, now):
                log.refuse(row)
                return respond_error(
                    behaviour.throttle_status, "too many requests", behaviour.throttle_headers
                )
            fault = self._planned_fault(asked)
        if behaviour.latency_s:
            await asyncio.sleep(random.uniform(*behaviour.latency_range_s))  # noqa: S311 - no secret
        call = Call(
            request,
            *asked,
            slow_s=behaviour.slow_s,
            throttle_headers=behaviour.throttle_headers,
            elsewhere_url=self._elsewhere_url,
        )
        if fault is None:
            return await answer_rightly(call)
        log.play(row, fault)
        return await FAULTS[fault].answer(call)

    def _is_too_much(self, log: CallLog, now: float) -> bool:
        cap = self.behaviour.max_concurrency
        if cap is not None and log.in_flight > cap:
            return True
        return not self._window.admits(now, self.behaviour.rate_limit)

    def _planned_fault(self, asked: Asked) -> str | None:
        planned = self._plan.fault_for(asked.account_id)
        if planned is None:
            return None
        if planned.first_calls is None:
            return planned.name
        key = (asked.account_id, asked.analysis_date)
        self._planned_calls[key] += 1
        return planned.name if self._planned_calls[key] <= planned.first_calls else None


def read_request(request: web.BaseRequest, body: bytes) -> Asked:
    """Read what a request asks for, in either form of docs/api-contract.md#the-request.

    Raises:
        InvalidRequest: with the status it deserves.
    """
    if request.method == "POST" and request.path == POST_PATH:
        return _read_post(body)
    start, _, end = GET_PATH.partition("{account_id}")
    # The path as sent, so that an id with an escaped slash stays one id.
    path = request.rel_url.raw_path
    if request.method == "GET" and path.startswith(start) and path.endswith(end):
        account_id = _account_id(unquote(path[len(start) : -len(end)]))
        day = _analysis_date(request.query.get("analysis_date"))
        return Asked(account_id, day, registered_focus(account_id))
    raise InvalidRequest(404, f"there are only POST {POST_PATH} and GET {GET_PATH}")


def _read_post(body: bytes) -> Asked:
    try:
        fields = json.loads(body)
    except ValueError as error:
        raise InvalidRequest(400, "the body is not JSON") from error
    if not isinstance(fields, dict):
        raise InvalidRequest(400, "the body is not a JSON object")
    focus = fields.get("primary_esg_focus")
    if focus is not None and focus not in PILLARS:
        raise InvalidRequest(400, f"primary_esg_focus must be one of {', '.join(PILLARS)}")
    account_id = _account_id(fields.get("portfolio_id"))
    return Asked(account_id, _analysis_date(fields.get("analysis_date")), focus)


def _account_id(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidRequest(400, "portfolio_id must be text and not empty")
    return value


def _analysis_date(value: object) -> date:
    text = str(value)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise InvalidRequest(400, "analysis_date must be a date, YYYY-MM-DD")
    return day
