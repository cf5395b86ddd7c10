"""Rows and statuses, counted in a report as the store gives it back.

A CSV reader counts, not the program that wrote the file. What the columns mean is not judged here.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from esg_pipeline.delivery.errors import DeliveryInvalid
from esg_pipeline.ratings import ProcessingStatus

BLOCK_SIZE_BYTES = 16 * 1024 * 1024
"""The reader needs a row to fit in one block; no row is this long."""


@dataclass(frozen=True, slots=True)
class ReportCounts:
    """What a report holds: rows, and rows per Processing Status (every status, also with 0)."""

    rows: int
    by_status: dict[str, int]


def count_report(content: bytes) -> ReportCounts:
    """Count a plain report.

    Raises:
        DeliveryInvalid: not CSV, an account twice, rows out of order, an unknown status.
    """
    statuses: Counter[str] = Counter({status.value: 0 for status in ProcessingStatus})
    rows = 0
    last_id: str | None = None
    for batch in _batches(content, ["Account ID", "Processing Status"]):
        ids, status = batch.column(0), batch.column(1)
        if batch.num_rows == 0:
            continue
        rows += batch.num_rows
        ascending = pc.all(pc.less(ids[:-1], ids[1:]), min_count=0).as_py()
        if not ascending or (last_id is not None and last_id >= ids[0].as_py()):
            raise DeliveryInvalid("the report has an account twice, or its rows are not in order")
        last_id = ids[-1].as_py()
        for each in pc.value_counts(status).to_pylist():
            statuses[each["values"]] += each["counts"]
    if len(statuses) != len(ProcessingStatus):
        raise DeliveryInvalid("the report has an unknown Processing Status")
    return ReportCounts(rows, dict(statuses))


def count_rows(content: bytes) -> int:
    """Count the rows of any plain CSV with an Account ID.

    Raises:
        DeliveryInvalid: not CSV.
    """
    return sum(batch.num_rows for batch in _batches(content, ["Account ID"]))


def _batches(content: bytes, columns: list[str]) -> Iterator[pa.RecordBatch]:
    try:
        yield from csv.open_csv(
            pa.py_buffer(content),
            read_options=csv.ReadOptions(block_size=BLOCK_SIZE_BYTES),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                include_columns=columns,
                column_types={column: pa.string() for column in columns},
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowException as error:
        # The reader's text may quote a row, so only its kind is told.
        raise DeliveryInvalid(f"the file is not CSV as expected ({type(error).__name__})") from None
