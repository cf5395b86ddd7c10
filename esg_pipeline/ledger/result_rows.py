"""Rows of the results table: from a rating, to Arrow, copied, counted, deleted.

Only rows and columns here; leases, editions and transactions are the callers'.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, bindparam, delete, func, insert, literal, select

from esg_pipeline.ledger.tables import MAX_ACCOUNT_ID_BYTES, results, storable
from esg_pipeline.ratings import RATINGS_SCHEMA, SCORE, ProcessingStatus, Rating, by_status

RESULT_COLUMNS = tuple(column.name for column in results.c)
"""In the order of `result_row`."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_MICROSECOND = timedelta(microseconds=1)


def result_row(edition_id: int, rating: Rating) -> tuple[Any, ...]:
    day = rating.analysis_date
    return (
        edition_id,
        stored_id(rating.account_id),
        str(rating.status),
        None if rating.reason is None else str(rating.reason),
        rating.overall,
        rating.environmental,
        rating.social,
        rating.governance,
        None if rating.focus is None else str(rating.focus),
        rating.focus_score,
        None if day is None else day.toordinal() - _EPOCH_ORDINAL,
        rating.http_status,
        rating.attempts,
        storable(rating.message),
        (rating.finished_at - _EPOCH) // _MICROSECOND,
    )


def stored_id(account_id: str) -> bytes:
    stored = account_id.encode()
    if len(stored) > MAX_ACCOUNT_ID_BYTES:
        raise ValueError(
            f"account id {account_id[:20]!r}… is {len(stored)} bytes long; the ledger takes at "
            f"most {MAX_ACCOUNT_ID_BYTES}"
        )
    return stored


def arrow_batch(rows: Sequence[Any]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    ids, status, reason, overall, environmental, social, governance, *others = columns
    focus, focus_score, analysis_day, http_status, tries, message, finished_at_us = others
    text = pa.string()
    return pa.RecordBatch.from_arrays(
        [
            pa.array(ids, pa.binary()).cast(text),
            pa.array(status, text),
            pa.array(reason, text),
            _scores(overall),
            _scores(environmental),
            _scores(social),
            _scores(governance),
            pa.array(focus, text),
            _scores(focus_score),
            pa.array(analysis_day, pa.int32()).cast(pa.date32()),
            pa.array(http_status, pa.int16()),
            pa.array(tries, pa.int16()),
            pa.array(message, text),
            pa.array(finished_at_us, pa.timestamp("us", tz="UTC")),
        ],
        schema=RATINGS_SCHEMA,
    )


def _scores(hundredths: Sequence[int | None]) -> pa.Array:
    """Hundredths of a point as decimals: the same integers, read with two decimal places."""
    whole = pa.array(hundredths, pa.int16()).cast(pa.decimal128(5, 0))
    return pa.Array.from_buffers(SCORE, len(whole), whole.buffers())


def count_results(connection: Connection, edition_id: int) -> dict[ProcessingStatus, int]:
    """How many results an edition has, for each status, zeros included."""
    rows = connection.execute(
        select(results.c.status, func.count())
        .where(results.c.edition_id == edition_id)
        .group_by(results.c.status)
    )
    return by_status({row[0]: row[1] for row in rows})


def copy_results(
    connection: Connection, source_id: int, target_id: int, *, failed_too: bool
) -> None:
    """Give the target edition the results of the source."""
    columns = RESULT_COLUMNS[1:]
    copied = select(literal(target_id), *(results.c[name] for name in columns)).where(
        results.c.edition_id == source_id
    )
    if not failed_too:
        copied = copied.where(results.c.status != ProcessingStatus.FAILED)
    connection.execute(insert(results).from_select(RESULT_COLUMNS, copied))


def delete_results(connection: Connection, edition_id: int, account_ids: Iterable[str]) -> None:
    """Delete the results of these accounts, so that they are asked again or forgotten."""
    of_account = delete(results).where(
        results.c.edition_id == edition_id, results.c.account_id == bindparam("asked")
    )
    if asked := [{"asked": account_id.encode()} for account_id in account_ids]:
        connection.execute(of_account, asked)
