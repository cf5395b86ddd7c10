"""One call to the ESG API and what came of it, in the engine's words.

Each `ask` makes exactly one HTTP request. What happens next, and how often, is not decided here.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import date, datetime
from urllib.parse import quote

import aiohttp
from aiohttp import hdrs
from multidict import istr
from yarl import URL

from esg_pipeline.ratings import Focus, ProcessingStatus, Reason
from esg_pipeline.scoring.api.answer import Reader, answer_reader
from esg_pipeline.scoring.api.asked_pause import asked_pause_s
from esg_pipeline.scoring.api.call import CallOutcome, CallResult
from esg_pipeline.scoring.api.credentials import Credentials, open_credentials
from esg_pipeline.scoring.api.failures import result_of_error
from esg_pipeline.scoring.api.wire import Response, Wire
from esg_pipeline.settings import Settings

PLACEHOLDER = "{account_id}"
NO_ACCOUNT = "-"
RETRIED_STATUSES = frozenset({408, 425, 500, 502, 503, 504})
MAX_HINT_S = 60.0
"""Longest wait for a quota that a good answer says is used up; the next throttle tells more."""

_MARK = "account-id-goes-here"
_RATE_LIMIT = istr("RateLimit")
_REMAINING = istr("RateLimit-Remaining")
_X_REMAINING = istr("X-RateLimit-Remaining")


class ApiClient:
    """Asks the API, by POST or, when its URL has a place for the account id, by GET.

    Args:
        read: Reads the body of an answer.
        now: The wall clock, for waits that the API gives as points in time.
    """

    def __init__(
        self,
        wire: Wire,
        settings: Settings,
        day: date,
        read: Reader,
        now: Callable[[], datetime],
    ) -> None:
        url = settings.api_url or ""
        self._wire = wire
        self._is_get = PLACEHOLDER in url
        self._target = URL(url.replace(PLACEHOLDER, _MARK)).raw_path_qs
        self._day = day.isoformat()
        self._body_ends = {focus: self._body_end(focus) for focus in (None, *Focus)}
        self._read = read
        self._now = now
        self._throttle_statuses = frozenset(settings.api_throttle_statuses)
        self._authorization = ""
        self._head = ""

    def _body_end(self, focus: Focus | None) -> str:
        """What follows the account id in the body of a POST: the same for all accounts."""
        rest = {"analysis_date": self._day}
        if focus is not None:
            rest["primary_esg_focus"] = focus.value
        return f", {json.dumps(rest)[1:]}"

    async def ask(
        self, account_id: str, focus: Focus | None, authorization: str, number: int
    ) -> CallResult:
        """Make one call for an account: see `Api`."""
        try:
            request = self._request(account_id, focus, authorization)
            response = await self._wire.exchange(request, number)
            return self._result_of(response, account_id, focus)
        except Exception as error:
            return result_of_error(error)

    def _request(self, account_id: str, focus: Focus | None, authorization: str) -> bytes:
        if authorization is not self._authorization:
            more = "" if self._is_get else "Content-Type: application/json\r\n"
            self._head = self._wire.head(authorization, more)
            self._authorization = authorization
        if self._is_get:
            return f"GET {self._account_target(account_id)} HTTP/1.1\r\n{self._head}\r\n".encode()
        body = f'{{"portfolio_id": {json.dumps(account_id)}{self._body_ends[focus]}'  # ASCII
        return (
            f"POST {self._target} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def _account_target(self, account_id: str) -> str:
        segment = quote(account_id, safe="")
        if not segment.strip("."):
            segment = segment.replace(".", "%2E")  # dots alone would be a path
        target = self._target.replace(_MARK, segment)
        return f"{target}{'&' if '?' in target else '?'}analysis_date={self._day}"

    def _result_of(self, response: Response, account_id: str, focus: Focus | None) -> CallResult:
        status, headers = response.status, response.headers
        if status in self._throttle_statuses:
            return CallResult(
                CallOutcome.THROTTLED,
                Reason.RATE_LIMITED,
                status,
                f"HTTP {status}",
                pause_s=asked_pause_s(headers, now=self._now()),
            )
        if not 200 <= status < 300:  # noqa: PLR2004
            return self._result_of_error_status(status, headers)
        if response.body is None:
            return CallResult(
                CallOutcome.FAILED,
                Reason.UNREADABLE_RESPONSE,
                status,
                response.problem,
                is_outage=response.is_cut,
            )
        answer = self._read(response.body, account_id, focus)
        if answer.reason is Reason.UNREADABLE_RESPONSE:
            return CallResult(CallOutcome.FAILED, answer.reason, status, answer.message)
        result = CallResult(CallOutcome.ANSWERED, None, status, answer=answer)
        if answer.status is ProcessingStatus.FAILED:
            result.reason = answer.reason
            result.message = answer.message
        if _RATE_LIMIT in headers or _REMAINING in headers or _X_REMAINING in headers:
            pause_s = asked_pause_s(headers, now=self._now(), is_throttle=False)
            result.pause_s = None if pause_s is None else min(pause_s, MAX_HINT_S)
        return result

    def _result_of_error_status(self, status: int, headers: Mapping[str, str]) -> CallResult:
        said = f"HTTP {status}"
        if status == 401:  # noqa: PLR2004
            return CallResult(CallOutcome.UNAUTHORIZED, Reason.UNAUTHORIZED, status, said)
        is_retried = status in RETRIED_STATUSES
        asks_to_wait = is_retried and hdrs.RETRY_AFTER in headers
        return CallResult(
            CallOutcome.FAILED if is_retried else CallOutcome.REFUSED,
            _error_reason(status),
            status,
            said,
            is_outage=status >= 500,  # noqa: PLR2004
            pause_s=asked_pause_s(headers, now=self._now()) if asks_to_wait else None,
        )

    async def is_alive(self, authorization: str, number: int) -> bool:
        """Ask for nothing (HEAD): whether anything but an outage answers."""
        target = self._account_target(NO_ACCOUNT) if self._is_get else self._target
        request = f"HEAD {target} HTTP/1.1\r\n{self._wire.head(authorization)}\r\n"
        try:
            response = await self._wire.exchange(request.encode(), number, is_head=True)
        except (aiohttp.ClientError, OSError):
            return False
        return response.status < 500 or response.status == 501  # noqa: PLR2004


def _error_reason(status: int) -> Reason:
    match status:
        case 404:
            return Reason.NOT_FOUND
        case 403:
            return Reason.UNAUTHORIZED
        case _ if 400 <= status < 500:  # noqa: PLR2004
            return Reason.HTTP_4XX
        case _ if 500 <= status < 600:  # noqa: PLR2004
            return Reason.HTTP_5XX
        case _:
            return Reason.INVALID_RESPONSE  # a redirect, never followed


@asynccontextmanager
async def open_api(
    settings: Settings,
    day: date,
    *,
    now: Callable[[], datetime],
    on_delayed: Callable[[int], None],
) -> AsyncIterator[tuple[ApiClient, Credentials]]:
    """The API of the settings and the credentials for it.

    Args:
        settings: Checked by `Settings.require_for_run`.
        day: The business date.
        now: The wall clock, aware.
        on_delayed: Called with the number of a call that left late, because its connection had
            to be opened first.
    """
    wire = Wire(settings, URL(settings.api_url or ""), on_delayed)
    async with wire, open_credentials(settings) as credentials:
        yield ApiClient(wire, settings, day, answer_reader(settings, day), now), credentials
