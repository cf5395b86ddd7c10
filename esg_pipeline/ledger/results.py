"""Results and attempts of an edition: the checkpoint that the scoring engine writes through.

Attempts are written before the calls are made, so that a crash can only make the count too high;
outcomes after. Every write proves the lease, and may be repeated when its answer was lost. There
are no account names here.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, func, select

from esg_pipeline.ledger.database import LONG_PATIENCE_S, Database
from esg_pipeline.ledger.editions import Edition
from esg_pipeline.ledger.lease import Lease
from esg_pipeline.ledger.result_rows import (
    RESULT_COLUMNS,
    arrow_batch,
    count_results,
    delete_results,
    result_row,
    stored_id,
)
from esg_pipeline.ledger.tables import attempt_batches, attempts, results, storable
from esg_pipeline.ratings import RATINGS_SCHEMA, ProcessingStatus, Rating, Reason, failed_rating

MAX_BATCH = 5_000
"""Most accounts in one write-ahead batch: what a crash can cost an attempt without a call."""

_PAGE = 5_000
"""Rows that are Python objects at the same time; more is slower, and costs memory."""


@dataclass(frozen=True, slots=True)
class ResumeState:
    """What a run need not do again.

    Attributes:
        answered: Ids of accounts that have a result.
        failed: How many of these are Failed.
        attempts: Calls spent on accounts that have none; absent means 0. A call that was begun
            and has no known outcome counts as spent.
        cut_off: How many of these, since the last known outcome, have no known one: each time a
            run died while the account was being asked, or was about to be.
    """

    answered: set[str]
    failed: int
    attempts: dict[str, int]
    cut_off: dict[str, int]


class EditionWriter:
    """The checkpoint of one edition, for one writer thread.

    It remembers only what the ledger has confirmed, so a call that raised `LedgerUnavailable` is
    simply made again.
    """

    def __init__(self, database: Database, lease: Lease, edition: Edition) -> None:
        self._database = database
        self._lease = lease
        self._edition_id = edition.id
        self._sql = _Statements(database)
        with lease.writing(patience_s=LONG_PATIENCE_S) as connection:
            self._spent, _ = _spent_attempts(connection, edition)
            self._next_batch = _last_batch(connection, edition) + 1
        self._batch_of: dict[str, int] = {}
        self._open_calls: Counter[int] = Counter()

    def begin_attempts(self, account_ids: Sequence[str]) -> int:
        """Write down that these accounts are about to be called; return the batch's number.

        Args:
            account_ids: 1 to `MAX_BATCH`, none of which waits for its outcome.

        Raises:
            ValueError: none or too many, or an id that the ledger cannot hold.
            LeaseLost, LedgerUnavailable: the calls must not be made.
        """
        if not 0 < len(account_ids) <= MAX_BATCH:
            raise ValueError(f"a batch holds 1 to {MAX_BATCH} accounts, not {len(account_ids)}")
        for account_id in account_ids:
            stored_id(account_id)
        batch = self._next_batch
        row = (self._edition_id, batch, json.dumps(list(account_ids), separators=(",", ":")))
        with self._lease.writing() as connection:
            # Replaces what an earlier call wrote whose confirmation was lost.
            connection.exec_driver_sql(self._sql.begin_batch, row)
        self._next_batch += 1
        self._batch_of.update(dict.fromkeys(account_ids, batch))
        self._open_calls[batch] = len(account_ids)
        return batch

    def record(
        self,
        ratings: Sequence[Rating],
        failed_attempts: Sequence[tuple[str, int, str]] = (),
        refunded: Sequence[str] = (),
    ) -> None:
        """Write down outcomes, in one transaction.

        Args:
            ratings: Final ones. An account that has a result keeps it: the first one wins.
            failed_attempts: Accounts that will be called again: id, attempts spent, reason.
            refunded: Accounts whose call cost no attempt: it was throttled, or never made.

        Raises:
            LeaseLost, LedgerUnavailable: nothing was written, or it is not known; the same call
                can be made again.
        """
        rows = [result_row(self._edition_id, rating) for rating in ratings]
        tries = [self._attempt_row(*each) for each in failed_attempts]
        settled = {
            *(rating.account_id for rating in ratings),
            *(each[0] for each in failed_attempts),
            *refunded,
        }
        ended = Counter(self._batch_of[each] for each in settled if each in self._batch_of)
        closed = {batch for batch, calls in ended.items() if calls == self._open_calls[batch]}
        tries += [  # a batch that goes takes its attempts with it
            self._attempt_row(each, self._spent.get(each, 0), None)
            for each in refunded
            if self._batch_of.get(each) not in closed
        ]
        with self._lease.writing() as connection:
            if rows:
                connection.exec_driver_sql(self._sql.insert_result, rows)
            if tries:
                connection.exec_driver_sql(self._sql.settle_attempt, tries)
            if closed:
                batches = [(self._edition_id, batch) for batch in closed]
                connection.exec_driver_sql(self._sql.close_batch, batches)
        self._spent.update((each[0], each[1]) for each in failed_attempts)
        self._open_calls -= ended  # drops the closed ones
        for each in settled:
            self._batch_of.pop(each, None)

    def _attempt_row(self, account_id: str, spent: int, reason: str | None) -> tuple[Any, ...]:
        batch = self._batch_of.get(account_id, self._next_batch - 1)
        return (self._edition_id, stored_id(account_id), spent, reason and storable(reason), batch)


class Results:
    """The results and attempts of editions: `ledger.results`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def writer(self, lease: Lease, edition: Edition) -> EditionWriter:
        """The checkpoint for a scoring run; one at a time for an edition."""
        return EditionWriter(self._database, lease, edition)

    def resume_state(self, edition: Edition) -> ResumeState:
        """What was answered, and which attempts are spent."""
        with self._database.read(patience_s=LONG_PATIENCE_S) as connection:
            spent, cut_off = _spent_attempts(connection, edition)
            ids = connection.scalars(
                select(results.c.account_id).where(results.c.edition_id == edition.id)
            )
            answered = {account_id.decode() for account_id in ids}
            failed = count_results(connection, edition.id)[ProcessingStatus.FAILED]
        waiting = {each: n for each, n in spent.items() if n and each not in answered}
        cut_off = {each: n for each, n in cut_off.items() if each in waiting}
        return ResumeState(answered, failed, waiting, cut_off)

    def fail_unanswered(
        self,
        lease: Lease,
        edition: Edition,
        account_ids: Sequence[str],
        *,
        reason: Reason,
        message: str,
        now: datetime,
    ) -> int:
        """Give each of these accounts that has no result a Failed one; return how many.

        Args:
            now: Aware; the time of these results.
        """
        sql = _Statements(self._database)
        state = self.resume_state(edition)
        missing = [each for each in account_ids if each not in state.answered]
        failed = 0
        for start in range(0, len(missing), _PAGE):
            rows = [
                result_row(
                    edition.id,
                    failed_rating(each, reason, None, state.attempts.get(each, 0), message, now),
                )
                for each in missing[start : start + _PAGE]
            ]
            with lease.writing(patience_s=LONG_PATIENCE_S) as connection:
                failed += connection.exec_driver_sql(sql.insert_result, rows).rowcount
        return failed

    def forget_other_accounts(
        self, lease: Lease, edition: Edition, account_ids: Sequence[str]
    ) -> int:
        """Delete results of accounts that are not (or no longer) in the list; return how many."""
        listed = set(account_ids)
        others = [each for each in self.resume_state(edition).answered if each not in listed]
        if others:
            with lease.writing(patience_s=LONG_PATIENCE_S) as connection:
                delete_results(connection, edition.id, others)
        return len(others)

    def ratings(self, edition: Edition) -> pa.Table:
        """All results, RATINGS_SCHEMA, sorted by account id (code point order)."""
        query = (
            select(*(results.c[name] for name in RESULT_COLUMNS[1:]))
            .where(results.c.edition_id == edition.id)
            .order_by(results.c.account_id)
            .execution_options(yield_per=_PAGE)
        )
        with self._database.read(patience_s=LONG_PATIENCE_S) as connection:
            pages = connection.execute(query).partitions()
            return pa.Table.from_batches(map(arrow_batch, pages), RATINGS_SCHEMA)

    def counts(self, edition: Edition) -> dict[ProcessingStatus, int]:
        """How many results there are for each status, zeros included."""
        with self._database.read(patience_s=LONG_PATIENCE_S) as connection:
            return count_results(connection, edition.id)


