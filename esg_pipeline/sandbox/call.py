"""One call as the simulated API answers it, and the ways to send its right answer.

Shared by the API and by every fault; no fault and no decision lives here.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from aiohttp import web

from esg_pipeline.sandbox.invented_scores import expected_answer

JSON_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class Call:
    """A valid request for one account.

    Attributes:
        request: The HTTP request; its body is read.
        account_id: The portfolio id asked for.
        analysis_date: The date asked for.
        primary_esg_focus: The focus asked for, or on file with the firm.
        slow_s: How long the fault `slow` waits, seconds.
        throttle_headers: Sent with every “slow down”.
        elsewhere_url: Another origin, which counts whoever follows a redirect to it.
    """

    request: web.BaseRequest
    account_id: str
    analysis_date: date
    primary_esg_focus: str | None
    slow_s: float
    throttle_headers: Mapping[str, str]
    elsewhere_url: str

    def right_answer(self) -> dict[str, Any]:
        """The answer a sound API gives."""
        return expected_answer(self.account_id, self.analysis_date, self.primary_esg_focus)

    def right_body(self) -> bytes:
        """The bytes a sound API sends."""
        return encode(self.right_answer())


AnswerFunction = Callable[[Call], Awaitable[web.StreamResponse]]
"""Answers one call. Its response's status is what the oracle writes down."""


def encode(answer: object) -> bytes:
    """Write an answer as JSON; NaN and Infinity are written as Python spells them."""
    return json.dumps(answer, ensure_ascii=False).encode("utf-8", "surrogatepass")


def respond(
    body: bytes,
    *,
    status: int = 200,
    content_type: str = JSON_TYPE,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Build a response whose Content-Type is exactly `content_type`."""
    return web.Response(
        status=status, body=body, headers={"Content-Type": content_type, **(headers or {})}
    )


def respond_error(
    status: int, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Build an error as the API words it: `{"status": "error", "error": …}`."""
    body = encode({"status": "error", "error": message})
    return respond(body, status=status, headers=headers)


async def answer_rightly(call: Call) -> web.StreamResponse:
    """Answer as a sound API does."""
    return respond(call.right_body())
