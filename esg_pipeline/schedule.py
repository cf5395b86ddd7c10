"""The job and its 05:00 Central schedule."""

import dagster as dg

from esg_pipeline import clock
from esg_pipeline.assets import business_days
from esg_pipeline.resources import SCHEDULED_TAG

daily_esg_ratings = dg.define_asset_job(
    "daily_esg_ratings",
    selection=dg.AssetSelection.groups("esg_ratings"),
    partitions_def=business_days,
    # Scoring is one async asset; a process of its own for each step would only lose the lease.
    executor_def=dg.in_process_executor,
    description="Rates every active account of the business date and delivers the report.",
    tags={"dagster/max_retries": "3"},
)


@dg.schedule(
    job=daily_esg_ratings,
    cron_schedule="0 5 * * *",
    execution_timezone="America/Chicago",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="05:00 Central, every day: the run of that local date.",
)
def every_day_at_five(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Ask for the run of the tick's own date, however late the tick is evaluated."""
    day = clock.business_date(context.scheduled_execution_time)
    return dg.RunRequest(
        run_key=f"daily_esg_ratings:{day}",
        partition_key=day.isoformat(),
        tags={SCHEDULED_TAG: "true"},
    )
