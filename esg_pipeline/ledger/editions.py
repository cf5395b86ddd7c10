"""Editions: each delivery of a date's report, from the run that opens it to the delivered file.

An edition that was not delivered is resumed, never doubled; a delivered one is never changed. No
account's name is kept here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from esg_pipeline.ledger.audit import append_entry
from esg_pipeline.ledger.database import LONG_PATIENCE_S, Database, now
from esg_pipeline.ledger.errors import NoDeliveredEdition
from esg_pipeline.ledger.lease import Lease
from esg_pipeline.ledger.result_rows import copy_results, count_results, delete_results
from esg_pipeline.ledger.tables import attempt_batches, attempts, editions
from esg_pipeline.ratings import ProcessingStatus


class Mode(StrEnum):
    """Which accounts an edition asks the API for."""

    FULL = "full"
    FAILED_ONLY = "failed_only"
    ACCOUNTS = "accounts"


class EditionState(StrEnum):
    """Where an edition is on its way."""

    OPEN = "open"
    HELD = "held"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Edition:
    """One edition of a date's report. Times are UTC.

    Attributes:
        id: The ledger's own key.
        number: 1 for the first of the date.
        run_id, root_run_id: The run that works or worked on it last, and the first of its retries.
        asked_by, reason: The person behind a rerun, and why; None for a scheduled run.
        label: How its run started: "scheduled", "late" or "manual".
        successful, partial, failed: Counts, None until delivered.
        previous: Number of the edition delivered before it, if any.
        manifest: As delivered, None before.
        metrics: Numbers for the history: calls, averages, seconds.
    """

    id: int
    day: date
    number: int
    run_id: str
    root_run_id: str
    mode: Mode
    asked_by: str | None
    reason: str | None
    label: str
    state: EditionState
    held_because: str | None
    opened_at: datetime
    deadline_at: datetime | None
    delivered_at: datetime | None
    accounts_count: int | None
    accounts_sha256: str | None
    successful: int | None
    partial: int | None
    failed: int | None
    previous: int | None
    code_version: str
    manifest: Mapping[str, Any] | None = field(repr=False)
    metrics: Mapping[str, Any] = field(repr=False)

    @property
    def counts(self) -> dict[str, int] | None:
        """Results for each status; None until delivered."""
        if self.state != EditionState.DELIVERED:
            return None
        counts = (self.successful or 0, self.partial or 0, self.failed or 0)
        return dict(zip(map(str, ProcessingStatus), counts, strict=True))

    @property
    def duration_s(self) -> float | None:
        """From opening to delivery, seconds; None while it is not delivered."""
        if self.delivered_at is None:
            return None
        return (self.delivered_at - self.opened_at).total_seconds()


class Editions:
    """The editions of all dates: `ledger.editions`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(
        self,
        lease: Lease,
        *,
        run_id: str,
        root_run_id: str,
        mode: str,
        asked_by: str | None,
        reason: str | None,
        label: str,
        code_version: str,
        reask: Sequence[str] | None = None,
        deadline_at: datetime | None = None,
        after: int = 0,
    ) -> Edition:
        """Resume the date's undelivered edition, or open the next one.

        A resumed edition keeps its number and mode, and takes run, label, deadline and code
        version from this run. The next edition of a `failed_only` or `accounts` rerun starts with
        the results of the newest delivered one, except those that are asked again: the Failed
        ones, or the ids in `reask`.

        Args:
            after: A new edition gets a higher number than this, and than all that the ledger knows.

        Raises:
            NoDeliveredEdition: `failed_only` or `accounts`, and nothing to start from.
            LeaseLost, LedgerUnavailable.
        """
        asked_mode = Mode(mode)
        run = {
            "run_id": run_id,
            "root_run_id": root_run_id,
            "label": label,
            "code_version": code_version,
            "deadline_at": deadline_at,
        }
        with lease.writing(patience_s=LONG_PATIENCE_S) as connection:
            newest = _first(connection, _newest_first(lease.day))
            if newest is not None and newest.state != EditionState.DELIVERED:
                return _resume(connection, newest, run, asked_by, reason)
            if newest is None and asked_mode is not Mode.FULL:
                raise NoDeliveredEdition(
                    f"{lease.day}: nothing is delivered yet, so there is nothing to correct. Run "
                    "the whole date first."
                )
            edition_id: int = connection.execute(
                insert(editions)
                .values(
                    **run,
                    day=lease.day,
                    number=max(after, 0 if newest is None else newest.number) + 1,
                    mode=asked_mode,
                    asked_by=asked_by,
                    reason=reason,
                    state=EditionState.OPEN,
                    opened_at=now(connection),
                    previous=None if newest is None else newest.number,
                    metrics="{}",
                )
                .returning(editions.c.id)
            ).scalar_one()
            if newest is not None and asked_mode is not Mode.FULL:
                failed_too = asked_mode is Mode.ACCOUNTS
                copy_results(connection, newest.id, edition_id, failed_too=failed_too)
                delete_results(connection, edition_id, reask or ())
            opened = _first(connection, select(editions).where(editions.c.id == edition_id))
            assert opened is not None  # noqa: S101 - the row was inserted above
            _audit(connection, opened, "open_edition", "opened", {"mode": opened.mode})
            return opened

    def set_accounts(self, lease: Lease, edition: Edition, *, count: int, sha256: str) -> None:
        """Note the account list that the edition rates."""
        with lease.writing() as connection:
            _change(connection, edition, accounts_count=count, accounts_sha256=sha256)

    def set_metrics(self, lease: Lease, edition: Edition, metrics: Mapping[str, Any]) -> None:
        """Add numbers for the history (JSON values); a name that is there is replaced."""
        with lease.writing() as connection:
            known = json.loads(
                connection.scalar(select(editions.c.metrics).where(editions.c.id == edition.id))
                or "{}"
            )
            _change(connection, edition, metrics=json.dumps(known | dict(metrics)))

    def mark_held(self, lease: Lease, edition: Edition, why: str) -> None:
        """Note that the edition waits for a person. The next run of the date resumes it."""
        with lease.writing() as connection:
            _change(connection, edition, state=EditionState.HELD, held_because=why)
            _audit(connection, edition, "hold_edition", "held", {"why": why})

    def mark_delivered(self, lease: Lease, edition: Edition, *, manifest: dict[str, Any]) -> None:
        """Note the delivery: counts from the results, the manifest, and the end of all attempts."""
        with lease.writing(patience_s=LONG_PATIENCE_S) as connection:
            if edition_state(connection, edition) == EditionState.DELIVERED:
                return  # an earlier answer of the ledger was lost
            counts = count_results(connection, edition.id)
            _change(
                connection,
                edition,
                state=EditionState.DELIVERED,
                held_because=None,
                delivered_at=now(connection),
                manifest=json.dumps(manifest),
                successful=counts[ProcessingStatus.SUCCESSFUL],
                partial=counts[ProcessingStatus.PARTIAL],
                failed=counts[ProcessingStatus.FAILED],
            )
            for table in (attempts, attempt_batches):
                connection.execute(delete(table).where(table.c.edition_id == edition.id))
            details = {status.value: count for status, count in counts.items()}
            _audit(connection, edition, "deliver", "delivered", details)

    def find(self, day: date, number: int) -> Edition | None:
        """One edition."""
        return _read_first(self._database, _newest_first(day).where(editions.c.number == number))

    def of_day(self, day: date) -> list[Edition]:
        """All editions of a date, the first one first."""
        return _read(
            self._database,
            select(editions).where(editions.c.day == day).order_by(editions.c.number),
        )

    def newest_delivered(self, day: date) -> Edition | None:
        """What readers have for the date, if anything."""
        return _read_first(self._database, _newest_first(day).where(_delivered()))

    def previous_account_count(self, day: date) -> tuple[date, int] | None:
        """The last date before `day` that has a delivered edition, and its number of accounts.

        Without one, `day` itself if it has.
        """
        query = (
            select(editions)
            .where(editions.c.day <= day, _delivered(), editions.c.accounts_count.is_not(None))
            .order_by(editions.c.day == day, editions.c.day.desc(), editions.c.number.desc())
        )
        found = _read_first(self._database, query)
        if found is None or found.accounts_count is None:
            return None
        return found.day, found.accounts_count

    def recent_days(self, n: int) -> list[Edition]:
        """The newest edition of each of the last `n` dates that have one, newest date first."""
        return _read(self._database, _newest_per_day(n))

    def daily_history(self, n_days: int, *, before: date | None = None) -> list[Edition]:
        """The newest delivered edition of each of the last `n_days` delivered dates, newest first.

        Counts, `duration_s` and `metrics` are what pages and trends are made from.

        Args:
            before: Only dates before this one.
        """
        conditions = [_delivered()] if before is None else [_delivered(), editions.c.day < before]
        return _read(self._database, _newest_per_day(n_days, *conditions))


