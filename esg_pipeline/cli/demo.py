"""`esg-pipeline demo`: the simulated firm, a run and its result; or the firm and Dagster's page."""

import os
import shlex
import sys
from pathlib import Path

import click

from esg_pipeline.cli.home import (
    command_as_called,
    end,
    opened_ledger,
    prepare_demo_home,
    settings_or_exit,
    today,
)
from esg_pipeline.exit_codes import ExitCode
from esg_pipeline.sandbox import Sandbox, SandboxError, start_sandbox
from esg_pipeline.settings import DEMO_FOLDER

FAULTS = {
    "http_500": "0.02:1",
    "reset": "0.01:1",
    "http_404": 0.004,
    "missing_pillar": 0.006,
    "wrong_account": 0.002,
    "nan": 0.004,
    "stale_date": 0.004,
}
"""A few of everything; well under the 5 % that would raise the alarm."""

MEANT = {
    "identity_mismatch": "the simulated API answers a few accounts with the scores of another one, "
    "to show that such scores are never taken",
    "failure_share": "of so few accounts, those that the simulated API spoils are many",
}
"""Alerts that the demo itself provokes, and why."""

RATE_LIMIT = 200


@click.command()
@click.option(
    "--accounts", type=click.IntRange(1), default=1000, show_default=True, help="Active accounts."
)
@click.option("--ui", is_flag=True, help="Dagster's page instead of a run, until Ctrl-C.")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Of the page. Default: 3000, or a free one."
)
def demo(accounts: int, ui: bool, port: int | None) -> None:
    """Start the simulated firm, rate its accounts for today, show the result.

    With --ui: start it with Dagster's page, where any date can be materialized.

    Works in DAGSTER_HOME, default .demo_home/, which must not be a real run's, and ignores every
    ESG_ setting, so that invented data never reaches a real store.
    """
    if port is not None and not ui:
        raise click.UsageError("--port goes with --ui")
    called_in = Path.cwd()
    home = prepare_demo_home()
    folder = home / DEMO_FOLDER
    for name in [name for name in os.environ if name.startswith("ESG_")]:
        del os.environ[name]
    os.chdir(folder)  # no .env of a real installation lies here
    try:
        if ui:
            _serve(home, accounts, port)
        else:
            sys.exit(_run_and_show(home, accounts, called_in))
    except SandboxError as error:
        end(ExitCode.FAILED, str(error))


def _start(home: Path, accounts: int) -> Sandbox:
    """Start the firm, and put the settings that find it into the environment."""
    click.echo(f"Starting the simulated firm: {accounts:,} active accounts, an API with faults.")
    firm = start_sandbox(
        home / DEMO_FOLDER, accounts=accounts, faults=FAULTS, rate_limit=RATE_LIMIT, latency_s=0.02
    )
    os.environ.update(
        firm.env(),
        ESG_API_RATE_LIMIT=str(RATE_LIMIT),
        ESG_API_TIMEOUT="5",
        ESG_API_BACKOFF_BASE="0.2",
        ESG_ACCOUNTS_MAX_DROP="1",  # the number of accounts is whatever was asked for
    )
    return firm


def _serve(home: Path, accounts: int, wanted_port: int | None) -> None:
    from esg_pipeline.cli.demo_page import choose_port, end_signal, only_page_of, serve_page

    with only_page_of(home) as address, end_signal() as ended:
        port = choose_port(wanted_port)
        with _start(home, accounts) as firm:
            serve_page(firm, home / DEMO_FOLDER, port, address, ended)


def _run_and_show(home: Path, accounts: int, called_in: Path) -> ExitCode:
    from esg_pipeline.cli.report import print_rows
    from esg_pipeline.cli.run import run_here
    from esg_pipeline.delivery import open_store
    from esg_pipeline.delivery.layout import report_name

    day = today()
    with _start(home, accounts):
        settings = settings_or_exit(for_run=True)
        code = run_here(settings, day, {})
    if code in (ExitCode.DELIVERED, ExitCode.DELIVERED_ABOVE_THRESHOLD):
        with opened_ledger(settings) as ledger:
            alerts = {each.condition for each in ledger.outbox.open_alerts() if each.day == day}
        for condition in sorted(alerts & MEANT.keys()):
            click.echo(f"The alert {condition} is meant: {MEANT[condition]}.")
        click.echo("\nThe first rows of the decrypted report:")
        print_rows(open_store(settings).read(report_name(day)), 5)
        shown = os.path.relpath(home, called_in) if home.is_relative_to(called_in) else str(home)
        click.echo(f"\nEncrypted report, error log and manifest: {shown}/store")
        click.echo(f"Keys: {shown}/keys   Ledger: {shown}/ledger.db")
        command = f"DAGSTER_HOME={shlex.quote(shown)} {command_as_called()}"
        click.echo("Next: decrypt and verify the files, or see the run on Dagster's page:")
        click.echo(f"  {command} report fetch --out FOLDER")
        click.echo("  make ui" if "MAKELEVEL" in os.environ else f"  {command} demo --ui")
    return code
