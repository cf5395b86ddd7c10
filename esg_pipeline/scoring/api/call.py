"""One call as the engine sees it: what it asks for, and what came of it.

Holds no rule and opens nothing, so that a model of the API can stand in for the network.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from esg_pipeline.ratings import Focus, Reason
from esg_pipeline.scoring.api.answer import Answer
from esg_pipeline.scoring.errors import ApiUntrusted


class CallOutcome(Enum):
    """What came of a call."""

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


@dataclass(slots=True)
class CallResult:
    """What came of one call.

    Attributes:
        reason: Why there is no good answer, None when there is one.
        message: For the error log; holds nothing of the answer.
        is_outage: Transport error or 5xx: what an outage looks like.
        pause_s: How long the API asks its callers to wait, seconds.
        stop: Why the whole run must stop, if it must.
    """

    outcome: CallOutcome
    reason: Reason | None = None
    http_status: int | None = None
    message: str = ""
    is_outage: bool = False
    pause_s: float | None = None
    stop: ApiUntrusted | None = None
    answer: Answer | None = None


class Api(Protocol):
    """Makes calls; `client.ApiClient` in production."""

    async def ask(
        self, account_id: str, focus: Focus | None, authorization: str, number: int
    ) -> CallResult:
        """Make one call for an account; never raises but for cancellation.

        Args:
            account_id: As it is.
            focus: The focus that the account asks for.
            authorization: Value of the Authorization header.
            number: The pacer's number of this call.
        """

    async def is_alive(self, authorization: str, number: int) -> bool:
        """Ask for nothing: whether anything but an outage answers."""
