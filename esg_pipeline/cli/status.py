"""`esg-pipeline status`: today and the last 14 days on one screen."""

import sys

import click

from esg_pipeline import clock
from esg_pipeline.cli.home import opened_ledger, settings_or_exit, today

DAYS = 14


@click.command()
def status() -> None:
    """Show today and the last 14 days: editions, counts, duration, open alerts."""
    from rich.console import Console
    from rich.table import Table

    settings = settings_or_exit()
    with opened_ledger(settings) as ledger:
        holder = ledger.holder(today())
        days = {edition.day: edition for edition in ledger.recent_days(DAYS)}
        alerts = [each for each in ledger.open_alerts() if each.condition != "recovered"]
    console = Console(width=None if sys.stdout.isatty() else 120)
    if holder is None:
        console.print(f"{today()}: no run is at work")
    else:
        console.print(f"{today()}: at work: {holder}", markup=False)
    table = Table("Date", "Edition", "State", "Successful", "Partial", "Failed", "Delivered (CT)")
    table.add_column("Seconds", justify="right")
    for day, edition in sorted(days.items(), reverse=True):
        delivered = edition.delivered_at
        counts = (edition.successful, edition.partial, edition.failed)
        table.add_row(
            str(day),
            str(edition.number),
            edition.state.value,
            *("" if count is None else str(count) for count in counts),
            f"{delivered.astimezone(clock.CENTRAL):%Y-%m-%d %H:%M:%S}" if delivered else "",
            f"{edition.duration_s:.0f}" if edition.duration_s is not None else "",
        )
    console.print(table)
    for alert in alerts:
        console.print(f"open alert: {alert.day} {alert.condition}, since {alert.raised_at} UTC")
