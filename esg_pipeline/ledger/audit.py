"""The audit trail: who did what, when, with which outcome; only ever appended to.

Each entry's hash covers the entry and the hash before it, so a changed, removed or inserted entry
shows. The head row serialises writers, and makes a cut-off end show too. Nothing here updates or
deletes an entry, and `grants.sql` keeps the application's database role from doing it.
"""

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, astuple, dataclass, fields, replace
from datetime import date
from typing import Any, Literal, TextIO

from sqlalchemy import Connection, Row, insert, select, update

from esg_pipeline.ledger.database import LONG_PATIENCE_S, Database, now
from esg_pipeline.ledger.tables import audit_entries, audit_head, storable
from esg_pipeline.safe_text import guarded

HASH_BEFORE_FIRST = "0" * 64
_PAGE = 2_000


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry.

    Attributes:
        seq: 1, 2, 3 … without gaps.
        at: ISO 8601, UTC, on the database's clock.
        who: A person, or the part of the system that acted by itself.
        day, edition: What it was about, ISO date and number, if anything.
        details: JSON object, as text: the bytes that were hashed.
        hash: SHA-256, hex, of the hash before and of this entry's other fields as canonical JSON.
    """

    seq: int
    at: str
    who: str
    action: str
    day: str | None
    edition: int | None
    outcome: str
    details: str
    hash: str


class AuditTrail:
    """The audit trail: `ledger.audit`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(
        self,
        who: str,
        action: str,
        *,
        outcome: str,
        day: date | None = None,
        edition: int | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> int:
        """Append an entry; return its number.

        Args:
            details: JSON values; no account names, no secrets.

        Raises:
            LedgerUnavailable: see `Database.write`. Repeated then, the act may be there twice.
        """
        with self._database.write() as connection:
            return append_entry(
                connection,
                who=who,
                action=action,
                outcome=outcome,
                day=day,
                edition=edition,
                details=details or {},
            )

    def head(self) -> tuple[int, str]:
        """Number and hash of the last entry; (0, zeros) when there is none.

        Kept elsewhere, in a signed manifest say, it proves later that nothing up to it changed.
        """
        with self._database.read() as connection:
            head = connection.execute(select(audit_head.c.seq, audit_head.c.hash)).one()
        return head.seq, head.hash

    def entries(self) -> Iterator[AuditEntry]:
        """All entries in order, read page by page, as they are."""
        last = -1
        while True:
            query = (
                select(audit_entries)
                .where(audit_entries.c.seq > last)
                .order_by(audit_entries.c.seq)
                .limit(_PAGE)
            )
            with self._database.read(patience_s=LONG_PATIENCE_S) as connection:
                rows = connection.execute(query).all()
            for row in rows:
                day = None if row.day is None else row.day.isoformat()
                yield AuditEntry(**dict(row._mapping) | {"day": day})
            if len(rows) < _PAGE:
                return
            last = rows[-1].seq

    def first_broken(self) -> int | None:
        """The number of the first entry that was changed or removed; None: the trail is whole."""
        head_seq, head_hash = self.head()
        seq, previous = 0, HASH_BEFORE_FIRST
        for entry in self.entries():
            seq += 1
            if entry.seq != seq or entry.hash != _hash(previous, entry):
                return seq
            if seq == head_seq and entry.hash != head_hash:
                return seq
            previous = entry.hash
        return seq + 1 if seq < head_seq else None

    def export(self, out: TextIO, kind: Literal["csv", "json"]) -> int:
        """Write all entries for an examiner; return how many.

        JSON (one object a line) is exact, so that the hashes can be computed again. In CSV a text
        that a spreadsheet would run as a formula gets a leading `'`.
        """
        count = 0
        table = csv.writer(out)
        if kind == "csv":
            table.writerow(field.name for field in fields(AuditEntry))
        for entry in self.entries():
            if kind == "csv":
                table.writerow(map(_guarded, astuple(entry)))
            else:
                out.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")
            count += 1
        return count


def lock_trail(connection: Connection) -> Row[Any]:
    """Wait for other writers of the trail, and keep them out until the transaction ends."""
    return connection.execute(select(audit_head).with_for_update()).one()


def append_entry(
    connection: Connection,
    *,
    who: str,
    action: str,
    outcome: str,
    day: date | None = None,
    edition: int | None = None,
    details: Mapping[str, Any],
) -> int:
    """Append an entry in the caller's transaction, so that it stands or falls with its fact."""
    head = lock_trail(connection)
    entry = AuditEntry(
        seq=head.seq + 1,
        at=now(connection).isoformat(timespec="microseconds"),
        who=storable(who),
        action=action,
        day=None if day is None else day.isoformat(),
        edition=edition,
        outcome=storable(outcome),
        details=_canonical(details),
        hash="",
    )
    entry = replace(entry, hash=_hash(head.hash, entry))
    connection.execute(insert(audit_entries).values(asdict(entry) | {"day": day}))
    connection.execute(update(audit_head).values(seq=entry.seq, hash=entry.hash))
    return entry.seq


def _hash(previous: str, entry: AuditEntry) -> str:
    content = {name: value for name, value in asdict(entry).items() if name != "hash"}
    return hashlib.sha256((previous + _canonical(content)).encode()).hexdigest()


def _canonical(value: Mapping[str, Any]) -> str:
    """JSON in exactly one spelling, ASCII only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _guarded(value: Any) -> Any:
    return guarded(value) if isinstance(value, str) else value
