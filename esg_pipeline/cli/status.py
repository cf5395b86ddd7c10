"""`esg-pipeline status`: today and the last 14 days on one screen."""

from collections.abc import Collection
from datetime import date, timedelta

import click

from esg_pipeline import clock
from esg_pipeline.cli.home import opened_ledger, settings_or_exit, today

DAYS = 14
HEAD: tuple[str, ...] = (
    *("Date", "Edition", "State", "Successful", "Partial", "Failed", "Delivered (CT)", "Seconds"),
)


def _since_the_first(days: Collection[date]) -> set[date]:
    """The last days, without those before the first edition: a gap is a missed day."""
    last = {today() - timedelta(days=n) for n in range(DAYS)}
    return {day for day in last if days and day > min(days)}


@click.command()
def status() -> None:
    """Show today and the last 14 days: editions, counts, duration, open alerts."""
    from esg_pipeline.cli.tables import print_table

    settings = settings_or_exit()
    with opened_ledger(settings) as ledger:
        holder = ledger.leases.holder(today())
        days = {edition.day: edition for edition in ledger.editions.recent_days(DAYS)}
        readers_have = {
            day: newest
            for day, edition in days.items()
            if edition.previous and (newest := ledger.editions.newest_delivered(day))
        }
        alerts = [each for each in ledger.outbox.open_alerts() if each.condition != "recovered"]
    if holder is None:
        click.echo(f"{today()}: no run is at work")
    elif holder.is_dead:
        click.echo(f"{today()}: no run is at work; the last one died: {holder}")
    else:
        click.echo(f"{today()}: at work: {holder}")
    lines = [HEAD]
    for day in sorted(days.keys() | _since_the_first(days), reverse=True):
        if (edition := days.get(day)) is None:
            lines.append((str(day), "", "nothing", *[""] * 5))
            continue
        state = edition.state.value
        if edition.delivered_at is None and day in readers_have:
            state = f"delivered; edition {edition.number} is {state}"
            edition = readers_have[day]
        delivered = edition.delivered_at
        counts = (edition.successful, edition.partial, edition.failed)
        line = (
            str(day),
            str(edition.number),
            state,
            *("" if count is None else str(count) for count in counts),
            f"{delivered.astimezone(clock.CENTRAL):%Y-%m-%d %H:%M:%S}" if delivered else "",
            f"{edition.duration_s:.0f}" if edition.duration_s is not None else "",
        )
        lines.append(line)
    print_table(lines)
    for alert in alerts:
        since = f"{alert.raised_at.astimezone(clock.CENTRAL):%Y-%m-%d %H:%M:%S} CT"
        click.echo(f"open alert: {alert.day} {alert.condition}, since {since}")
