"""`esg-pipeline report`: fetch, show, verify and rebuild a delivered report; the days' history.

Each look at account data is written to the audit trail: who, when, which edition, how it ended.
"""

import csv
import hashlib
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from esg_pipeline.cli.home import by_option, date_option, end, opened_ledger, settings_or_exit
from esg_pipeline.exit_codes import ExitCode
from esg_pipeline.safe_text import visible
from esg_pipeline.settings import Settings, SettingsError

if TYPE_CHECKING:
    from esg_pipeline.ledger import Ledger

SHOWN_ROWS = 10
out_folder = click.Path(file_okay=False, path_type=Path)


@click.group()
def report() -> None:
    """Fetch, show, verify and rebuild delivered reports."""


@contextmanager
def _audited(settings: Settings, by: str, action: str, day: date | None) -> Iterator["Ledger"]:
    """Log the action with its outcome; a failure ends the command with its one line.

    Without the ledger nothing is shown, because nothing could be logged.

    Args:
        day: None when the action is about all days.
    """
    from esg_pipeline.daily_run import NothingToRebuild
    from esg_pipeline.delivery import DeliveryError

    with opened_ledger(settings) as ledger:
        newest = ledger.editions.newest_delivered(day) if day else None
        edition = newest.number if newest else None
        try:
            yield ledger
        except (DeliveryError, NothingToRebuild, OSError, SettingsError) as error:
            ledger.audit.append(by, action, day=day, edition=edition, outcome="failed")
            end(ExitCode.FAILED, str(error))
        ledger.audit.append(by, action, day=day, edition=edition, outcome="done")


@report.command()
@date_option
@click.option("--out", type=out_folder, required=True, help="Folder.")
@by_option
def fetch(day: date, out: Path, by: str) -> None:
    """Decrypt and verify a date's files and write them to a folder, readable by you only."""
    from esg_pipeline.delivery import fetch as fetch_files
    from esg_pipeline.delivery import open_store, trusted_keys

    settings = settings_or_exit()
    with _audited(settings, by, "fetch", day):
        trusted = trusted_keys(settings.keys_folder)
        for path in fetch_files(open_store(settings), day, out, trusted=trusted):
            click.echo(path)


@report.command()
@date_option
@click.option("--rows", default=SHOWN_ROWS, show_default=True, help="Rows of the report.")
@by_option
def show(day: date, rows: int, by: str) -> None:
    """Say what was delivered for a date, and show the first rows."""
    from esg_pipeline.delivery import open_store, trusted_keys
    from esg_pipeline.delivery.layout import report_name
    from esg_pipeline.delivery.verification import open_delivery

    settings = settings_or_exit()
    with _audited(settings, by, "show", day):
        trusted = trusted_keys(settings.keys_folder)
        manifest, files = open_delivery(open_store(settings), day, trusted=trusted, edition=None)
        content = dict(files)[report_name(day)]
    counts = ", ".join(f"{count} {status}" for status, count in manifest["counts"].items())
    click.echo(f"{report_name(day)}, edition {manifest['edition']}, {manifest['label']}")
    click.echo(f"{manifest['rows']} accounts: {counts}")
    click.echo(f"Dagster run {manifest['run_id']}, code {manifest['code_version']}")
    print_rows(content, rows)


@report.command()
@date_option
def verify(day: date) -> None:
    """Check hashes, signature, counts and encryption of a date's delivery."""
    from esg_pipeline.delivery import DeliveryError, open_store, trusted_keys
    from esg_pipeline.delivery import verify as verify_delivery

    settings = settings_or_exit()
    try:
        trusted = trusted_keys(settings.keys_folder)
        manifest = verify_delivery(open_store(settings), day, trusted=trusted).manifest
    except (DeliveryError, SettingsError) as error:
        end(ExitCode.FAILED, str(error))
    click.echo(
        f"{day}: edition {manifest['edition']} is whole: {len(manifest['files'])} files, "
        f"{manifest['rows']} rows, hashes and signature are right"
    )


@report.command()
@date_option
@click.option("--edition", type=int, help="Default: the newest delivered.")
@click.option("--out", type=out_folder, help="Also write there.")
@by_option
def rebuild(day: date, edition: int | None, out: Path | None, by: str) -> None:
    """Make an edition again from the ledger and compare it with what was delivered."""
    from esg_pipeline.daily_run import rebuild_files
    from esg_pipeline.delivery import open_store
    from esg_pipeline.delivery.durable_files import replace_private
    from esg_pipeline.delivery.layout import file_stem

    settings = settings_or_exit()
    with _audited(settings, by, "rebuild", day) as ledger:
        made, files = rebuild_files(ledger, open_store(settings), settings, day, edition)
        delivered = {each["name"]: each["sha256"] for each in (made.manifest or {})["files"]}
        same = True
        for suffix, content in files.items():
            name = file_stem(day) + suffix
            is_same = hashlib.sha256(content).hexdigest() == delivered.get(name)
            same &= is_same
            click.echo(f"{name}: {'the same bytes' if is_same else 'DIFFERS from the delivery'}")
            if out is not None:
                out.mkdir(parents=True, exist_ok=True, mode=0o700)
                replace_private(out / name, content)
    sys.exit(ExitCode.DELIVERED if same else ExitCode.FAILED)


@report.command()
@click.option("--out", type=out_folder, required=True, help="Folder.")
@by_option
def history(out: Path, by: str) -> None:
    """Write the numbers of all delivered days: a table for BI tools, and the trend page."""
    from esg_pipeline.daily_run import NothingToRebuild, history_files
    from esg_pipeline.daily_run import history as days
    from esg_pipeline.delivery.durable_files import replace_private

    settings = settings_or_exit()
    with _audited(settings, by, "history", None) as ledger:
        rows = days(ledger)
        if not rows:
            raise NothingToRebuild("no date is delivered yet; run one first")
        for name, content in history_files(rows).items():
            path = out / Path(name).name
            replace_private(path, content)
            click.echo(path)


def print_rows(content: bytes, rows: int) -> None:
    """Print the first rows of a report as a table."""
    from esg_pipeline.cli.tables import print_table

    lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    print_table([[visible(cell) for cell in line] for line in islice(lines, rows + 1)])