def edition_state(connection: Connection, edition: Edition) -> str | None:
    """The state as it is now, which may be newer than `edition`."""
    state: str | None = connection.scalar(
        select(editions.c.state).where(editions.c.id == edition.id)
    )
    return state


def _resume(
    connection: Connection,
    found: Edition,
    run: Mapping[str, Any],
    asked_by: str | None,
    reason: str | None,
) -> Edition:
    _change(
        connection,
        found,
        **run,
        state=EditionState.OPEN,
        held_because=None,
        # Name and reason belong together: the reason of one person is never put to another's name.
        asked_by=asked_by if reason else found.asked_by or asked_by,
        reason=reason or found.reason,
    )
    resumed = _first(connection, select(editions).where(editions.c.id == found.id))
    assert resumed is not None  # noqa: S101 - it is locked by the lease
    if found.run_id != resumed.run_id:
        details = {"asked_by": asked_by, "reason": reason, "state_before": found.state}
        _audit(connection, resumed, "resume_edition", "resumed", details)
    return resumed


def _audit(
    connection: Connection,
    edition: Edition,
    action: str,
    outcome: str,
    details: Mapping[str, Any],
) -> None:
    append_entry(
        connection,
        who=edition.asked_by or f"{edition.label} run",
        action=action,
        day=edition.day,
        edition=edition.number,
        outcome=outcome,
        details={"reason": edition.reason, **details, "run_id": edition.run_id},
    )


