"""`esg-pipeline alerts`: does an alert reach people?"""

import sys

import click

from esg_pipeline import clock
from esg_pipeline.cli.home import settings_or_exit
from esg_pipeline.exit_codes import ExitCode


@click.group()
def alerts() -> None:
    """Try the channels by which people hear of a bad morning."""


@alerts.command()
def test() -> None:
    """Send one test through each channel and say, per channel, what became of it."""
    from esg_pipeline.alerts import test_channels

    results = test_channels(settings_or_exit(), clock.now_utc())
    for result in results:
        click.echo(f"{result.channel:12} {'ok' if result.is_fine else 'FAILED':7} {result.text}")
    all_work = all(result.is_fine for result in results)
    sys.exit(ExitCode.DELIVERED if all_work else ExitCode.FAILED)
