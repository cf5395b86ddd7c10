"""The sender: takes from the outbox what is due and hands it to the channels.

Each channel works in a thread of its own, so that a dead or hanging one delays neither the others
nor the run. What a channel did not take stays in the outbox and is tried again, at growing
intervals, by whoever sends next: the run, a sensor, the watchdog.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from pydantic import ValidationError

from esg_pipeline.alerts.bounded import run_bounded
from esg_pipeline.alerts.channels import Channel, ChannelError, concerns, open_channels
from esg_pipeline.alerts.conditions import RULES
from esg_pipeline.alerts.facts import AlertFacts
from esg_pipeline.alerts.message_layout import Message, compose
from esg_pipeline.ledger import AlertMessage, Ledger, LedgerUnavailable
from esg_pipeline.settings import Settings

SEND_TIMEOUT_S = 20.0
"""How long a channel may take for its messages of a round; no message is begun later."""
FIRST_RETRY, LAST_RETRY = timedelta(seconds=10), timedelta(minutes=10)
NOTE_PAUSES_S = (0.5, 2.0, 5.0)
"""Pauses before the ledger is told again what became of a message."""

log = logging.getLogger(__name__)

_busy: set[tuple[str, str]] = set()
"""Ledger and channel of every thread at work, also of one that was left behind: one is enough."""
_busy_lock = threading.Lock()


@dataclass(slots=True)
class SendReport:
    """What one round did.

    Attributes:
        sent: Channel and condition of each message that was taken.
        failed: Channel and reason of each that was not; it is tried again.
        hanging: Channels that did not come back in time; they go on alone.
        has_channels: False if the settings name no channel; everything stays in the outbox.
    """

    sent: list[tuple[str, str]] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    hanging: list[str] = field(default_factory=list)
    has_channels: bool = True


def send_due(
    ledger: Ledger,
    settings: Settings,
    now: datetime,
    *,
    dagster_url: str | None = None,
    wait_s: float = SEND_TIMEOUT_S,
) -> SendReport:
    """Send everything that is due, each message once by each channel.

    Any number of senders may do so at once: the ledger gives each message to one of them.

    Args:
        now: Aware.
        dagster_url: Address of Dagster's UI, for the link to the run.
        wait_s: How long to wait for the channels; a slower one goes on alone.

    Raises:
        LedgerUnavailable: nothing was sent.
    """
    channels = {channel.name: channel for channel in open_channels(settings)}
    reserved = _reserve(ledger.place, channels)
    waiting: dict[str, list[AlertMessage]] = defaultdict(list)
    try:
        if reserved:
            routing = partial(_names_that_hear, [channels[name] for name in reserved])
            for row in ledger.outbox.take_due(now, routing):
                waiting[row.channel].append(row)
    finally:
        _release(ledger.place, reserved - waiting.keys())
    threads = {
        name: partial(_ChannelRound(ledger, channels[name], now, dagster_url).run, rows)
        for name, rows in waiting.items()
    }
    done = run_bounded(threads, timeout_s=wait_s)
    return SendReport(
        sent=[each for report in done.values() for each in report.sent],
        failed=[each for report in done.values() for each in report.failed],
        hanging=sorted((channels.keys() - reserved) | (threads.keys() - done.keys())),
        has_channels=bool(channels),
    )


def count_unsent(ledger: Ledger, settings: Settings) -> int:
    """How many messages wait in the outbox: its depth, for the metrics."""
    return ledger.outbox.count_unsent(partial(_names_that_hear, open_channels(settings)))


class _ChannelRound:
    """One channel's part of a round, in its thread."""

    def __init__(
        self,
        ledger: Ledger,
        channel: Channel,
        now: datetime,
        dagster_url: str | None,
    ) -> None:
        self._ledger = ledger
        self._channel = channel
        self._now = now
        self._dagster_url = dagster_url
        self._ends_at = time.monotonic() + SEND_TIMEOUT_S

    def run(self, rows: Sequence[AlertMessage]) -> SendReport:
        """Send the messages, one after the other; raises nothing."""
        report = SendReport()
        try:
            for row in rows:
                if time.monotonic() > self._ends_at:
                    break  # the ledger gives it out again
                self._send(row, report)
        except Exception as error:
            log.exception("Alerts by %s stopped.", self._channel.name)
            report.failed.append((self._channel.name, type(error).__name__))
        finally:
            _release(self._ledger.place, {self._channel.name})
        return report

    def _send(self, row: AlertMessage, report: SendReport) -> None:
        try:
            message = self._compose(row)
            is_for_it = concerns(self._channel, message)
            if is_for_it:
                self._channel.send(message)
        except Exception as failure:  # a library's own too: one bad message stops no other
            error = str(failure) if isinstance(failure, ChannelError) else type(failure).__name__
            log.warning("Alert %s of %s is not sent yet: %s", row.condition, row.day, error)
            report.failed.append((self._channel.name, error))
            next_try_at = self._now + _pause(row.attempts)
            self._note(partial(self._ledger.outbox.mark_failed, row, error, next_try_at))
            return
        self._note(partial(self._ledger.outbox.mark_sent, row, self._now))
        if is_for_it:
            report.sent.append((self._channel.name, row.condition))
            log.info("Alert %s of %s (%s) sent: %s", row.condition, row.day, row.phase, row.channel)

    def _compose(self, row: AlertMessage) -> Message:
        try:
            facts = AlertFacts.from_details(row.details)
        except ValidationError:
            facts = AlertFacts(since=self._now, cause="the facts in the ledger cannot be read")
        return compose(
            row.day,
            row.condition,
            facts,
            phase=row.phase,
            occurrence=row.occurrence,
            dagster_url=self._dagster_url,
        )

    def _note(self, write: Callable[[], None]) -> None:
        """Tell the ledger. A message it does not hear of is sent again, with the same identity."""
        for pause_s in NOTE_PAUSES_S:
            try:
                return write()
            except LedgerUnavailable:
                time.sleep(pause_s)
        return write()


def _names_that_hear(channels: Sequence[Channel], condition: str) -> list[str]:
    rule = RULES.get(condition)
    return [channel.name for channel in channels if rule and channel.audiences & rule.audiences]


def _pause(attempts: int) -> timedelta:
    """The pause after a failed sending, when so many had failed before it."""
    return min(FIRST_RETRY * (1 << min(attempts, 10)), LAST_RETRY)


def _reserve(place: str, names: Collection[str]) -> set[str]:
    with _busy_lock:
        free = {name for name in names if (place, name) not in _busy}
        _busy.update((place, name) for name in free)
    return free


def _release(place: str, names: Collection[str]) -> None:
    with _busy_lock:
        _busy.difference_update((place, name) for name in names)