class _Statements:
    """The SQL of the paths where a million rows go through, in the driver's own spelling."""

    def __init__(self, database: Database) -> None:
        mark = "%s" if database.is_postgresql else "?"
        self.insert_result = (
            f"INSERT INTO {results.name} ({', '.join(RESULT_COLUMNS)}) "  # noqa: S608
            f"VALUES ({', '.join([mark] * len(RESULT_COLUMNS))}) ON CONFLICT DO NOTHING"
        )
        self.settle_attempt = (
            f"INSERT INTO {attempts.name} "  # noqa: S608
            "(edition_id, account_id, spent, reason, settled_batch) "
            f"VALUES ({', '.join([mark] * 5)}) ON CONFLICT (edition_id, account_id) DO UPDATE SET "
            "spent = excluded.spent, settled_batch = excluded.settled_batch, "
            f"reason = coalesce(excluded.reason, {attempts.name}.reason)"
        )
        self.begin_batch = (
            f"INSERT INTO {attempt_batches.name} (edition_id, batch, account_ids) "  # noqa: S608
            f"VALUES ({mark}, {mark}, {mark}) ON CONFLICT (edition_id, batch) DO UPDATE SET "
            "account_ids = excluded.account_ids"
        )
        self.close_batch = (
            f"DELETE FROM {attempt_batches.name} WHERE edition_id = {mark} AND batch = {mark}"  # noqa: S608
        )


def _spent_attempts(
    connection: Connection, edition: Edition
) -> tuple[dict[str, int], dict[str, int]]:
    """Attempts spent, by account, and those of them that were begun and have no known outcome."""
    rows = connection.execute(
        select(attempts.c.account_id, attempts.c.spent, attempts.c.settled_batch).where(
            attempts.c.edition_id == edition.id
        )
    ).all()
    spent = {row.account_id.decode(): row.spent for row in rows}
    settled = {row.account_id.decode(): row.settled_batch for row in rows}
    open_batches = connection.execute(
        select(attempt_batches.c.batch, attempt_batches.c.account_ids).where(
            attempt_batches.c.edition_id == edition.id
        )
    )
    cut_off: dict[str, int] = {}
    for batch, account_ids in open_batches:
        for account_id in json.loads(account_ids):
            if batch > settled.get(account_id, 0):
                spent[account_id] = spent.get(account_id, 0) + 1
                cut_off[account_id] = cut_off.get(account_id, 0) + 1
    return spent, cut_off


def _last_batch(connection: Connection, edition: Edition) -> int:
    """The highest batch number that means anything yet, 0 at first."""
    last = [
        connection.scalar(select(func.max(column)).where(column.table.c.edition_id == edition.id))
        for column in (attempt_batches.c.batch, attempts.c.settled_batch)
    ]
    return max(each or 0 for each in last)
