"""`esg-pipeline demo`: sandbox, run and result in one command."""

import os
import sys
from pathlib import Path

import click

from esg_pipeline.cli.home import ExitCode, end, prepare_home, settings_or_exit, today

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

RATE_LIMIT = 200


@click.command()
@click.option("--accounts", default=1000, show_default=True, help="Active accounts.")
def demo(accounts: int) -> None:
    """Start the simulated firm, rate its accounts for today, show the result.

    Works in DAGSTER_HOME and ignores every ESG_ setting, so that invented data never reaches a
    real store.
    """
    from esg_pipeline.sandbox import SandboxError, start_sandbox

    home = prepare_home()
    folder = home / "sandbox"
    if (home / "ledger.db").exists() and not folder.exists():
        end(
            ExitCode.USAGE,
            f"DAGSTER_HOME: {home} has real reports; the demo would put invented ones beside "
            "them. Set DAGSTER_HOME to another folder.",
        )
    for name in [name for name in os.environ if name.startswith("ESG_")]:
        del os.environ[name]
    folder.mkdir(exist_ok=True)
    os.chdir(folder)  # no .env of a real installation lies here
    click.echo(f"Starting the simulated firm: {accounts} active accounts, an API with some faults.")
    try:
        with start_sandbox(
            folder, accounts=accounts, faults=FAULTS, rate_limit=RATE_LIMIT, latency_s=0.02
        ) as firm:
            os.environ.update(firm.env())
            os.environ.update(
                ESG_API_RATE_LIMIT=str(RATE_LIMIT), ESG_API_TIMEOUT="5", ESG_API_BACKOFF_BASE="0.2"
            )
            sys.exit(_run_and_show(home))
    except SandboxError as error:
        end(ExitCode.FAILED, str(error))


def _run_and_show(home: Path) -> ExitCode:
    from esg_pipeline.cli.report import print_rows
    from esg_pipeline.cli.run import run_here
    from esg_pipeline.delivery import open_store
    from esg_pipeline.delivery.layout import report_name

    settings = settings_or_exit(for_run=True)
    day = today()
    code = run_here(settings, day, {})
    if code in (ExitCode.DELIVERED, ExitCode.DELIVERED_ABOVE_THRESHOLD):
        click.echo("\nThe first rows of the decrypted report:")
        print_rows(open_store(settings).read(report_name(day)), 5)
        click.echo(f"\nEncrypted report, error log and manifest: {home / 'store'}")
        click.echo(f"Keys: {home / 'keys'}   Ledger: {home / 'ledger.db'}")
        click.echo(
            "Next: `esg-pipeline report fetch --out FOLDER` decrypts and verifies the files;"
        )
        click.echo("      `make ui` shows the run in Dagster.")
    return code
