"""The report's rows: each account beside its rating.

Nothing is judged, rounded or formatted here, and no row is dropped or invented: accounts and
ratings must match one to one.
"""

import pyarrow as pa
import pyarrow.compute as pc

from esg_pipeline.report.schema import REPORT_ARROW_SCHEMA, ReportInvalid, shown_ids


def build_report(accounts: pa.Table, ratings: pa.Table) -> pa.Table:
    """Put accounts and their ratings side by side.

    Args:
        accounts: ACCOUNTS_SCHEMA, in any order.
        ratings: RATINGS_SCHEMA, in any order.

    Returns:
        REPORT_ARROW_SCHEMA, sorted by Account ID (code point order), one row per account.

    Raises:
        ReportInvalid: an account without a rating, a rating without an account, or a doubled id.
    """
    accounts, ratings = _sorted(accounts), _sorted(ratings)
    ids = accounts["account_id"]
    if not ids.equals(ratings["account_id"]) or len(_doubled(ids)):
        raise ReportInvalid(_mismatches(ids, ratings["account_id"]))
    columns = [
        ids,
        accounts["account_name"],
        ratings["overall_esg_score"],
        ratings["environmental_score"],
        ratings["social_score"],
        ratings["governance_score"],
        pc.utf8_capitalize(ratings["primary_esg_focus"]),
        ratings["primary_focus_score"],
        ratings["analysis_date"],
        ratings["status"],
    ]
    return pa.table(columns, schema=REPORT_ARROW_SCHEMA)


def _sorted(table: pa.Table) -> pa.Table:
    """The table in code point order of its ids; Arrow compares text by its UTF-8 bytes."""
    ids = table["account_id"]
    if pc.all(pc.less_equal(ids[:-1], ids[1:])).as_py():
        return table
    return table.sort_by("account_id")


def _mismatches(accounts: pa.ChunkedArray, ratings: pa.ChunkedArray) -> list[str]:
    found = {
        "accounts without a rating": _missing_from(ratings, accounts),
        "ratings without an account": _missing_from(accounts, ratings),
        "accounts more than once": _doubled(accounts),
        "accounts with more than one rating": _doubled(ratings),
    }
    return [
        f"Account ID: {what}: {len(ids)}, first ids: {shown_ids(ids.to_pylist())}"
        for what, ids in found.items()
        if len(ids)
    ]


def _missing_from(known: pa.ChunkedArray, ids: pa.ChunkedArray) -> pa.ChunkedArray:
    return ids.filter(pc.invert(pc.is_in(ids, value_set=known)))


def _doubled(sorted_ids: pa.ChunkedArray) -> pa.ChunkedArray:
    return sorted_ids[1:].filter(pc.equal(sorted_ids[1:], sorted_ids[:-1])).unique()
