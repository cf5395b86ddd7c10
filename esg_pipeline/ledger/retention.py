"""How long history is kept: old dates are purged, a legal hold stops that. The audit trail stays.

Nothing is deleted anywhere else in the ledger, and nothing here without an entry in the trail.
"""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, delete, func, select, union

from esg_pipeline.ledger.audit import append_entry, lock_trail
from esg_pipeline.ledger.database import LONG_PATIENCE_S, Database, insert_into, now
from esg_pipeline.ledger.lease import read_holder
from esg_pipeline.ledger.tables import alerts, editions, legal_holds, results


@dataclass(frozen=True, slots=True)
class LegalHold:
    """A date that must not be purged."""

    day: date
    placed_by: str
    reason: str
    placed_at: datetime


@dataclass(frozen=True, slots=True)
class PurgeReport:
    """What a purge did, or would do.

    Attributes:
        purged: Dates, oldest first.
        held: Old dates that a legal hold keeps.
        in_use: Old dates that a run works on now.
        editions, results: Rows of `purged`.
    """

    purged: tuple[date, ...]
    held: tuple[date, ...]
    in_use: tuple[date, ...]
    editions: int
    results: int


class Retention:
    """What is purged and what a legal hold keeps: `ledger.retention`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def place_hold(self, day: date, who: str, reason: str) -> bool:
        """Keep a date from being purged, whether it has anything yet or not; True if it is new.

        Raises:
            ValueError: no name or no reason.
        """
        _check_person(who, reason)
        with self._database.write() as connection:
            lock_trail(connection)
            placed = connection.scalar(
                insert_into(connection, legal_holds)
                .values(day=day, placed_by=who, reason=reason, placed_at=now(connection))
                .on_conflict_do_nothing()
                .returning(legal_holds.c.day)
            )
            if placed is not None:
                append_entry(
                    connection,
                    who=who,
                    action="place_hold",
                    outcome="held",
                    day=day,
                    details={"reason": reason},
                )
            return placed is not None

    def release_hold(self, day: date, who: str, reason: str) -> bool:
        """Let a date be purged again; True if it was held.

        Raises:
            ValueError: no name or no reason.
        """
        _check_person(who, reason)
        with self._database.write() as connection:
            released = connection.execute(delete(legal_holds).where(legal_holds.c.day == day))
            if released.rowcount == 1:
                append_entry(
                    connection,
                    who=who,
                    action="release_hold",
                    outcome="released",
                    day=day,
                    details={"reason": reason},
                )
            return released.rowcount == 1

    def held_days(self) -> dict[date, LegalHold]:
        """The legal holds, by date."""
        with self._database.read() as connection:
            rows = connection.execute(select(legal_holds).order_by(legal_holds.c.day))
            return {row.day: LegalHold(**row._mapping) for row in rows}

    def purge_before(self, day: date, *, who: str, dry_run: bool) -> PurgeReport:
        """Delete results, editions and alerts of dates before `day`, one transaction for each.

        The audit trail stays, and so does the fencing token of each date. Dates that are held are
        kept, and dates that a run works on.

        Args:
            day: The first date that stays.
        """
        purged: list[date] = []
        held: list[date] = []
        in_use: list[date] = []
        editions_count = results_count = 0
        for old in _days_before(self._database, day):
            with self._database.write(patience_s=LONG_PATIENCE_S) as connection:
                lock_trail(connection)  # no hold is placed between the look and the deletion
                if _is_held(connection, old):
                    held.append(old)
                    continue
                holder = read_holder(connection, old)
                if holder is not None and not holder.may_be_replaced:
                    in_use.append(old)
                    continue
                counts = _count(connection, old)
                if not dry_run:
                    for table in (editions, alerts):  # what belongs to them goes with them
                        connection.execute(delete(table).where(table.c.day == old))
                    append_entry(
                        connection,
                        who=who,
                        action="purge",
                        outcome="purged",
                        day=old,
                        details=counts,
                    )
            purged.append(old)
            editions_count += counts["editions"]
            results_count += counts["results"]
        return PurgeReport(tuple(purged), tuple(held), tuple(in_use), editions_count, results_count)


def _days_before(database: Database, day: date) -> list[date]:
    days = union(*(select(t.c.day).where(t.c.day < day) for t in (editions, alerts)))
    with database.read() as connection:
        return sorted(connection.scalars(days))


def _check_person(who: str, reason: str) -> None:
    if not who.strip() or not reason.strip():
        raise ValueError("a legal hold needs the name of a person and a reason")


def _is_held(connection: Connection, day: date) -> bool:
    query = select(legal_holds.c.day).where(legal_holds.c.day == day)
    return connection.scalar(query) is not None


def _count(connection: Connection, day: date) -> dict[str, int]:
    of_day = select(editions.c.id).where(editions.c.day == day)
    count = {
        "editions": select(func.count()).select_from(of_day.subquery()),
        "results": select(func.count()).where(results.c.edition_id.in_(of_day)),
    }
    return {name: connection.scalar(query) or 0 for name, query in count.items()}
