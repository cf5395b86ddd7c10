"""`esg-pipeline sandbox`: the simulated firm in the foreground."""

import shlex

import click

from esg_pipeline.cli.home import command_as_called, end, prepare_demo_home
from esg_pipeline.exit_codes import ExitCode
from esg_pipeline.settings import DEMO_FOLDER


@click.command()
@click.option("--accounts", default=1000, show_default=True, help="Active accounts.")
@click.option("--rate-limit", default=200, show_default=True, help="Calls a second; 0: no limit.")
@click.option("--latency-ms", default=20.0, show_default=True, help="Time of an answer.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME=SHARE[:N]",
    help="Share of the accounts with this fault (only on their first N calls). Repeatable; a "
    "wrong name lists all.",
)
@click.option("--port", default=0, help="Port of the API; 0 takes a free one.")
def sandbox(
    accounts: int, rate_limit: int, latency_ms: float, faults: tuple[str, ...], port: int
) -> None:
    """Start the simulated firm: accounts in SQLite and an ESG API that can misbehave.

    It prints the settings with which a run finds it, and serves until Ctrl-C. Works in
    DAGSTER_HOME, default .demo_home/, which must not be a real run's.
    """
    from esg_pipeline.sandbox import Announcement, Behaviour, read_fault_options, serve

    home = prepare_demo_home()
    folder = home / DEMO_FOLDER

    def say(firm: Announcement) -> None:
        click.echo("# The simulated firm is up. In another terminal, in this folder:")
        for name, value in {"DAGSTER_HOME": str(home), **firm.env()}.items():
            click.echo(f"export {name}={shlex.quote(value)}")
        click.echo(f"{command_as_called()} run")

    try:
        behaviour = Behaviour(
            faults=read_fault_options(list(faults)),
            rate_limit=rate_limit or None,
            latency_s=latency_ms / 1000,
        )
    except ValueError as error:
        end(ExitCode.USAGE, str(error))
    try:
        serve(folder, accounts=accounts, behaviour=behaviour, api_port=port, announce=say)
    except OSError as error:
        end(ExitCode.FAILED, f"the sandbox cannot start: {error.strerror}")