def _read(database: Database, query: Select[Any]) -> list[Edition]:
    with database.read() as connection:
        return [_edition(row) for row in connection.execute(query)]


def _read_first(database: Database, query: Select[Any]) -> Edition | None:
    with database.read() as connection:
        return _first(connection, query)


def _change(connection: Connection, edition: Edition, **values: Any) -> None:
    connection.execute(update(editions).where(editions.c.id == edition.id).values(**values))


def _delivered() -> Any:
    return editions.c.state == EditionState.DELIVERED


def _newest_first(day: date) -> Select[Any]:
    return select(editions).where(editions.c.day == day).order_by(editions.c.number.desc())


def _newest_per_day(n: int, *conditions: Any) -> Select[Any]:
    newest = (
        select(editions.c.day, func.max(editions.c.number).label("number"))
        .where(*conditions)
        .group_by(editions.c.day)
        .order_by(editions.c.day.desc())
        .limit(n)
        .subquery()
    )
    return (
        select(editions)
        .join(newest, (editions.c.day == newest.c.day) & (editions.c.number == newest.c.number))
        .order_by(editions.c.day.desc())
    )


def _first(connection: Connection, query: Select[Any]) -> Edition | None:
    row = connection.execute(query.limit(1)).first()
    return None if row is None else _edition(row)


def _edition(row: Row[Any]) -> Edition:
    values = dict(row._mapping)
    manifest = values.pop("manifest")
    return Edition(
        **values
        | {
            "mode": Mode(row.mode),
            "state": EditionState(row.state),
            "manifest": None if manifest is None else json.loads(manifest),
            "metrics": json.loads(row.metrics),
        }
    )
