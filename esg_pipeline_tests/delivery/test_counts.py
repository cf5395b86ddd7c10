"""Rows are counted by a CSV reader, whatever the names in them hold."""

import csv
import io
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esg_pipeline.delivery import DeliveryInvalid
from esg_pipeline.delivery.counts import BLOCK_SIZE_BYTES, count_report, count_rows
from esg_pipeline.ratings import ProcessingStatus
from esg_pipeline_tests.delivery.reports import ERRORS_HEADER, HEADER, report_files

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


def as_csv(rows: list[tuple[str, str, str]]) -> bytes:
    text = io.StringIO(newline="")
    text.write(HEADER)
    # Every cell quoted: Python's writer leaves a lone CR bare, which RFC 4180 does not allow.
    writer = csv.writer(text, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    writer.writerows((key, name, *["N/A"] * 7, status) for key, name, status in rows)
    return text.getvalue().encode()


@given(
    st.dictionaries(
        CELLS.filter(bool), st.tuples(CELLS, st.sampled_from(list(ProcessingStatus))), max_size=40
    )
)
def test_any_ids_and_names_are_counted_right(accounts):
    rows = [(key, name, status.value) for key, (name, status) in accounts.items()]
    counted = count_report(as_csv(sorted(rows, key=lambda row: row[0].encode())))
    assert counted.rows == len(rows)
    statuses = Counter(status for _, _, status in rows)
    assert counted.by_status == {status: statuses[status] for status in ProcessingStatus}


def test_names_of_a_megabyte_and_rows_over_many_blocks_are_counted():
    names = ["x" * 1_000_000, "a\r\nb\r\n" * 100_000, '"' * 500_000]
    rows = [(f"A{number:04}", names[number % 3], "Partial") for number in range(60)]
    content = as_csv(rows)
    assert len(content) > 2 * BLOCK_SIZE_BYTES
    assert count_report(content).by_status["Partial"] == 60


def test_a_byte_order_mark_changes_no_count():
    content = report_files()[".csv"]
    assert count_report(b"\xef\xbb\xbf" + content) == count_report(content)


def test_an_error_log_without_errors_has_no_rows():
    assert count_rows(ERRORS_HEADER.encode()) == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda content: content.replace(b"Account ID", b"Account"), "not CSV as expected"),
        (lambda content: content[:-30], "not CSV as expected"),
        (lambda content: content.replace(b"Failed", b"failed"), "unknown Processing Status"),
        (lambda content: content.replace(b"A0000003", b"A0000009"), "not in order"),
        (lambda content: content.replace(b"A0000003", b"A0000002"), "an account twice"),
        (lambda _: b"", "not CSV as expected"),
    ],
)
def test_a_report_that_is_none_is_refused_without_quoting_it(change, told):
    with pytest.raises(DeliveryInvalid, match=told) as refused:
        count_report(change(report_files()[".csv"]))
    assert "Canary" not in str(refused.value)
