"""The job and its 05:00 Central schedule."""

from datetime import UTC, date

import dagster as dg

from esg_pipeline import clock
from esg_pipeline.defs.this_run import SCHEDULED_TAG

TICK_TAG = "esg/tick"
"""Run tag with the tick that asked for the run: its time in UTC."""

daily_esg_ratings = dg.define_asset_job(
    "daily_esg_ratings",
    selection=dg.AssetSelection.groups("esg_ratings"),
    # Scoring is one async asset; a process of its own for each step would only lose the lease.
    executor_def=dg.in_process_executor,
    description="Rates every active account of the business date and delivers the report.",
    # A retry begins at the first asset, which knows what to do when the date is held by another
    # run or is delivered; what was frozen and answered is in store and ledger, not asked again.
    # The last two win over a firm's own dagster.yaml: what failed on purpose waits for a person,
    # and only our deadline ends a run (a limit of Dagster's counts from the start, saves nothing).
    tags={
        "dagster/max_retries": "3",
        "dagster/retry_strategy": "ALL_STEPS",
        "dagster/retry_on_asset_or_op_failure": "false",
        "dagster/max_runtime": "0",
    },
)


@dg.schedule(
    job=daily_esg_ratings,
    cron_schedule="0 5 * * *",
    execution_timezone="America/Chicago",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="05:00 Central, every day: the run of that local date.",
)
def every_day_at_five(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Ask for the run of the tick's own date, however late the tick is evaluated; one a date."""
    tick = context.scheduled_execution_time.astimezone(UTC).isoformat()
    day = clock.business_date(context.scheduled_execution_time)
    if _has_run_of_another_tick(context.instance, day, tick):
        return dg.SkipReason(f"{day}: another tick has started the run of this date already")
    return dg.RunRequest(
        run_key=f"daily_esg_ratings:{day}",
        partition_key=day.isoformat(),
        tags={SCHEDULED_TAG: "true", TICK_TAG: tick, "dagster/priority": "1"},
    )


def _has_run_of_another_tick(instance: dg.DagsterInstance, day: date, tick: str) -> bool:
    """Dagster's run key holds for one tick only: a cron text that is changed brings another."""
    filters = dg.RunsFilter(
        job_name=daily_esg_ratings.name,
        tags={SCHEDULED_TAG: "true", "dagster/partition": day.isoformat()},
    )
    return any(run.tags.get(TICK_TAG) != tick for run in instance.get_runs(filters))
