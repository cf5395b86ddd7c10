"""No error that a command prints shows a secret, not even one that nobody foresaw."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from esg_pipeline.cli.home import end, ends_with_one_line, first_line
from esg_pipeline.exit_codes import ExitCode
from esg_pipeline.ledger import LedgerUnavailable
from esg_pipeline_tests.safe_text.probes import arm_all, chain_of, readable_in


def said(command: click.Command) -> str:
    """What it prints; it fails."""
    result = CliRunner().invoke(command)
    assert result.exit_code == ExitCode.FAILED
    assert "***" in result.output
    return result.output


def test_the_last_words_of_a_command():
    @click.command()
    def ends() -> None:
        end(ExitCode.FAILED, arm_all())

    assert readable_in(said(ends)) == []


def test_the_line_of_a_known_failure():
    @click.command()
    def fails() -> None:
        with ends_with_one_line(LedgerUnavailable):
            raise LedgerUnavailable(arm_all())

    assert readable_in(said(fails)) == []


@pytest.mark.parametrize("error", [LedgerUnavailable, RuntimeError])
def test_the_first_line_of_any_error(error):
    text = arm_all().replace("\n", " ")
    assert readable_in(first_line(error(text))) == []
    behind = error("the step failed")
    behind.__cause__ = ConnectionError(text)
    assert readable_in(first_line(behind)) == []


UNFORESEEN = """
from esg_pipeline.cli import main
from esg_pipeline_tests.safe_text.probes import arm_all, chain_of

@main.command()
def breaks():
    raise chain_of(arm_all())

main(["breaks"])
"""


@pytest.mark.servers
def test_the_stack_trace_of_an_error_that_nobody_foresaw(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", UNFORESEEN],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "RuntimeError: the step failed" in done.stderr
    assert done.stderr.count("***") > 3
    assert readable_in(done.stdout + done.stderr) == []
    assert readable_in(str(chain_of(arm_all()).__cause__)), "the same error shows them"
