"""The rules of the account list, whatever source it comes from.

A source hands its rows over as they came; here they are typed, checked and sorted. Nothing is
repaired: a list that breaks a rule is refused whole, before any call is made.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from types import NoneType
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

from esg_pipeline.accounts.errors import AccountListError
from esg_pipeline.ledger import MAX_ACCOUNT_ID_BYTES
from esg_pipeline.ratings import ACCOUNTS_SCHEMA, Focus

REQUIRED_COLUMNS = ("account_id", "account_name")
COLUMNS = tuple(ACCOUNTS_SCHEMA.names)
SHOWN = 5
SHOWN_ID_LENGTH = 60

_ROW = "row"
_AS_READ = pa.schema(
    [pa.field(_ROW, pa.int64()), *(pa.field(name, pa.string()) for name in COLUMNS)]
)


def account_batch(columns: Mapping[str, Sequence[object]], rows: Sequence[int]) -> pa.RecordBatch:
    """Type some rows of a source.

    Args:
        columns: Values by column name; an optional column may be absent, more do no harm.
        rows: Each row's number in the source, as a person there would count, for error texts.

    Raises:
        AccountListError: a value that must be text is something else.
    """
    texts = [_texts(name, columns.get(name, [None] * len(rows)), rows) for name in COLUMNS]
    return pa.record_batch([pa.array(rows, pa.int64()), *texts], schema=_AS_READ)


def _texts(name: str, values: Sequence[object], rows: Sequence[int]) -> pa.Array:
    if not {type(each) for each in values} <= {str, NoneType}:
        if name == "last_modified":
            values = [each.isoformat() if isinstance(each, date) else each for each in values]
        values = [str(each) if isinstance(each, UUID) else each for each in values]
        _refuse_other_than_text(name, values, rows)
    return pa.array(values, pa.string())


def _refuse_other_than_text(name: str, values: Sequence[object], rows: Sequence[int]) -> None:
    wrong = [at for at, each in enumerate(values) if not isinstance(each, str | None)]
    if wrong:
        raise AccountListError(
            f"{name} must be text, but is {type(values[wrong[0]]).__name__} in "
            f"{_rows([rows[at] for at in wrong])}; a number could have lost leading zeros, so "
            f"have the source give text (SQL: CAST({name} AS TEXT) in ESG_ACCOUNTS_QUERY)"
        )


def checked_accounts(batches: Iterable[pa.RecordBatch]) -> pa.Table:
    """Put the batches of one source together, check them and sort them.

    Returns:
        ACCOUNTS_SCHEMA, sorted by account_id (code point order), focus in lower case.

    Raises:
        AccountListError: the list is empty; an id is missing, blank, doubled, too long or
            holds NUL; a name is missing; a focus is not one of ours.
    """
    table = pa.Table.from_batches(batches, schema=_AS_READ)
    if table.num_rows == 0:
        raise AccountListError(
            "the source gave no active account; an empty list is never right. Check the source "
            "and, if it is set, ESG_ACCOUNTS_QUERY"
        )
    ids, focus = table["account_id"], _focus(table)
    blank = pc.equal(pc.utf8_trim_whitespace(pc.fill_null(ids, "")), "")
    _refuse(table, blank, "account_id is empty")
    _refuse(table, pc.match_substring(ids, "\0"), "account_id holds a NUL character")
    too_long = pc.greater(pc.binary_length(ids), MAX_ACCOUNT_ID_BYTES)
    _refuse(table, too_long, f"account_id is longer than {MAX_ACCOUNT_ID_BYTES} bytes")
    _refuse(table, pc.is_null(table["account_name"]), "account_name is missing")
    _refuse_doubles(ids)
    columns = [ids, table["account_name"], focus, table["last_modified"]]
    return pa.table(columns, schema=ACCOUNTS_SCHEMA).sort_by("account_id").combine_chunks()


def _refuse(table: pa.Table, broken: pa.ChunkedArray, problem: str) -> None:
    rows = table[_ROW].filter(broken).to_pylist()
    if rows:
        raise AccountListError(f"{problem} in {_rows(rows)}; correct it in the source")


def _refuse_doubles(ids: pa.ChunkedArray) -> None:
    counts = pc.value_counts(ids)
    doubled = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    if len(doubled):
        raise AccountListError(
            f"account_id is there more than once for {len(doubled)} ids: {_ids(doubled)}; each "
            "active account must be listed once, so correct the source"
        )


def _focus(table: pa.Table) -> pa.ChunkedArray:
    """The focus column in our words: lower case, null for none."""
    words = pc.utf8_lower(pc.utf8_trim_whitespace(table["primary_esg_focus"]))
    words = pc.if_else(pc.equal(words, ""), None, words)
    allowed = [focus.value for focus in Focus]
    unknown = pc.and_(pc.is_valid(words), pc.invert(pc.is_in(words, pa.array(allowed))))
    ids = table["account_id"].filter(unknown)
    if len(ids):
        raise AccountListError(
            f"primary_esg_focus is none of {', '.join(allowed)} (or empty) for {len(ids)} "
            f"accounts: {_ids(ids)}; correct it in the source"
        )
    return words


def look_alike_ids(accounts: pa.Table) -> list[tuple[str, ...]]:
    """Groups of ids that differ only in case, surrounding space or Unicode form.

    They are kept apart everywhere; a person should look at them.
    """
    ids = accounts["account_id"]
    look = pc.utf8_lower(pc.utf8_trim_whitespace(pc.utf8_normalize(ids, form="NFKC")))
    groups = pa.table({"look": look, "ids": ids}).group_by("look", use_threads=False)
    listed = groups.aggregate([("ids", "list")])["ids_list"]
    alike = listed.filter(pc.greater(pc.list_value_length(listed), 1))
    return [tuple(group) for group in alike.to_pylist()]


def account_list_sha256(accounts: pa.Table) -> str:
    """SHA-256, in hex, of a list's content; the same for the same rows in the same order.

    Each column in turn: the length in bytes of every value (little-endian int32, -1 for null),
    then all values joined. How Arrow happens to have cut the table does not matter.
    """
    digest = hashlib.sha256()
    for name in COLUMNS:
        values = accounts[name].cast(pa.large_string()).combine_chunks()
        lengths = pc.fill_null(pc.binary_length(values).cast(pa.int32()), -1)
        digest.update(lengths.to_numpy().astype("<i4"))
        whole_column = pa.LargeListArray.from_arrays([0, len(values)], pc.fill_null(values, ""))
        digest.update(pc.binary_join(whole_column, pa.scalar("", pa.large_string()))[0].as_buffer())
    return digest.hexdigest()


def _rows(rows: Sequence[int]) -> str:
    """For example `row 3`, or `7 rows: 3, 5, 9, 12, 13 …`."""
    shown = ", ".join(str(row) for row in rows[:SHOWN])
    if len(rows) == 1:
        return f"row {shown}"
    return f"{len(rows)} rows: {shown}{' …' if len(rows) > SHOWN else ''}"


def _ids(ids: pa.Array | pa.ChunkedArray) -> str:
    """The first ids on one line, whatever characters are in them."""
    shown = ", ".join(repr(each)[:SHOWN_ID_LENGTH] for each in ids.slice(0, SHOWN).to_pylist())
    return f"{shown}{' …' if len(ids) > SHOWN else ''}"
