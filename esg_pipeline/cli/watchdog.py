"""`esg-pipeline watchdog`: the third net, for a timer outside Dagster.

It looks at the ledger and at the heartbeats of Dagster's daemon, raises and sends what is wrong,
and exits non-zero, so that the timer's own failure hook fires too.
"""

import time
from datetime import datetime

import click

from esg_pipeline import clock
from esg_pipeline.cli.home import ExitCode, end, settings_or_exit
from esg_pipeline.settings import Settings

HEARTBEAT_MAX_AGE_S = 120
"""Dagster itself takes a daemon for alive until half an hour after its last heartbeat."""
NEEDED_DAEMONS = ("SCHEDULER", "SENSOR", "QUEUED_RUN_COORDINATOR")


@click.command()
def watchdog() -> None:
    """Check from outside Dagster that the day has begun, is delivered, and the daemon lives.

    Run it every few minutes by systemd or cron. Exit code 0: all is well; 1: something is not.
    """
    settings = settings_or_exit()
    now = clock.now_utc()
    problems = [*_problems_of_the_day(settings, now), *silent_daemons(time.time())]
    if problems:
        end(ExitCode.FAILED, "\n".join(problems))
    click.echo(f"{clock.business_date(now)}: all is well")


def _problems_of_the_day(settings: Settings, now: datetime) -> list[str]:
    from esg_pipeline.alerting import judge_day, raise_findings
    from esg_pipeline.alerts import (
        AlertFacts,
        Condition,
        count_unsent,
        send_due,
        send_without_ledger,
    )
    from esg_pipeline.ledger import Ledger, LedgerUnavailable
    from esg_pipeline.observability.metrics import push_outbox_depth

    day = clock.business_date(now)
    try:
        ledger = Ledger.open(settings.ledger_location)
        try:
            findings = judge_day(ledger, settings, day, now)
            raise_findings(ledger, day, findings)
            send_due(ledger, settings, now, dagster_url=settings.dagster_url)
            push_outbox_depth(settings, count_unsent(ledger, settings))
        finally:
            ledger.close()
    except LedgerUnavailable as error:
        facts = AlertFacts(since=now, cause=f"the ledger cannot be reached: {error}")
        send_without_ledger(settings, day, Condition.RUN_FAILED, facts)
        return [f"{day}: {facts.cause}"]
    return [f"{day}: {each.condition}: {each.cause}" for each in findings]


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
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        beats = instance.get_daemon_heartbeats()
    problems = []
    for name in NEEDED_DAEMONS:
        beat = beats.get(name)
        if beat is None:
            problems.append(f"dagster-daemon {name}: has never sent a heartbeat; start it")
        elif (age := now - beat.timestamp) > HEARTBEAT_MAX_AGE_S:
            problems.append(f"dagster-daemon {name}: silent for {age:.0f} s; restart it")
    return problems
