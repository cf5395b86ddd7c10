"""One call to the ESG API and what came of it, in the engine's words.

Each `ask` makes exactly one HTTP request. What happens next, and how often, is not decided here.
"""

import json
from collections.abc import Mapping
from datetime import date
from enum import Enum, auto
from urllib.parse import quote

import aiohttp
from yarl import URL

from esg_pipeline.clock import now_utc
from esg_pipeline.ratings import Focus, ProcessingStatus, Reason
from esg_pipeline.scoring.answer import Answer, Reader
from esg_pipeline.scoring.errors import ApiUntrusted
from esg_pipeline.scoring.throttle import asked_pause_s
from esg_pipeline.scoring.transport import (
    UnreadableBody,
    ignore_body,
    is_local_shortage,
    read_body,
    untrusted,
)
from esg_pipeline.settings import Settings

PLACEHOLDER = "{account_id}"
RETRIED_STATUSES = frozenset({408, 425, 500, 502, 503, 504})
MAX_HINT_S = 60.0
"""Longest wait for a quota that a good answer says is used up; the next throttle tells more."""


class Verdict(Enum):
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

    Attributes:
        is_outage: Transport error or 5xx: what an outage looks like.
        pause_s: How long the API asks its callers to wait, seconds.
        stop: Why the whole run must stop, if it must.
    """

    __slots__ = (
        "answer",
        "http_status",
        "is_outage",
        "message",
        "pause_s",
        "reason",
        "stop",
        "verdict",
    )

    def __init__(
        self,
        verdict: Verdict,
        *,
        answer: Answer | None = None,
        reason: Reason | None = None,
        http_status: int | None = None,
        message: str = "",
        is_outage: bool = False,
        pause_s: float | None = None,
        stop: ApiUntrusted | None = None,
    ) -> None:
        self.verdict = verdict
        self.answer = answer
        self.reason = reason
        self.http_status = http_status
        self.message = message
        self.is_outage = is_outage
        self.pause_s = pause_s
        self.stop = stop


class ApiClient:
    """Asks the API, by POST or, when its URL has a place for the account id, by GET."""

    def __init__(
        self, session: aiohttp.ClientSession, settings: Settings, day: date, read: Reader
    ) -> None:
        assert settings.api_url is not None  # noqa: S101 - `require_for_run` has checked it
        self._session = session
        self._url_text = settings.api_url
        self._is_get = PLACEHOLDER in settings.api_url
        self._post_url = URL(settings.api_url)
        self._day = day.isoformat()
        self._read = read
        self._throttle_statuses = frozenset(settings.api_throttle_statuses)

    async def ask(self, account_id: str, focus: Focus | None, authorization: str) -> CallResult:
        """Make one call for an account; never raises but for cancellation."""
        status = None
        try:
            response = await self._send(account_id, focus, authorization)
            status = response.status
            try:
                return await self._judge(response, account_id, focus)
            except BaseException:
                response.close()
                raise
        except TimeoutError:
            return _failed(Reason.TIMEOUT, status, "no whole answer in time", is_outage=True)
        except UnreadableBody as error:
            is_cut = error.__cause__ is not None
            return _failed(Reason.UNREADABLE_RESPONSE, status, str(error), is_outage=is_cut)
        except aiohttp.ClientResponseError:
            return _failed(
                Reason.UNREADABLE_RESPONSE, None, "the answer is not HTTP", is_outage=True
            )
        except (aiohttp.ClientError, OSError) as error:
            return self._transport_failed(error)
        except Exception as error:  # one odd exchange must not end the run
            message = f"the exchange broke the client ({type(error).__name__})"
            return _failed(Reason.UNREADABLE_RESPONSE, status, message)

    async def _send(
        self, account_id: str, focus: Focus | None, authorization: str
    ) -> aiohttp.ClientResponse:
        if self._is_get:
            return await self._session.get(
                self._account_url(account_id),
                headers={"Authorization": authorization},
                allow_redirects=False,
            )
        question = {"portfolio_id": account_id, "analysis_date": self._day}
        if focus is not None:
            question["primary_esg_focus"] = focus.value
        return await self._session.post(
            self._post_url,
            data=json.dumps(question).encode(),
            headers={"Authorization": authorization, "Content-Type": "application/json"},
            allow_redirects=False,
        )

    def _account_url(self, account_id: str) -> URL:
        # A segment of dots alone would be taken for a path, even percent-encoded slashes aside.
        segment = quote(account_id, safe="")
        if not segment.strip("."):
            segment = segment.replace(".", "%2E")
        url = self._url_text.replace(PLACEHOLDER, segment)
        return URL(f"{url}{'&' if '?' in url else '?'}analysis_date={self._day}", encoded=True)

    async def _judge(
        self, response: aiohttp.ClientResponse, account_id: str, focus: Focus | None
    ) -> CallResult:
        status = response.status
        if 200 <= status < 300 and status not in self._throttle_statuses:  # noqa: PLR2004
            body = await read_body(response)
            answer = self._read(body, account_id, focus)
            if answer.reason is Reason.UNREADABLE_RESPONSE:
                return _failed(Reason.UNREADABLE_RESPONSE, status, answer.message)
            return CallResult(
                Verdict.ANSWERED,
                answer=answer,
                reason=answer.reason if answer.status is ProcessingStatus.FAILED else None,
                message=answer.message,
                http_status=status,
                pause_s=_hinted_pause_s(response.headers),
            )
        await ignore_body(response)
        return self._judge_error(status, response.headers)

    def _judge_error(self, status: int, headers: Mapping[str, str]) -> CallResult:
        message = f"HTTP {status}"
        if status in self._throttle_statuses:
            pause_s = asked_pause_s(headers, now=now_utc())
            return CallResult(
                Verdict.THROTTLED,
                reason=Reason.RATE_LIMITED,
                http_status=status,
                message=message,
                pause_s=pause_s,
            )
        if status == 401:  # noqa: PLR2004
            return CallResult(
                Verdict.UNAUTHORIZED,
                reason=Reason.UNAUTHORIZED,
                http_status=status,
                message=message,
            )
        reason = _error_reason(status)
        is_outage = status >= 500  # noqa: PLR2004
        if status in RETRIED_STATUSES:
            pause_s = asked_pause_s(headers, now=now_utc()) if "Retry-After" in headers else None
            return _failed(reason, status, message, is_outage=is_outage, pause_s=pause_s)
        return CallResult(
            Verdict.REFUSED,
            reason=reason,
            http_status=status,
            message=message,
            is_outage=is_outage,
        )

    def _transport_failed(self, error: Exception) -> CallResult:
        if is_local_shortage(error):
            message = "this machine has no free socket"
            return CallResult(Verdict.NOT_SENT, reason=Reason.CONNECTION, message=message)
        if stop := untrusted(error, "ESG_API_URL"):
            return CallResult(Verdict.UNTRUSTED, reason=Reason.CONNECTION, stop=stop)
        return _failed(
            Reason.CONNECTION, None, f"no connection ({type(error).__name__})", is_outage=True
        )

    async def is_alive(self, authorization: str) -> bool:
        """Ask for nothing (HEAD): whether anything but an outage answers."""
        url = self._account_url("-") if self._is_get else self._post_url
        try:
            async with self._session.head(
                url, headers={"Authorization": authorization}, allow_redirects=False
            ) as response:
                return response.status < 500 or response.status == 501  # noqa: PLR2004
        except (aiohttp.ClientError, OSError):
            return False


def _failed(
    reason: Reason,
    status: int | None,
    message: str,
    *,
    is_outage: bool = False,
    pause_s: float | None = None,
) -> CallResult:
    return CallResult(
        Verdict.FAILED,
        reason=reason,
        http_status=status,
        message=message,
        is_outage=is_outage,
        pause_s=pause_s,
    )


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


def _hinted_pause_s(headers: Mapping[str, str]) -> float | None:
    """How long to wait because a good answer says that the quota is used up."""
    if not any(
        name in headers for name in ("RateLimit", "RateLimit-Remaining", "X-RateLimit-Remaining")
    ):
        return None
    pause_s = asked_pause_s(headers, now=now_utc(), is_throttle=False)
    return None if pause_s is None else min(pause_s, MAX_HINT_S)
