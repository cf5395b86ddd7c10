"""The alert outbox: what must reach a person, written with its fact, sent after, until it is sent.

One incident for each date and condition. Who sends, and how, is not known here; a message names
its channel only. Details hold no account names.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Row, and_, or_, select, update

from esg_pipeline.ledger.database import Database, insert_into, now
from esg_pipeline.ledger.tables import alert_messages, alerts, storable

CLAIM = timedelta(minutes=2)
"""A sender that takes a message and dies leaves it to others after so long."""
NEWS = timedelta(days=7)
"""Nothing older is sent: a channel that is added later must not tell old news."""

Phase = Literal["raised", "resolved"]
Routing = Callable[[str], Sequence[str]]
"""The names of the channels that hear a condition."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One condition of one date; times are UTC.

    Attributes:
        occurrence: 2 when the condition came back after it was resolved, and so on.
        resolved_at: None while it lasts.
    """

    day: date
    condition: str
    occurrence: int
    details: Mapping[str, Any]
    raised_at: datetime
    resolved_at: datetime | None
    resolved_details: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """One message for one channel.

    Attributes:
        phase: What it says: the condition came up, or it was cured.
        details: Of the phase.
        attempts: Sendings that failed.
    """

    alert_id: int
    day: date
    condition: str
    occurrence: int
    phase: Phase
    channel: str
    details: Mapping[str, Any]
    attempts: int


class Outbox:
    """The alerts and their messages: `ledger.outbox`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def raise_alert(self, day: date, condition: str, details: Mapping[str, Any]) -> bool:
        """Note that a condition is met; True if it is new, or came back after it was resolved.

        Inside `Ledger.transaction` or a lease's fence it is written together with its fact.
        """
        values = {
            "day": day,
            "condition": condition,
            "details": json.dumps(details),
            "occurrence": 1,
        }
        with self._database.write() as connection:
            raised_at = now(connection)
            new = connection.scalar(
                insert_into(connection, alerts)
                .values(**values, raised_at=raised_at)
                .on_conflict_do_nothing()
                .returning(alerts.c.id)
            )
            if new is not None:
                return True
            came_back = connection.execute(
                update(alerts)
                .where(_of(day, condition), alerts.c.resolved_at.is_not(None))
                .values(
                    details=values["details"],
                    occurrence=alerts.c.occurrence + 1,
                    raised_at=raised_at,
                    resolved_at=None,
                    resolved_details=None,
                )
            )
            return came_back.rowcount == 1

    def resolve_alert(self, day: date, condition: str, details: Mapping[str, Any]) -> bool:
        """Note that a condition is cured; True if it was there."""
        with self._database.write() as connection:
            resolved = connection.execute(
                update(alerts)
                .where(_of(day, condition), alerts.c.resolved_at.is_(None))
                .values(resolved_at=now(connection), resolved_details=json.dumps(details))
            )
            return resolved.rowcount == 1

    def alerts(self, day: date) -> list[Alert]:
        """All alerts of a date, the first raised first."""
        return _read(self._database, alerts.c.day == day)

    def open_alerts(self) -> list[Alert]:
        """Everything that is not resolved, the first raised first."""
        return _read(self._database, alerts.c.resolved_at.is_(None))

    def take_due(self, at: datetime, routing: Routing) -> list[AlertMessage]:
        """Take the messages that are to be sent now; no other sender gets them for two minutes.

        A channel hears that a condition is cured only after it has heard of the condition.

        Args:
            at: Now, aware; the same clock as in `mark_sent` and `mark_failed`.
        """
        with self._database.write() as connection:
            due = list(_due(connection, at, routing))
            for message in due:
                row = {**_key(message), "attempts": 0, "next_try_at": at + CLAIM}
                connection.execute(
                    insert_into(connection, alert_messages)
                    .values(row)
                    .on_conflict_do_update(
                        index_elements=alert_messages.primary_key,
                        set_={"next_try_at": row["next_try_at"]},
                    )
                )
            return due

    def count_unsent(self, routing: Routing) -> int:
        """How many messages wait, due or not: the depth of the outbox."""
        end_of_time = datetime.max.replace(tzinfo=UTC)
        with self._database.read() as connection:
            return sum(1 for _ in _due(connection, end_of_time, routing))

    def mark_sent(self, message: AlertMessage, at: datetime) -> None:
        """Note that a message has reached its channel."""
        with self._database.write() as connection:
            connection.execute(_update(message).values(sent_at=at, last_error=None))

    def mark_failed(self, message: AlertMessage, error: str, next_try_at: datetime) -> None:
        """Note that a message did not reach its channel, and when to try again.

        Args:
            error: One line for people, without secrets.
        """
        with self._database.write() as connection:
            connection.execute(
                _update(message).values(
                    attempts=alert_messages.c.attempts + 1,
                    last_error=storable(error),
                    next_try_at=next_try_at,
                )
            )


def _due(connection: Connection, at: datetime, routing: Routing) -> Iterator[AlertMessage]:
    """The messages whose time has come, alert by alert."""
    since = now(connection) - NEWS
    rows = connection.execute(
        select(alerts)
        .where(or_(alerts.c.raised_at > since, alerts.c.resolved_at > since))
        .order_by(alerts.c.id)
        .with_for_update()
    ).all()
    ids = [row.id for row in rows]
    known = {
        (each.alert_id, each.occurrence, each.phase, each.channel): each
        for each in connection.execute(
            select(alert_messages).where(alert_messages.c.alert_id.in_(ids))
        )
    }
    for row in rows:
        for channel in routing(row.condition):
            phase: Phase = "raised"
            state = known.get((row.id, row.occurrence, phase, channel))
            if state is not None and state.sent_at is not None:
                if row.resolved_at is None:
                    continue
                phase = "resolved"
                state = known.get((row.id, row.occurrence, phase, channel))
            if state is None or (state.sent_at is None and state.next_try_at <= at):
                yield _message(row, phase, channel, 0 if state is None else state.attempts)


def _read(database: Database, condition: Any) -> list[Alert]:
    query = select(alerts).where(condition).order_by(alerts.c.raised_at, alerts.c.id)
    with database.read() as connection:
        return [_alert(row) for row in connection.execute(query)]


def _of(day: date, condition: str) -> Any:
    return and_(alerts.c.day == day, alerts.c.condition == condition)


def _key(message: AlertMessage) -> dict[str, Any]:
    return {
        "alert_id": message.alert_id,
        "occurrence": message.occurrence,
        "phase": message.phase,
        "channel": message.channel,
    }


def _update(message: AlertMessage) -> Any:
    key = _key(message)
    return update(alert_messages).where(*(alert_messages.c[name] == key[name] for name in key))


def _message(row: Row[Any], phase: Phase, channel: str, attempts: int) -> AlertMessage:
    details = row.details if phase == "raised" else row.resolved_details
    return AlertMessage(
        alert_id=row.id,
        day=row.day,
        condition=row.condition,
        occurrence=row.occurrence,
        phase=phase,
        channel=channel,
        details=json.loads(details),
        attempts=attempts,
    )


def _alert(row: Row[Any]) -> Alert:
    return Alert(
        day=row.day,
        condition=row.condition,
        occurrence=row.occurrence,
        details=json.loads(row.details),
        raised_at=row.raised_at,
        resolved_at=row.resolved_at,
        resolved_details=None if row.resolved_details is None else json.loads(row.resolved_details),
    )
