"""What every channel is, and how a failing one says so in one line."""

import ipaddress
import ssl
from typing import Protocol

from esg_pipeline.alerts.conditions import Audience
from esg_pipeline.alerts.facts import one_line
from esg_pipeline.alerts.message_layout import Message
from esg_pipeline.safe_text import mask

STEP_TIMEOUT_S = 10.0
"""How long one step (connect, one answer) of any channel may take."""


class ChannelError(Exception):
    """The channel did not take the message. One line: where, what, what to do; no secret."""

    def __init__(self, message: str) -> None:
        super().__init__(mask(message))


class Channel(Protocol):
    """One way to people.

    `send` and `check` may hang for long against a hostile server: call them from a thread that
    may be left behind.
    """

    @property
    def name(self) -> str:
        """Stable and without secrets: the outbox remembers by it what was sent."""

    @property
    def audiences(self) -> frozenset[Audience]:
        """Whom it reaches."""

    @property
    def tells_cures(self) -> bool:
        """Whether it is told that a condition is over; mail is not, it has `recovered`."""

    def send(self, message: Message) -> None:
        """Hand the message over, in one attempt.

        Raises:
            ChannelError: it was not taken, or nobody knows.
        """

    def check(self) -> str:
        """Go as far as possible without sending anything; return one line for `doctor`.

        Raises:
            ChannelError: as `send`.
        """


def concerns(channel: Channel, message: Message) -> bool:
    """Whether this message is for this channel."""
    if message.phase == "resolved" and not channel.tells_cures:
        return False
    return bool(channel.audiences & message.audiences)


def is_loopback(host: str) -> bool:
    """Whether traffic to the host stays on this machine, judged by its name alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def why(error: BaseException) -> str:
    """The reason of a network error, without what the library adds (URLs, objects)."""
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({cause.verify_message}); see SSL_CERT_FILE"
    if isinstance(cause, TimeoutError):
        return f"no answer in {STEP_TIMEOUT_S:.0f} s"
    if isinstance(cause, OSError) and cause.strerror:
        return one_line(cause.strerror)
    return f"the connection broke ({type(cause).__name__})"
