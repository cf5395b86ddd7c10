"""What the guides tell people to type exists, and does what they say."""

import csv
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from esg_pipeline.alerts.conditions import RULES, Condition
from esg_pipeline.alerts.wording import WORDING
from esg_pipeline.cli import main
from esg_pipeline.ratings import ProcessingStatus, Reason
from esg_pipeline.report.schema import REPORT_SCHEMA
from esg_pipeline.sandbox import start_sandbox
from esg_pipeline_tests.docs.pages import DOCS, Command, commands, read, short_forms

DATE = "2026-03-10"
"""The date of every example in the guides."""
RUN_FOR_REAL = ("doctor", "status", "report", "legal-hold", "purge", "audit")
"""They read, or write to a throw-away installation only. In this order; the last one looks back."""


@pytest.fixture
def installation(servers: None, tmp_path: Path) -> Iterator[None]:
    """The environment of a person at an installation with a simulated firm, in an empty folder."""
    before, folder = dict(os.environ), Path.cwd()
    with start_sandbox(tmp_path / "firm", accounts=12, retired=0) as firm:
        for name in [name for name in os.environ if name.startswith(("ESG_", "DAGSTER"))]:
            del os.environ[name]
        os.environ |= {"DAGSTER_HOME": str(tmp_path / "home"), **firm.env()}
        os.chdir(tmp_path)
        try:
            yield
        finally:
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(before)


def invoke(*words: str) -> Result:
    """Run a command in this process: Dagster alone takes seconds to import."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Dagster's, about Dagster
        return CliRunner().invoke(main, words)


def parse(command: Command) -> None:
    """Parse a command by click as far as its last word, without running it.

    Raises:
        click.UsageError: no such command or option, or a wrong value.
    """
    name, part, words, context = "esg-pipeline", main, list(command.words), None
    while True:
        context = part.make_context(name, words, parent=context)
        if not isinstance(part, click.Group):
            return
        words = [*context._protected_args, *context.args]
        name, part, words = part.resolve_command(context, words)


@pytest.mark.parametrize("command", commands(), ids=str)
def test_a_command_in_a_code_block_can_be_typed_as_it_stands(command):
    parse(command)


@pytest.mark.parametrize("command", short_forms(), ids=str)
def test_a_command_named_in_a_sentence_exists_with_its_options(command):
    # A sentence may name a command without what it needs; --help and --version end at once.
    endings = (click.MissingParameter, click.exceptions.NoArgsIsHelpError, click.exceptions.Exit)
    with suppress(*endings):
        parse(command)


@pytest.mark.parametrize(
    "words", ["run --date yesterday", "run --all", "report print", "alert test"]
)
def test_what_cannot_be_typed_is_found(words):
    with pytest.raises(click.UsageError):
        parse(Command(tuple(words.split())))


def test_the_pages_hold_the_commands_that_people_need():
    named = {command.words[0] for command in commands()}
    assert named >= {"run", "report", "status", "doctor", "alerts", "audit", "purge", "legal-hold"}


def test_the_commands_of_the_guides_work(installation, tmp_path):
    delivered = invoke("run", "--date", DATE)
    assert delivered.exit_code == 0, delivered.output
    said = {}
    chosen = [command for command in commands() if command.words[0] in RUN_FOR_REAL]
    for command in sorted(chosen, key=lambda each: (RUN_FOR_REAL.index(each.words[0]), str(each))):
        result = invoke(*command.words)
        assert result.exit_code == 0, f"{command}\n{result.output}"
        said[str(command)] = result.output
    parts = [line.split()[0] for line in said["doctor"].splitlines()]
    assert parts[:5] == ["settings", "accounts", "api", "store", "ledger"]
    assert "is whole" in said[f"report verify --date {DATE}"]
    assert "the chain is whole" in said["audit verify"]
    fetched = {path.name for path in (tmp_path / "FOLDER").iterdir()}
    assert fetched >= {"FirmESGRatings_20260310.csv", "daily.parquet"}
    with (tmp_path / "audit.csv").open(encoding="utf-8", newline="") as exported:
        actions = [row["action"] for row in csv.DictReader(exported)]
    assert {"deliver", "fetch", "show", "rebuild", "history"} <= set(actions)
    assert {"place_hold", "release_hold"} <= set(actions)


def test_the_runbook_has_each_condition_with_its_commands():
    page = read(DOCS / "runbook.md")
    sections = dict(part.partition("\n")[::2] for part in page.split("\n### ")[1:])
    conditions = {name: wording for name, wording in WORDING.items() if name in sections}
    assert [name for name in WORDING if name not in sections] == ["delivery_note", "test"]
    for name, wording in conditions.items():
        for command in wording.commands:
            assert command.format(day=DATE) in sections[name], name


def test_the_runbook_says_of_each_condition_how_bad_it_is():
    page = read(DOCS / "runbook.md")
    stated = dict(re.findall(r"^\| `(\w+)` \| .* \| (\w+) \|$", page, re.MULTILINE))
    assert {name: RULES[name].severity for name in stated} == stated
    assert len(stated) == len(Condition)


def test_the_user_guide_explains_the_report_and_its_words():
    page = read(DOCS / "user-guide.md")
    for word in [*REPORT_SCHEMA.columns, *ProcessingStatus]:
        assert word in page
    for reason in Reason:
        assert f"| `{reason}` |" in page
