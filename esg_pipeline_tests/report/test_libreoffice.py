"""Opened in LibreOffice, no name becomes a formula, and the name itself is still there to be read.

A name that a spreadsheet runs could send the reader's other cells anywhere. The real program is
asked, because only it knows what it takes for a formula.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from esg_pipeline.report import build_report, format_report
from esg_pipeline_tests.report.tables import FAILED, SUCCESSFUL, accounts_of, ratings_of

pytestmark = [pytest.mark.servers, pytest.mark.needs("soffice")]

TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"

NAMES = [
    '=HYPERLINK("http://127.0.0.1/"&A1,"Click")',
    "=cmd|' /C calc'!A0",
    "=1+1",
    "+1",
    "-1",
    "+1-2",
    "@SUM(A1:A9)",
    "\t=1+1",
    "\r=1+1",
    " =1+1",
    "＝1+1",
    "\n=1+1",
    '"=1"',
    '"=1+1","=2+2"',
    "two\nlines\n=1+1",
    "two\r\n=1+1",
    "a,=1+1",
    "a;=1+1",
    "a\t=1+1",
    "=" + "1+" * 5_000 + "1",
    "long " * 2_000,
    "Müller, Söhne & Co.",
    "王小明 🌱",
    "00123",
    "1E5",
    "3-12",
]
ACCOUNTS = {f"A{number:02}": name for number, name in enumerate(NAMES)}
IDS_LIKE_FORMULAS = {"=1+1": "n", '=HYPERLINK("http://127.0.0.1/","x")': "n"}

AS_IT_COMES = "CSV:44,34,UTF-8,1"
"""Only the comma separates; everything else is the program's choice."""
TEXT_COLUMNS = "CSV:44,34,UTF-8,1,1/2/2/2"
"""As the user guide says: besides, Account ID and Account Name are text."""
NO_FORMULAS = "CSV:44/59/9,34,UTF-8,1,,0,false,false,false,false,false,0,false"
"""Tab and semicolon separate too, but "Evaluate formulas" is off."""

Cell = ElementTree.Element


def report_of(names: dict[str, str]) -> bytes:
    ratings = {key: FAILED if at % 2 else SUCCESSFUL for at, key in enumerate(names)}
    return format_report(build_report(accounts_of(names), ratings_of(ratings)))


def opened(content: bytes, folder: Path, how: str) -> list[list[Cell]]:
    """The cells of each row, after LibreOffice opened the file with these import options."""
    file = folder / "report.csv"
    file.write_bytes(content)
    profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
    convert = ["--infilter=" + how, "--convert-to", "fods", "--outdir", str(folder), str(file)]
    subprocess.run(
        ["soffice", profile, "--headless", *convert], check=True, capture_output=True, timeout=120
    )
    rows = ElementTree.parse(folder / "report.fods").iter(f"{TABLE}table-row")
    return [
        [cell for cell in row.iter(f"{TABLE}table-cell") for _ in range(repeats(cell))]
        for row in rows
    ]


def repeats(cell: Cell) -> int:
    """Equal neighbours are stored once."""
    return int(cell.get(f"{TABLE}number-columns-repeated", "1"))


def formulas(rows: list[list[Cell]]) -> list[str]:
    found = [cell.get(f"{TABLE}formula") for row in rows for cell in row]
    return [formula for formula in found if formula is not None]


def text_of(cell: Cell) -> str:
    """What the cell holds; each paragraph is a line."""
    return "\n".join("".join(_pieces(paragraph)) for paragraph in cell.findall(f"{TEXT}p"))


def _pieces(element: Cell) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        if child.tag == f"{TEXT}s":
            yield " " * int(child.get(f"{TEXT}c", "1"))
        elif child.tag == f"{TEXT}tab":
            yield "\t"
        yield from _pieces(child)
        yield child.tail or ""


def with_line_feeds(text: str) -> str:
    """LibreOffice knows one kind of line end in a cell."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def test_a_nul_before_it_hides_no_formula(tmp_path):
    rows = opened(report_of({"A1": "\0=1+1", "A2": "\0\0@SUM(A1:A9)"}), tmp_path, AS_IT_COMES)
    assert len(rows) == 3
    assert formulas(rows) == []


def test_no_name_becomes_a_formula_however_the_columns_are_typed(tmp_path):
    content = report_of(ACCOUNTS)
    for how in (AS_IT_COMES, TEXT_COLUMNS):
        rows = opened(content, tmp_path, how)
        assert len(rows) == len(ACCOUNTS) + 1
        assert {len(row) for row in rows} == {10}
        assert formulas(rows) == []


def test_without_the_guard_the_names_do_become_formulas(tmp_path):
    report = build_report(accounts_of({"A1": "=1+1"}), ratings_of({"A1": SUCCESSFUL}))
    rows = opened(format_report(report, formula_guard=False), tmp_path, AS_IT_COMES)
    assert formulas(rows) == ["of:=1+1"]


def test_the_name_comes_back_when_the_sign_that_the_guide_names_is_removed(tmp_path):
    rows = opened(report_of(ACCOUNTS), tmp_path, TEXT_COLUMNS)[1:]
    names = {
        text_of(row[0]): re.sub(r"^'(?=[=+\-@＝＋－＠\t\r\n])", "", text_of(row[1])) for row in rows
    }
    assert names == {key: with_line_feeds(name) for key, name in ACCOUNTS.items()}


def test_ids_are_safe_and_unchanged_when_their_column_is_opened_as_text(tmp_path):
    ids = IDS_LIKE_FORMULAS | {"00123": "n", "1E5": "n", "3-12": "n", "+1": "n"}
    rows = opened(report_of(ids), tmp_path, TEXT_COLUMNS)
    assert formulas(rows) == []
    assert {text_of(row[0]) for row in rows[1:]} == set(ids)


def test_ids_like_formulas_are_run_when_nobody_says_text(tmp_path):
    # Ids are never changed, so this is why the guide says how to open the file, and a check tells
    # of such ids.
    assert len(formulas(opened(report_of(IDS_LIKE_FORMULAS), tmp_path, AS_IT_COMES))) == 2


def test_nothing_is_run_when_formulas_are_switched_off_whatever_separates(tmp_path):
    content = report_of(ACCOUNTS | IDS_LIKE_FORMULAS)
    assert formulas(opened(content, tmp_path, NO_FORMULAS)) == []
    run = NO_FORMULAS.removesuffix("false") + "true"
    assert "of:=1+1" in formulas(opened(report_of({"A1": "a;=1+1"}), tmp_path, run))
