"""`esg-pipeline doctor`: every dependency tried with a real round trip, one line each."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from esg_pipeline.cli.home import first_line, settings_or_exit
from esg_pipeline.exit_codes import ExitCode
from esg_pipeline.settings import Settings

if TYPE_CHECKING:
    from esg_pipeline.delivery import Store
    from esg_pipeline.ledger import Ledger

DAYS_LOOKED_BACK = 7


class NotWorking(Exception):
    """A part that answers, and says that something is wrong."""


class NotInUse(Exception):
    """A part that is not set up: fine on a desk, not in production."""


@click.command()
def doctor() -> None:
    """Try the account source, the API, the store, the ledger and Dagster; say what is wrong.

    Exit code 0: everything works; 1: something does not.
    """
    settings = settings_or_exit(for_run=True)
    click.echo("settings   ok      every setting is known and valid")
    all_work = True
    for name, check in _checks(settings):
        state = "ok"
        try:
            said = check()
        except NotInUse as missing:
            state, said = "warning", str(missing)
        except Exception as error:
            state, said, all_work = "BROKEN", first_line(error), False
        click.echo(f"{name:10} {state:7} {said}")
    sys.exit(ExitCode.DELIVERED if all_work else ExitCode.FAILED)


def _checks(settings: Settings) -> Iterator[tuple[str, Callable[[], str]]]:
    from esg_pipeline.accounts import open_account_source
    from esg_pipeline.defs.s3_client import s3_client
    from esg_pipeline.delivery import DeliveryError, open_store
    from esg_pipeline.ledger import Ledger
    from esg_pipeline.scoring import check_api

    def store() -> str:
        opened = open_store(settings, s3_client=s3_client)
        opened.preflight()
        return f"{opened.describe()}: wrote, read back and deleted"

    def ledger() -> str:
        with closing(Ledger.open(settings.ledger_location)) as opened:
            said = opened.check()
            with suppress(DeliveryError):  # the line of the store says it
                _check_editions(opened, open_store(settings, s3_client=s3_client))
            return said

    yield "accounts", lambda: open_account_source(settings).check()
    yield "api", lambda: check_api(settings)
    yield "store", store
    yield "ledger", ledger
    yield "dagster", _dagster
    yield "daemon", _daemon
    yield "alerts", lambda: _alerts(settings)


def _check_editions(ledger: "Ledger", store: "Store") -> None:
    """The last delivery on the store must be one of this ledger's."""
    from esg_pipeline import clock
    from esg_pipeline.delivery import editions

    for ago in range(DAYS_LOOKED_BACK):
        day = clock.business_date(clock.now_utc()) - timedelta(days=ago)
        if delivered := editions(store, day):
            if ledger.editions.find(day, delivered[-1]) is None:
                raise NotWorking(
                    f"the store has edition {delivered[-1]} of {day}, which {ledger.place} does "
                    "not know: is ESG_LEDGER_URL another one's, or was the ledger lost?"
                )
            return


def _dagster() -> str:
    import dagster as dg

    from esg_pipeline.definitions import defs

    with dg.DagsterInstance.get() as instance:
        if not instance.run_retries_enabled:
            raise NotWorking(
                "run_retries is off in dagster.yaml: a run whose process dies waits for a person. "
                "Set `run_retries: {enabled: true, max_retries: 0}`"
            )
        runs = instance.get_runs_count()
        job = defs.resolve_job_def("daily_esg_ratings")
        return f"{instance.root_directory}: {runs} runs; job {job.name} loads"


def _daemon() -> str:
    from esg_pipeline.cli.watchdog import daemon_has_run, silent_daemons

    if not daemon_has_run():
        raise NotInUse("dagster-daemon has never run here, so nothing starts at 05:00 by itself")
    if problems := silent_daemons(time.time()):
        raise NotWorking("; ".join(problems))
    return "every daemon sent a heartbeat lately"


def _alerts(settings: Settings) -> str:
    from esg_pipeline.alerts import check_channels

    results = check_channels(settings)
    said = "; ".join(f"{each.channel}: {each.text}" for each in results)
    if all(each.channel == "settings" for each in results):
        raise NotInUse(said)
    if not all(each.is_fine for each in results):
        raise NotWorking(said)
    return said
