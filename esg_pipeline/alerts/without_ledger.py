"""Channels without the outbox: their test, their check for `doctor`, and the alert of last resort.

Each channel is tried once, in a thread of its own; what fails here is only reported.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

from esg_pipeline import clock
from esg_pipeline.alerts.bounded import run_bounded
from esg_pipeline.alerts.channels import (
    Channel,
    ChannelError,
    concerns,
    missing_settings,
    open_channels,
)
from esg_pipeline.alerts.conditions import TEST, Condition
from esg_pipeline.alerts.facts import AlertFacts
from esg_pipeline.alerts.message_layout import compose
from esg_pipeline.alerts.sender import SEND_TIMEOUT_S
from esg_pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class ChannelResult:
    """How one channel fared.

    Attributes:
        channel: Its name, or "settings" for one that is not there.
        text: One line for a person, without secrets.
    """

    channel: str
    is_fine: bool
    text: str


def test_channels(
    settings: Settings, now: datetime, *, timeout_s: float = SEND_TIMEOUT_S
) -> list[ChannelResult]:
    """Send one test through each channel; what it opens is resolved at once."""
    compose_test = partial(
        compose,
        clock.business_date(now),
        TEST,
        AlertFacts(since=now),
        occurrence=int(now.timestamp()),  # a second test of the day is no repetition
    )

    def test(channel: Channel) -> str:
        channel.send(compose_test())
        if not channel.tells_cures:
            return "sent"
        channel.send(compose_test(phase="resolved"))
        return "sent and resolved"

    return _with_each(settings, open_channels(settings), test, timeout_s)


test_channels.__test__ = False  # type: ignore[attr-defined]  # no test of pytest's


def check_channels(settings: Settings, *, timeout_s: float = SEND_TIMEOUT_S) -> list[ChannelResult]:
    """Connect and log in as far as each channel allows, without sending anything."""
    return _with_each(settings, open_channels(settings), lambda each: each.check(), timeout_s)


def send_without_ledger(
    settings: Settings,
    day: date,
    condition: Condition,
    facts: AlertFacts,
    *,
    dagster_url: str | None = None,
    timeout_s: float = SEND_TIMEOUT_S,
) -> list[ChannelResult]:
    """Send an alert at once, once, because the ledger that should remember it is away.

    PagerDuty drops a repeated one by its key, mail shows it by its Message-ID.
    """
    message = compose(day, condition, facts, dagster_url=dagster_url)

    def send(channel: Channel) -> str:
        channel.send(message)
        return "sent"

    channels = [each for each in open_channels(settings) if concerns(each, message)]
    return _with_each(settings, channels, send, timeout_s)


def _with_each(
    settings: Settings, channels: list[Channel], use: Callable[[Channel], str], timeout_s: float
) -> list[ChannelResult]:
    def result(channel: Channel) -> ChannelResult:
        try:
            return ChannelResult(channel.name, True, use(channel))
        except ChannelError as error:
            return ChannelResult(channel.name, False, str(error))
        except Exception as error:  # a library's own
            return ChannelResult(channel.name, False, type(error).__name__)

    results = run_bounded(
        {channel.name: partial(result, channel) for channel in channels}, timeout_s=timeout_s
    )
    hanging = f"no answer in {timeout_s:.0f} s"
    return [
        *(results.get(each.name, ChannelResult(each.name, False, hanging)) for each in channels),
        *(ChannelResult("settings", False, line) for line in missing_settings(settings)),
    ]
