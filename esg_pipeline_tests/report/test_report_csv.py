"""The bytes of the report: what every reader sees, and the formula guard."""

import csv
import io
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from esg_pipeline.report import (
    build_report,
    format_report,
    formula_like_ids,
    validate_report,
)
from esg_pipeline_tests.report.rfc4180 import NotRfc4180, read_rfc4180
from esg_pipeline_tests.report.tables import (
    FAILED,
    PARTIAL,
    SUCCESSFUL,
    accounts_of,
    ratings_of,
)

GOLDEN = Path(__file__).parent / "golden"

FORMULA_STARTS = ["=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n"]
NASTY = [
    "a\rb", "a\nb", "a\r\nb", "\r", "\n", 'say "hi"', '"', '""', ",", ",,", " lead", "trail ",
    "\t", "N/A", "NaN", "null", "nul\0inside", "\0", "\ufeffbom", "'quoted'", "\u202eRTL",
    "\u2028", "\x85", "\x0b\x0c\x1c", "e\u0301", "株式会社", "😀", "1E5", "00123", "＝1",
    "# no comment", "\\", "\\n", ";",
]  # fmt: skip
TEXTS = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=30),
    st.text(alphabet="a,\"\r\n\t'=+-@ \0", min_size=1, max_size=10),
)


def report_of(names: dict[str, str]) -> pa.Table:
    return build_report(accounts_of(names), ratings_of(dict.fromkeys(names, FAILED)))


def sorted_by_bytes(names: dict[str, str]) -> list[tuple[str, str]]:
    return sorted(names.items(), key=lambda item: item[0].encode())


GOLDEN_ACCOUNTS = {
    "00123": "Müller & Söhne, Zürich",
    "1E5": 'The "Green" Fund',
    "3-12": "株式会社みどり",
    "=2+3": "=HYPERLINK(\"http://example.invalid\",\"x\")",
    "A,1": "two\r\nlines",
    "a1": "-1, as it is",
    "Ä1": " lead and trail ",
    "Ｂ1": "＝1+1, full width",
    "Ｂ2": "\n=1+1",
    "😀1": "nul\0inside",
}  # fmt: skip
GOLDEN_RATINGS = {
    "00123": SUCCESSFUL,
    "1E5": PARTIAL,
    "3-12": FAILED,
    "=2+3": SUCCESSFUL | {"primary_esg_focus": None, "primary_focus_score": None},
    "A,1": FAILED | {"reason": "http_5xx", "http_status": 503, "message": "=cmd|' /C calc'!A0"},
    "a1": SUCCESSFUL | {"primary_esg_focus": "governance"},
    "Ä1": PARTIAL | {"reason": "stale_analysis", "message": "analysis date 2026-11-01, \"old\""},
    "Ｂ1": SUCCESSFUL,
    "Ｂ2": SUCCESSFUL,
    "😀1": FAILED | {"reason": "deadline", "attempts": 0, "message": "not reached"},
}  # fmt: skip


def test_the_report_is_byte_for_byte_the_golden_file() -> None:
    report = build_report(accounts_of(GOLDEN_ACCOUNTS), ratings_of(GOLDEN_RATINGS))
    validate_report(report)
    assert format_report(report) == (GOLDEN / "FirmESGRatings_20261124.csv").read_bytes()


def test_the_same_rows_in_any_order_and_chunking_give_the_same_bytes() -> None:
    accounts, ratings = accounts_of(GOLDEN_ACCOUNTS), ratings_of(GOLDEN_RATINGS)
    wanted = (GOLDEN / "FirmESGRatings_20261124.csv").read_bytes()
    backwards = list(range(len(GOLDEN_ACCOUNTS)))[::-1]
    row_by_row = pa.concat_tables([accounts.slice(row, 1) for row in backwards])
    assert format_report(build_report(row_by_row, ratings)) == wanted
    assert format_report(build_report(accounts, ratings.take(backwards))) == wanted


