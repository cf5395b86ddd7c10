"""A reason that code refers to is in the repository: each reference leads to a page and a place."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from esg_pipeline.alerts.conditions import Condition
from esg_pipeline.exit_codes import ExitCode
from esg_pipeline.ratings import ProcessingStatus
from esg_pipeline.report.schema import REPORT_SCHEMA
from esg_pipeline_tests.docs.pages import DOCS, ROOT, anchors, check_proofs, read, table_rows

LOOKED_AT = ("esg_pipeline", "esg_pipeline_tests", "benchmarks", "deploy", "docs", ".github", ".ci")
TEXTS = {".py", ".md", ".sql", ".j2", ".css", ".yaml", ".yml", ".toml", ".service", ".timer", ""}
REFERENCE = re.compile(r"\bdocs/([\w-]+\.md)(?:#([\w-]+))?")
OUTSIDE = re.compile(r"\b(?:DESIGN|FAULTS|REPORTS|STYLE)(?:\.md| §| [A-N]\d).*")
"""A reference to a document that is not in the repository."""
FAMILIES = re.findall(r"^## (([A-N])\. .+)$", read(DOCS / "faults.md"), re.MULTILINE)


def texts() -> Iterator[Path]:
    """Every text file of the repository."""
    yield from (ROOT / name for name in ("Makefile", "pyproject.toml"))
    yield from ROOT.glob("*.md")
    for folder in LOOKED_AT:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in TEXTS and path.is_file() and "__pycache__" not in path.parts:
                yield path


def dangling(text: str) -> list[str]:
    """The references of a text to a page or place that is not there."""
    return [
        found[0]
        for found in REFERENCE.finditer(text)
        if not (DOCS / found[1]).is_file()
        or (found[2] and found[2] not in anchors(DOCS / found[1]))
    ]


def test_every_reference_leads_to_a_page_and_a_place():
    wrong = {path: found for path in texts() if (found := dangling(path.read_text("utf-8")))}
    assert wrong == {}


@pytest.mark.parametrize("place", ["nowhere.md", "nowhere.md#f5", "faults.md#f55", "design.md#f5"])
def test_a_dangling_reference_is_found(place):
    text = f"Fenced (docs/{place}), as docs/design.md#lease and docs/faults.md#f5 say."
    assert dangling(text) == [f"docs/{place}"]


def test_no_reference_leads_out_of_the_repository():
    wrong = {path: found for path in texts() if (found := OUTSIDE.findall(path.read_text("utf-8")))}
    assert wrong == {}


@pytest.mark.parametrize("reference", ["DESIGN" + " §3", "FAULTS" + " L2, L3", "STYLE" + ".md"])
def test_a_reference_out_of_the_repository_is_found(reference):
    assert OUTSIDE.findall(f"How it is written ({reference}).") == [f"{reference})."]
    assert OUTSIDE.findall("from esg_pipeline.sandbox.faults import " + "FAULTS") == []


@pytest.mark.parametrize(("heading", "letter"), FAMILIES, ids=[each[1] for each in FAMILIES])
def test_every_fault_has_its_place_and_names_tests_that_exist(heading, letter):
    rows = table_rows(DOCS / "faults.md", heading)
    assert rows
    for row in rows:
        assert re.match(rf'\| <a id="{letter.lower()}(\d+)"></a>{letter}\1 \| ', row), row
        check_proofs(row)


def section(heading: str) -> str:
    """A part of the design, up to the next heading."""
    return re.split(r"^#+ ", read(DOCS / "design.md").partition(f" {heading}\n")[2], flags=re.M)[0]


def test_the_contracts_of_the_design_are_those_of_the_code():
    columns = re.findall(r"`([^`]+)`", " ".join(section("Report").strip().split("\n\n")[0].split()))
    assert columns == list(REPORT_SCHEMA.columns)
    statuses = re.findall(r"^\| ([A-Z]\w+) \|", section("Processing status"), re.MULTILINE)
    assert statuses == list(ProcessingStatus)
    codes = re.findall(r"^\| (\d) \|", section("Command line"), re.MULTILINE)
    assert [int(code) for code in codes] == list(ExitCode)
    conditions = re.findall(r"`(\w+)`", section("Alerts").split(". ")[0])
    assert conditions == list(Condition)


def test_no_fault_is_listed_twice():
    places = re.findall(r'<a id="([^"]+)"></a>', read(DOCS / "faults.md"))
    assert len(places) == len(set(places)) > 80


def test_every_decision_says_since_when_and_whether_it_is_in_force():
    choices = re.findall(r"^\*\*.*?\n\n", read(DOCS / "decisions.md") + "\n\n", re.S | re.MULTILINE)
    assert len(choices) > 30
    for choice in choices:
        text = " ".join(choice.split())
        form = (
            r"\*\*.+?\.\*\* \*\d{4}-\d\d-\d\d, (in force|replaced on \d{4}-\d\d-\d\d by .+?)\.\* \S"
        )
        assert re.match(form, text), text
