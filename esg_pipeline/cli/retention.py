"""`esg-pipeline purge` and `legal-hold`: what is kept how long, and what must not go."""

from datetime import date, timedelta

import click

from esg_pipeline.cli.home import (
    BusinessDate,
    by_option,
    end,
    ends_with_one_line,
    opened_ledger,
    settings_or_exit,
    today,
)
from esg_pipeline.exit_codes import ExitCode


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would go; delete nothing.")
@by_option
def purge(dry_run: bool, by: str) -> None:
    """Delete reports, frames and results older than ESG_RETENTION_DAYS.

    Dates under a legal hold stay, and so does the audit trail.
    """
    from esg_pipeline.delivery import DeliveryError, delete_delivery, deliveries, open_store

    settings = settings_or_exit()
    first_kept = today() - timedelta(days=settings.retention_days)
    with opened_ledger(settings) as ledger, ends_with_one_line(DeliveryError):
        store = open_store(settings)
        held = set(ledger.retention.held_days())
        old = [day for day in deliveries(store) if day < first_kept and day not in held]
        files = sum(len(delete_delivery(store, day, dry_run=dry_run)) for day in old)
        report = ledger.retention.purge_before(first_kept, who=by, dry_run=dry_run)
    click.echo(
        f"{'Would delete' if dry_run else 'Deleted'} everything before {first_kept}: "
        f"{files} files of {len(old)} dates, {report.editions} editions and {report.results} "
        "results of the ledger"
    )
    for day in sorted(day for day in held if day < first_kept):
        click.echo(f"{day}: kept, under a legal hold")


@click.group("legal-hold")
def legal_hold() -> None:
    """Keep dates from being purged."""


reason_option = click.option("--reason", required=True, metavar="TEXT", help="Why; logged.")


@legal_hold.command()
@click.argument("day", type=BusinessDate())
@reason_option
@by_option
def place(day: date, reason: str, by: str) -> None:
    """Keep a date until the hold is released."""
    with opened_ledger(settings_or_exit()) as ledger, ends_with_one_line(ValueError):
        is_new = ledger.retention.place_hold(day, by, reason)
    click.echo(f"{day}: under a legal hold{'' if is_new else ' already'}")


@legal_hold.command()
@click.argument("day", type=BusinessDate())
@reason_option
@by_option
def release(day: date, reason: str, by: str) -> None:
    """Let a date be purged again when its time comes."""
    with opened_ledger(settings_or_exit()) as ledger, ends_with_one_line(ValueError):
        was_held = ledger.retention.release_hold(day, by, reason)
    if not was_held:
        end(ExitCode.FAILED, f"{day}: is not under a legal hold")
    click.echo(f"{day}: released")


@legal_hold.command("list")
def list_holds() -> None:
    """List the dates under a legal hold."""
    with opened_ledger(settings_or_exit()) as ledger:
        holds = ledger.retention.held_days()
    for day, hold in holds.items():
        click.echo(f"{day}  since {hold.placed_at:%Y-%m-%d}, {hold.placed_by}: {hold.reason}")
    if not holds:
        click.echo("no date is under a legal hold")
