"""One call to the ESG API and what came of it, in the engine's words.

Each `ask` makes exactly one HTTP request. What happens next, and how often, is not decided here.
"""

import json
from collections.abc import Mapping
from datetime import date
from enum import Enum, auto
from urllib.parse import quote

import aiohttp
from aiohttp import hdrs
from multidict import istr
from yarl import URL

from esg_pipeline.clock import now_utc
from esg_pipeline.ratings import Focus, ProcessingStatus, Reason
from esg_pipeline.scoring.api.answer import Answer, Reader
from esg_pipeline.scoring.api.asked_pause import asked_pause_s
from esg_pipeline.scoring.api.tls import is_local_shortage, untrusted
from esg_pipeline.scoring.api.wire import NotHttp, Response, Wire
from esg_pipeline.scoring.errors import ApiUntrusted
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


class CallOutcome(Enum):
    """What the engine has to do about a call."""

    ANSWERED = auto()
    """`answer` is what the API says of the account."""
    REFUSED = auto()
    """A final no: another call would bring the same."""
    FAILED = auto()
    """Worth another attempt."""
    THROTTLED = auto()
    """Slow down; costs no attempt."""
    UNAUTHORIZED = auto()
    """401."""
    NOT_SENT = auto()
    """This machine could not make the call; costs no attempt."""
    UNTRUSTED = auto()
    """The server did not prove who it is; nothing was sent."""


class CallResult:
    """What came of one call.

    A plain class with defaults, since there is one for every call.

    Attributes:
        is_outage: Transport error or 5xx: what an outage looks like.
        pause_s: How long the API asks its callers to wait, seconds.
        stop: Why the whole run must stop, if it must.
    """

    answer: Answer | None = None
    reason: Reason | None = None
    http_status: int | None = None
    message = ""
    is_outage = False
    pause_s: float | None = None
    stop: ApiUntrusted | None = None

    def __init__(self, outcome: CallOutcome) -> None:
        self.outcome = outcome


class ApiClient:
    """Asks the API, by POST or, when its URL has a place for the account id, by GET."""

    def __init__(self, wire: Wire, settings: Settings, day: date, read: Reader) -> None:
        url = settings.api_url or ""
        self._wire = wire
        self._is_get = PLACEHOLDER in url
        self._target = URL(url.replace(PLACEHOLDER, _MARK)).raw_path_qs
        self._day = day.isoformat()
        self._body_ends = {focus: self._body_end(focus) for focus in (None, *Focus)}
        self._read = read
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
        """Make one call for an account; never raises but for cancellation.

        Args:
            account_id: As it is; made safe for a URL here.
            focus: The focus that the account asks for.
            authorization: Value of the Authorization header.
            number: The pacer's number of this call.
        """
        try:
            request = self._request(account_id, focus, authorization)
            response = await self._wire.exchange(request, number)
            return self._judge(response, account_id, focus)
        except TimeoutError:
            return _failed(Reason.TIMEOUT, None, "no whole answer in time", is_outage=True)
        except NotHttp:
            message = "the answer is not HTTP"
            return _failed(Reason.UNREADABLE_RESPONSE, None, message, is_outage=True)
        except (aiohttp.ClientError, OSError) as error:
            return _transport_failed(error)
        except Exception as error:  # one odd exchange must not end the run
            message = f"the exchange broke the client ({type(error).__name__})"
            return _failed(Reason.UNREADABLE_RESPONSE, None, message)

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

    def _judge(self, response: Response, account_id: str, focus: Focus | None) -> CallResult:
        status = response.status
        if status in self._throttle_statuses:
            result = _result(CallOutcome.THROTTLED, Reason.RATE_LIMITED, status)
            result.pause_s = asked_pause_s(response.headers, now=now_utc())
            return result
        if not 200 <= status < 300:  # noqa: PLR2004
            return _judge_error(status, response.headers)
        if response.body is None:
            return _failed(
                Reason.UNREADABLE_RESPONSE, status, response.problem, is_outage=response.is_cut
            )
        answer = self._read(response.body, account_id, focus)
        if answer.reason is Reason.UNREADABLE_RESPONSE:
            return _failed(Reason.UNREADABLE_RESPONSE, status, answer.message)
        result = CallResult(CallOutcome.ANSWERED)
        result.answer = answer
        result.http_status = status
        if answer.status is ProcessingStatus.FAILED:
            result.reason = answer.reason
            result.message = answer.message
        headers = response.headers
        if _RATE_LIMIT in headers or _REMAINING in headers or _X_REMAINING in headers:
            result.pause_s = _hinted_pause_s(headers)
        return result

    async def is_alive(self, authorization: str, number: int) -> bool:
        """Ask for nothing (HEAD): whether anything but an outage answers."""
        target = self._account_target(NO_ACCOUNT) if self._is_get else self._target
        request = f"HEAD {target} HTTP/1.1\r\n{self._wire.head(authorization)}\r\n"
        try:
            response = await self._wire.exchange(request.encode(), number, is_head=True)
        except (aiohttp.ClientError, OSError):
            return False
        return response.status < 500 or response.status == 501  # noqa: PLR2004


def _judge_error(status: int, headers: Mapping[str, str]) -> CallResult:
    if status == 401:  # noqa: PLR2004
        return _result(CallOutcome.UNAUTHORIZED, Reason.UNAUTHORIZED, status)
    is_retried = status in RETRIED_STATUSES
    outcome = CallOutcome.FAILED if is_retried else CallOutcome.REFUSED
    result = _result(outcome, _error_reason(status), status)
    result.is_outage = status >= 500  # noqa: PLR2004
    if is_retried and hdrs.RETRY_AFTER in headers:
        result.pause_s = asked_pause_s(headers, now=now_utc())
    return result


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


def _transport_failed(error: Exception) -> CallResult:
    if is_local_shortage(error):
        return _result(CallOutcome.NOT_SENT, Reason.CONNECTION)
    if stop := untrusted(error, "ESG_API_URL"):
        result = _result(CallOutcome.UNTRUSTED, Reason.CONNECTION)
        result.stop = stop
        return result
    message = f"no connection ({type(error).__name__})"
    return _failed(Reason.CONNECTION, None, message, is_outage=True)


def _result(outcome: CallOutcome, reason: Reason, http_status: int | None = None) -> CallResult:
    result = CallResult(outcome)
    result.reason = reason
    result.http_status = http_status
    result.message = "" if http_status is None else f"HTTP {http_status}"
    return result


def _failed(
    reason: Reason, http_status: int | None, message: str, *, is_outage: bool = False
) -> CallResult:
    result = _result(CallOutcome.FAILED, reason, http_status)
    result.message = message
    result.is_outage = is_outage
    return result


def _hinted_pause_s(headers: Mapping[str, str]) -> float | None:
    """How long to wait because a good answer says that the quota is used up."""
    pause_s = asked_pause_s(headers, now=now_utc(), is_throttle=False)
    return None if pause_s is None else min(pause_s, MAX_HINT_S)
