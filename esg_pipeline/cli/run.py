"""`esg-pipeline run`: the Dagster job for a date, in this process or queued to the daemon."""

import csv
import fcntl
import json
import logging
import os
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from esg_pipeline.cli.home import (
    date_option,
    end,
    first_line,
    login_name,
    opened_ledger,
    settings_or_exit,
)
from esg_pipeline.exit_codes import ExitCode
from esg_pipeline.safe_text import mask
from esg_pipeline.settings import Settings

if TYPE_CHECKING:
    from dagster import DagsterInstance

STOPPED = "stopped. What was answered is kept; the same command goes on from there"


def _ids(text: str) -> list[str]:
    """The ids of a list with commas or line ends; spaces and commas of an id need quotes."""
    try:
        rows = list(csv.reader(text.splitlines(), skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise click.UsageError(f"--accounts: {error}; write --accounts 'ID,\"ID, too\"'") from None
    ids = [each for row in rows for each in row]
    return [each for each in (ids if '"' in text else map(str.strip, ids)) if each]


@click.command()
@date_option
@click.option(
    "--accounts",
    metavar="ID,ID…",
    help="Ask again for these accounts only. "
    "An id with a comma or with spaces around it: '\"A,1\",B2'.",
)
@click.option("--failed-only", is_flag=True, help="Ask again for the accounts that Failed.")
@click.option("--by", metavar="NAME", help="Who asks for this run.")
@click.option("--reason", metavar="TEXT", help="Why; with --by it releases a held list.")
@click.option("--submit", is_flag=True, help="Queue the run to the Dagster daemon instead.")
def run(
    day: date,
    accounts: str | None,
    failed_only: bool,
    by: str | None,
    reason: str | None,
    submit: bool,
) -> None:
    """Rate the active accounts of a date and deliver the report.

    A date that a dead run left half done is finished, without asking again for what was
    answered. A delivered date gets a new edition.
    """
    ids = _ids(accounts or "")
    if accounts is not None and not ids:
        raise click.UsageError("--accounts names no account; write --accounts ID,ID")
    if ids and failed_only:
        raise click.UsageError("--accounts and --failed-only exclude each other")
    if (by is None) != (reason is None):
        raise click.UsageError("--by and --reason go together")
    settings = settings_or_exit(for_run=True)
    asked = {
        "failed_only": failed_only,
        "accounts": ids,
        "by": by or login_name(),
        "reason": reason,
    }
    if ids or failed_only:
        _check_can_ask_again(settings, day, asked)
    if submit:
        _submit(day, asked)
    else:
        sys.exit(run_here(settings, day, asked))


def _check_can_ask_again(settings: Settings, day: date, asked: dict[str, Any]) -> None:
    from esg_pipeline.daily_run import NothingToAskAgain, RunOrder, check_can_ask_again

    request = RunOrder(asked["failed_only"], tuple(asked["accounts"]))
    with opened_ledger(settings) as ledger:
        begun = next(
            (each for each in ledger.editions.of_day(day) if each.delivered_at is None), None
        )
        if begun is not None and begun.mode != request.mode:
            click.echo(
                f"{day}: edition {begun.number} is not delivered yet and is finished first, as "
                f"{begun.mode}; ask again for what you want when it is.",
                err=True,
            )
            return
        try:
            check_can_ask_again(ledger, day, request)
        except NothingToAskAgain as nothing:
            end(ExitCode.DELIVERED if nothing.is_fine else ExitCode.USAGE, str(nothing))


def _run_config(asked: dict[str, Any]) -> dict[str, Any]:
    config = {name: value for name, value in asked.items() if value}
    return {"ops": {"active_accounts": {"config": config}}}


def _submit(day: date, asked: dict[str, Any]) -> None:
    from esg_pipeline.cli.watchdog import silent_daemons

    command = [
        sys.executable, "-m", "dagster", "job", "launch",
        "-m", "esg_pipeline.definitions", "-j", "daily_esg_ratings",
        "--tags", json.dumps({"dagster/partition": day.isoformat()}),
        "--config-json", json.dumps(_run_config(asked)),
    ]  # fmt: skip
    launched = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own interpreter, fixed words)
    if launched.returncode:
        lines = [line for line in launched.stderr.splitlines() if line.strip()[:1] not in ("", "(")]
        end(ExitCode.FAILED, f"{day}: the run could not be queued: {(lines or ['no message'])[-1]}")
    click.echo(f"{day}: queued. The Dagster daemon starts it; Dagster's page shows it.")
    for problem in silent_daemons(time.time()):
        click.echo(f"It waits: {problem}", err=True)


def run_here(settings: Settings, day: date, asked: dict[str, Any]) -> ExitCode:
    """Execute the job in this process on the instance of DAGSTER_HOME.

    Returns:
        The exit code; everything a person needs to know has been said.
    """

    from esg_pipeline.cli.progress_bar import show_progress
    from esg_pipeline.daily_run.endings import ending_named
    from esg_pipeline.definitions import defs
    from esg_pipeline.defs.failed_step import OUTCOME_TAG

    # Standard output is for people here; the JSON log is in the file.
    os.environ.setdefault("ESG_LOG_STDOUT", "false")
    # A date that another run holds skips the checks of later steps, which Dagster finds odd.
    logging.getLogger("dagster._core.execution.plan.active").setLevel(logging.ERROR)
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    job = defs.resolve_job_def("daily_esg_ratings")
    try:
        with _opened_instance() as instance:
            with show_progress(Path(os.environ["DAGSTER_HOME"]) / "stderr.log"):
                result = job.execute_in_process(
                    run_config=_run_config(asked) | quiet,
                    instance=instance,
                    partition_key=day.isoformat(),
                    raise_on_error=False,
                )
            stored = instance.get_run_by_id(result.run_id)
    except Exception as error:  # whatever Dagster or its database has to say
        home = os.environ["DAGSTER_HOME"]
        end(ExitCode.FAILED, f"Dagster's instance in {home} cannot be used: {first_line(error)}")
    ending = ending_named(stored.tags.get(OUTCOME_TAG, "") if stored else "")
    if ending.exit_code is ExitCode.ALREADY_RUNNING:
        click.echo(f"{day}: another run already works on this date; no call was made.", err=True)
        return ending.exit_code
    if result.success:
        return _say_delivered(settings, day)
    click.echo(_why(result), err=True)
    if ending.exit_code is ExitCode.USAGE:
        return ending.exit_code
    page = f"{settings.dagster_url}/runs/" if settings.dagster_url else "Dagster run "
    click.echo(f"Details: {page}{result.run_id}", err=True)
    if _has_delivered(settings, day, result.run_id):
        click.echo("The report itself is delivered:", err=True)
        return _say_delivered(settings, day)
    return ending.exit_code


def _opened_instance() -> "DagsterInstance":
    """Open Dagster's instance; one process at a time, because its first user makes its tables."""
    import dagster as dg

    with (Path(os.environ["DAGSTER_HOME"]) / ".opening").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        instance = dg.DagsterInstance.get()
        _ = instance.run_storage, instance.event_log_storage, instance.schedule_storage
        return instance


def _has_delivered(settings: Settings, day: date, run_id: str) -> bool:
    with opened_ledger(settings) as ledger:
        edition = ledger.editions.newest_delivered(day)
    return edition is not None and edition.run_id == run_id


def _why(result: Any) -> str:
    """The first failed step's own words, without secrets."""
    for event in result.all_events:
        if event.is_step_failure:
            failure = event.step_failure_data
            if failure.user_failure_data and failure.user_failure_data.description:
                return mask(str(failure.user_failure_data.description))
            return f"{event.step_key}: {_root(failure.error)}"
        if event.is_job_failure and event.job_failure_data.error:
            return _root(event.job_failure_data.error)
    return "the run ended before its first step"


def _root(error: Any) -> str:
    while error.cause:
        error = error.cause
    if error.cls_name == "DagsterExecutionInterruptedError":
        return STOPPED
    return mask(str(error.message)).strip()


def _say_delivered(settings: Settings, day: date) -> ExitCode:
    from esg_pipeline.delivery.layout import report_name
    from esg_pipeline.failure_share import failure_share, is_too_much

    with opened_ledger(settings) as ledger:
        edition = ledger.editions.newest_delivered(day)
        alerts = {each.condition for each in ledger.outbox.open_alerts() if each.day == day}
    alerts -= {"recovered"}
    if edition is None:
        end(ExitCode.FAILED, f"{day}: the run ended, but no edition is delivered")
    successful, partial, failed = edition.successful or 0, edition.partial or 0, edition.failed or 0
    total = successful + partial + failed
    click.echo(
        f"{report_name(day)}, edition {edition.number}: {total} accounts, "
        f"{successful} Successful, {partial} Partial, {failed} Failed"
    )
    click.echo(f"Store: {settings.store_location}")
    if alerts:
        click.echo(f"Open alerts: {', '.join(sorted(alerts))}; docs/runbook.md says what to do.")
    if is_too_much(failed, total, settings.failure_threshold):
        click.echo(
            f"{failure_share(failed, total):.2%} of the accounts failed, more than "
            f"{settings.failure_threshold:.2%}. The error log says why; ask again with "
            f"`esg-pipeline run --date {day} --failed-only`.",
            err=True,
        )
        return ExitCode.DELIVERED_ABOVE_THRESHOLD
    return ExitCode.DELIVERED
