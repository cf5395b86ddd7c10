"""What differs between two editions of a report, cell by cell, for the manifest and the audit.

Account names never leave the report, so a changed name is told without its values.
"""

import polars as pl
import pyarrow as pa

from esg_pipeline.report.csv_files import MISSING, as_frame
from esg_pipeline.report.schema import ACCOUNT_ID, ACCOUNT_NAME, REPORT_SCHEMA

NOT_SHOWN = "(not shown)"
IN_NEW = " in the new edition"
CHANGES_SCHEMA = pa.schema(
    [
        pa.field("account_id", pa.string(), nullable=False),
        pa.field("column", pa.string(), nullable=False),
        pa.field("old", pa.string()),
        pa.field("new", pa.string()),
    ]
)
"""`old` and `new` are written as in the report; null where the edition lacks the account."""


def changed_cells(old: pa.Table, new: pa.Table) -> pa.Table:
    """Compare two reports (REPORT_ARROW_SCHEMA).

    Returns:
        CHANGES_SCHEMA, one row per changed cell, sorted by account id and then in the order of
        the report's columns. An account that only one edition has is one row, with its id as
        the changed cell.
    """
    before, after = as_frame(old), as_frame(new)
    both = before.join(after, on=ACCOUNT_ID, suffix=IN_NEW)
    account_id, absent = pl.col(ACCOUNT_ID), pl.lit(None, pl.String)
    changes = [
        _changes(
            before.join(after, on=ACCOUNT_ID, how="anti"), ACCOUNT_ID, old=account_id, new=absent
        ),
        _changes(
            after.join(before, on=ACCOUNT_ID, how="anti"), ACCOUNT_ID, old=absent, new=account_id
        ),
    ]
    for column in REPORT_SCHEMA.columns:
        if column != ACCOUNT_ID:
            old_cell, new_cell = pl.col(column), pl.col(column + IN_NEW)
            differing = both.filter(old_cell.ne_missing(new_cell))
            changes.append(
                _changes(differing, column, old=_as_written(old_cell), new=_as_written(new_cell))
            )
    in_order = pl.concat(changes).sort("account_id", maintain_order=True)
    return in_order.to_arrow().cast(CHANGES_SCHEMA)


def _changes(rows: pl.DataFrame, column: str, *, old: pl.Expr, new: pl.Expr) -> pl.DataFrame:
    if column == ACCOUNT_NAME:
        old = new = pl.lit(NOT_SHOWN)
    return rows.select(
        pl.col(ACCOUNT_ID).alias("account_id"),
        pl.lit(column).alias("column"),
        old.alias("old"),
        new.alias("new"),
    )


def _as_written(cell: pl.Expr) -> pl.Expr:
    return cell.cast(pl.String).fill_null(MISSING)
