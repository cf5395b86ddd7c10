"""`esg-pipeline watchdog`: the third net, for a timer outside Dagster.

It looks at the ledger and at the heartbeats of Dagster's daemon, raises and sends what is wrong,
and exits non-zero, so that the timer's own failure hook fires too. It starts and stops nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

import click

from esg_pipeline import clock
from esg_pipeline.cli.home import end, settings_or_exit
from esg_pipeline.exit_codes import ExitCode
from esg_pipeline.settings import Settings

if TYPE_CHECKING:
    from dagster._daemon.types import DaemonHeartbeat

HEARTBEAT_MAX_AGE_S = 120
"""Dagster itself takes a daemon for alive until half an hour after its last heartbeat."""
INSTANCE_S = 30.0
"""How long Dagster's database may take to say when its daemons were last alive."""
NEEDED_DAEMONS = ("SCHEDULER", "SENSOR", "QUEUED_RUN_COORDINATOR", "EVENT_LOG_CONSUMER")
"""They start the day, watch it, launch its run and start a crashed one again."""
TOLD_FILE = "told_without_ledger"
"""In the Dagster home: the day whose missing ledger people have heard of."""


@click.command()
def watchdog() -> None:
    """Check from outside Dagster that the day has begun, is delivered, and the daemon lives.

    Run it every few minutes by systemd or cron. Exit code 0: all is well; 1: something is not.
    """
    settings = settings_or_exit()
    now = clock.now_utc()
    silent = silent_daemons(now.timestamp())
    problems = [*_problems_of_the_day(settings, now, silent), *silent]
    if problems:
        end(ExitCode.FAILED, "\n".join(problems))
    click.echo(f"{clock.business_date(now)}: all is well")


def _problems_of_the_day(settings: Settings, now: datetime, silent: Sequence[str]) -> list[str]:
    from esg_pipeline.alerts import count_unsent, send_due
    from esg_pipeline.daily_run.watch import judge_day, judge_silence, raise_troubles
    from esg_pipeline.ledger import Ledger, LedgerUnavailable
    from esg_pipeline.observability.metrics import push_outbox_depth

    day = clock.business_date(now)
    try:
        ledger = Ledger.open(settings.ledger_location)
        try:
            troubles = judge_day(ledger, settings, day, now)
            raise_troubles(ledger, day, [*troubles, *judge_silence(ledger, day, now, silent)])
            send_due(ledger, settings, now, dagster_url=settings.dagster_url)
            push_outbox_depth(settings, count_unsent(ledger, settings))
        finally:
            ledger.close()
    except LedgerUnavailable as error:
        cause = f"the ledger cannot be reached: {error}"
        _tell_without_ledger(settings, day, now, cause)
        return [f"{day}: {cause}"]
    return [f"{day}: {each.condition}: {each.cause}" for each in troubles]


def _tell_without_ledger(settings: Settings, day: date, now: datetime, cause: str) -> None:
    """Send it at once, and not again each time the timer comes round this day.

    A home that does not last forgets it; then the mail comes again, with the same Message-ID.
    """
    from esg_pipeline.alerts import AlertFacts, Condition, send_without_ledger

    told = settings.home / TOLD_FILE
    if told.exists() and told.read_text() == str(day):
        return
    facts = AlertFacts(since=now, cause=cause)
    results = send_without_ledger(settings, day, Condition.RUN_FAILED, facts)
    if any(each.is_fine for each in results):
        told.write_text(str(day))


def daemon_has_run() -> bool:
    """Whether a Dagster daemon has ever sent a heartbeat on this instance."""
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        return bool(instance.get_daemon_heartbeats())


def silent_daemons(now: float) -> list[str]:
    """One line for each daemon that is needed and has sent no heartbeat lately.

    Args:
        now: Seconds since the epoch.
    """
    from esg_pipeline.alerts.bounded import run_bounded

    beats = run_bounded({"dagster": _heartbeats}, timeout_s=INSTANCE_S).get("dagster", "no answer")
    if isinstance(beats, str):
        return [f"dagster: its instance cannot be read ({beats}); see its database"]
    problems = []
    for name in NEEDED_DAEMONS:
        beat = beats.get(name)
        if beat is None:
            problems.append(f"dagster-daemon {name}: has never sent a heartbeat; start it")
        elif (age := now - beat.timestamp) > HEARTBEAT_MAX_AGE_S:
            problems.append(f"dagster-daemon {name}: silent for {age:.0f} s; restart it")
    return problems


def _heartbeats() -> "Mapping[str, DaemonHeartbeat] | str":
    """By daemon; or what went wrong."""
    import dagster as dg

    try:
        with dg.DagsterInstance.get() as instance:
            return instance.get_daemon_heartbeats()
    except Exception as error:  # whatever its database has to say
        return type(error).__name__
