"""The command line: each command's words, its exit code, and its text for people.

A command says what happened and what to do, in that order; a stack trace never comes first.
Nothing is decided here that the job decides for itself. Contract: docs/design.md#command-line.
"""

import io
import sys
import traceback
from types import TracebackType

import click

from esg_pipeline import __version__
from esg_pipeline.cli.alerts import alerts
from esg_pipeline.cli.audit import audit
from esg_pipeline.cli.demo import demo
from esg_pipeline.cli.doctor import doctor
from esg_pipeline.cli.report import report
from esg_pipeline.cli.retention import legal_hold, purge
from esg_pipeline.cli.run import run
from esg_pipeline.cli.sandbox import sandbox
from esg_pipeline.cli.status import status
from esg_pipeline.cli.watchdog import watchdog
from esg_pipeline.observability.safe_records import keep_last_resort_safe
from esg_pipeline.safe_text import mask


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="esg-pipeline")
def main() -> None:
    """The daily ESG ratings job: rate every active account, deliver one encrypted report.

    Exit codes: 0 delivered; 1 failed or held, nothing new delivered; 2 usage or settings;
    3 delivered, but more than the threshold failed; 4 another run holds this date.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that the terminal's encoding does not have must not end a command.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.excepthook = _show_unexpected
    keep_last_resort_safe()


def _show_unexpected(
    _kind: type[BaseException], error: BaseException, _trace: TracebackType | None
) -> None:
    """Print a stack trace as Python does, without secrets."""
    click.echo(mask("".join(traceback.format_exception(error))), err=True, nl=False)


for command in (
    run,
    report,
    status,
    doctor,
    watchdog,
    alerts,
    audit,
    purge,
    legal_hold,
    demo,
    sandbox,
):
    main.add_command(command)