@given(st.dictionaries(TEXTS, TEXTS, min_size=1, max_size=8))
@example(dict(zip(NASTY, reversed(NASTY), strict=True)))
@example({"A1": "long, " * 20_000})
@settings(max_examples=150)
def test_every_reader_gets_every_text_back(names: dict[str, str]) -> None:
    content = format_report(report_of(names), formula_guard=False)
    wanted = [list(pair) for pair in sorted_by_bytes(names)]

    strict = read_rfc4180(content)
    assert [row[:2] for row in strict[1:]] == wanted

    text = content.decode()
    assert list(csv.reader(io.StringIO(text, newline=""), strict=True)) == strict

    # Pandas' default engine cuts a text at NUL, whatever the file says; its other one does not.
    engine: Literal["c", "python"] = "python" if "\0" in text else "c"
    frame = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False, engine=engine)
    assert frame.columns.tolist() == strict[0]
    assert frame.to_numpy().tolist() == strict[1:]


@given(st.dictionaries(TEXTS, TEXTS, min_size=1, max_size=8))
@example(dict(zip(NASTY, reversed(NASTY), strict=True)))
@example({"A1": "long, " * 20_000})
@settings(max_examples=150)
def test_the_bytes_are_those_of_pythons_csv_module(names: dict[str, str]) -> None:
    content = format_report(report_of(names), formula_guard=False)
    header = content.decode().split("\r\n", 1)[0]
    out = io.StringIO(newline="")
    rows = [[key, name, *["N/A"] * 7, "Failed"] for key, name in sorted_by_bytes(names)]
    csv.writer(out, lineterminator="\r\n").writerows([header.split(","), *rows])
    assert content == out.getvalue().encode()


def test_an_empty_name_is_told_from_a_missing_value() -> None:
    assert b'\r\nA1,"",N/A,' in format_report(report_of({"A1": ""}))


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_a_name_that_starts_like_a_formula_is_neutral_also_in_quotes(start: str) -> None:
    names = {"A1": f"{start}1", "A2": f'{start}1,"x"', "A3": f"x{start}1", "A4": f" {start}1"}
    rows = read_rfc4180(format_report(report_of(names)))[1:]
    assert [row[1] for row in rows] == [
        f"'{start}1",
        f'\'{start}1,"x"',
        f"x{start}1",
        f" {start}1",
    ]


def test_the_formula_guard_can_be_turned_off() -> None:
    report = report_of({"A1": "=1+1"})
    assert b"A1,=1+1," in format_report(report, formula_guard=False)


def test_ids_are_never_changed_but_those_like_formulas_are_told() -> None:
    ids = ["+1", "-1", "00123", "1E5", "3-12", "=1", "@x", "A1", "\rx", "\tx", "\nx", "＝1"]
    names = dict.fromkeys(ids, "n")
    rows = read_rfc4180(format_report(report_of(names)))[1:]
    assert sorted(row[0] for row in rows) == sorted(ids)
    assert formula_like_ids(accounts_of(names)) == [
        "+1",
        "-1",
        "=1",
        "@x",
        "\rx",
        "\tx",
        "\nx",
        "＝1",
    ]


def test_the_byte_order_mark_is_an_option() -> None:
    report = report_of({"A1": "n"})
    plain = format_report(report)
    assert plain.startswith(b"Account ID,Account Name,Overall ESG Score,")
    assert format_report(report, bom=True) == b"\xef\xbb\xbf" + plain


@pytest.mark.parametrize(
    "content",
    [b'a,b\r\nx"y,1\r\n', b'a,b\r\n"x"y,1\r\n', b"a,b\nx,1\n", b"a,b\r\nx\ry,1\r\n",
     b"a,b\r\nx\r\n", b"a,b\r\nx,1", b'a,b\r\n"x,1\r\n', b"a,b\r\nx,1,\r\n", b"a,\r\nx,"],
)  # fmt: skip
def test_the_strict_reader_refuses_what_is_not_rfc4180(content: bytes) -> None:
    with pytest.raises(NotRfc4180):
        read_rfc4180(content)


def test_the_strict_reader_reads_empty_and_quoted_fields() -> None:
    assert read_rfc4180(b'a,b,c\r\n,,\r\n"","x ""y"", z","\r\n"\r\n') == [
        ["a", "b", "c"],
        ["", "", ""],
        ["", 'x "y", z', "\r\n"],
    ]
