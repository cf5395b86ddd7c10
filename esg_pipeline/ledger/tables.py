"""The ledger's tables, the one description of them that the code queries by.

The tables themselves are made by the migrations; a test compares the two. There is no column for
an account's name, and there must never be one. Account ids are kept as their UTF-8 bytes: every
database then sorts them by code point, and any text is possible, NUL included.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

MAX_ACCOUNT_ID_BYTES = 2600
"""Longest account id, in UTF-8: what an index entry of PostgreSQL takes (2,704 bytes)."""


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime; SQLite, which knows no time zones, keeps it as UTC text."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        aware: datetime = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC)


metadata = MetaData()

leases = Table(
    "esg_leases",
    metadata,
    Column("day", Date, primary_key=True),
    Column("token", BigInteger, nullable=False),  # grows by one with each acquisition
    Column("run_id", Text),  # NULL: nobody holds the date
    Column("host", Text),
    Column("machine", Text),
    Column("pid", BigInteger),
    Column("process_started", Text),
    Column("acquired_at", Float),  # database clock, seconds since 1970
    Column("heartbeat_at", Float),
    Column("calls_per_s", Float),  # its share of the rate limit; NULL: it makes no calls
)

editions = Table(
    "esg_editions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("day", Date, nullable=False),
    Column("number", Integer, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("root_run_id", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("asked_by", Text),
    Column("reason", Text),
    Column("label", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("held_because", Text),
    Column("opened_at", UtcTime, nullable=False),
    Column("deadline_at", UtcTime),
    Column("delivered_at", UtcTime),
    Column("accounts_count", Integer),
    Column("accounts_sha256", Text),
    Column("successful", Integer),
    Column("partial", Integer),
    Column("failed", Integer),
    Column("previous", Integer),
    Column("code_version", Text, nullable=False),
    Column("manifest", Text),  # JSON, as delivered
    Column("metrics", Text, nullable=False),  # JSON object of numbers, for the history
    UniqueConstraint("day", "number"),
)

results = Table(
    "esg_results",
    metadata,
    Column("edition_id", ForeignKey(editions.c.id, ondelete="CASCADE"), nullable=False),
    Column("account_id", LargeBinary, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text),
    Column("overall", SmallInteger),  # hundredths of a point, as in Rating
    Column("environmental", SmallInteger),
    Column("social", SmallInteger),
    Column("governance", SmallInteger),
    Column("focus", Text),
    Column("focus_score", SmallInteger),
    Column("analysis_day", Integer),  # days since 1970-01-01
    Column("http_status", SmallInteger),
    Column("attempts", SmallInteger, nullable=False),
    Column("message", Text, nullable=False),
    Column("finished_at_us", BigInteger, nullable=False),  # microseconds since 1970, UTC
    PrimaryKeyConstraint("edition_id", "account_id"),
    sqlite_with_rowid=False,  # the rows lie in the order they are read in
)

attempts = Table(
    "esg_attempts",
    metadata,
    Column("edition_id", ForeignKey(editions.c.id, ondelete="CASCADE"), nullable=False),
    Column("account_id", LargeBinary, nullable=False),
    Column("spent", SmallInteger, nullable=False),
    Column("reason", Text),  # why the last one failed
    Column("settled_batch", BigInteger, nullable=False),  # outcomes up to this batch are in `spent`
    PrimaryKeyConstraint("edition_id", "account_id"),
    sqlite_with_rowid=False,
)

attempt_batches = Table(
    "esg_attempt_batches",
    metadata,
    Column("edition_id", ForeignKey(editions.c.id, ondelete="CASCADE"), nullable=False),
    Column("batch", BigInteger, nullable=False),
    Column("account_ids", Text, nullable=False),  # JSON list
    PrimaryKeyConstraint("edition_id", "batch"),
)

alerts = Table(
    "esg_alerts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("day", Date, nullable=False),
    Column("condition", Text, nullable=False),
    Column("occurrence", Integer, nullable=False),  # 2 when it came back after it was resolved
    Column("details", Text, nullable=False),  # JSON
    Column("raised_at", UtcTime, nullable=False),
    Column("resolved_at", UtcTime),
    Column("resolved_details", Text),  # JSON
    UniqueConstraint("day", "condition"),
)

alert_messages = Table(
    "esg_alert_messages",
    metadata,
    Column("alert_id", ForeignKey(alerts.c.id, ondelete="CASCADE"), nullable=False),
    Column("occurrence", Integer, nullable=False),
    Column("phase", Text, nullable=False),  # raised | resolved
    Column("channel", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_try_at", UtcTime, nullable=False),
    Column("sent_at", UtcTime),
    Column("last_error", Text),
    PrimaryKeyConstraint("alert_id", "occurrence", "phase", "channel"),
)

audit_entries = Table(
    "esg_audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),  # ISO 8601 UTC; text, because its bytes are hashed
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("day", Date),
    Column("edition", Integer),
    Column("outcome", Text, nullable=False),
    Column("details", Text, nullable=False),  # canonical JSON
    Column("hash", Text, nullable=False),
)

audit_head = Table(
    "esg_audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("seq", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
)

legal_holds = Table(
    "esg_legal_holds",
    metadata,
    Column("day", Date, primary_key=True),
    Column("placed_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("placed_at", UtcTime, nullable=False),
)

probes = Table(
    "esg_probes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("written_at", UtcTime, nullable=False),
)


def storable(text: str) -> str:
    """Text from outside as every database can hold it: no NUL, no half of a surrogate pair."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode(errors="replace").decode().replace("\0", "\ufffd")
