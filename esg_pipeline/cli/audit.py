"""`esg-pipeline audit`: is the audit trail whole, and a copy of it for an examiner."""

from typing import TextIO

import click

from esg_pipeline.cli.home import by_option, end, opened_ledger, settings_or_exit
from esg_pipeline.exit_codes import ExitCode


@click.group()
def audit() -> None:
    """Check and export the audit trail."""


@audit.command()
def verify() -> None:
    """Check the hash chain from the first entry to the last; name the first broken one."""
    with opened_ledger(settings_or_exit()) as ledger:
        broken = ledger.audit.first_broken()
        entries, _ = ledger.audit.head()
    if broken is not None:
        end(
            ExitCode.FAILED,
            f"audit trail: entry {broken} was changed or removed; what follows it proves nothing. "
            "Compare with the last export or backup, and tell the security officer.",
        )
    click.echo(f"audit trail: {entries} entries, the chain is whole")


@audit.command()
@click.option("--format", "kind", type=click.Choice(["csv", "json"]), default="csv")
@click.option("--out", type=click.File("w", encoding="utf-8"), default="-", help="Default stdout.")
@by_option
def export(kind: str, out: TextIO, by: str) -> None:
    """Write all entries as CSV or as JSON lines; the export itself is logged too."""
    with opened_ledger(settings_or_exit()) as ledger:
        ledger.audit.append(by, "export audit trail", outcome="done", details={"format": kind})
        count = ledger.audit.export(out, "csv" if kind == "csv" else "json")
    click.echo(f"{count} entries exported", err=True)
