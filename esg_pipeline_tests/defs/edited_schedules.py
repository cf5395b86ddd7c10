"""The deployment as it looks after somebody has edited the cron text; loaded when asked for."""

import dagster as dg

from esg_pipeline.defs.schedule import daily_esg_ratings, every_day_at_five

# ruff: noqa: PLC0415 - to load the definitions takes seconds and warns, so it waits for a test
CRON_TEXTS = {"at_half_past_six": "30 6 * * *", "at_five_in_other_words": "00 05 * * *"}


def ask_for_the_day(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """What the schedule does; the edit leaves it alone."""
    return every_day_at_five(context)


def deployed(cron_text: str) -> dg.Definitions:
    """Everything as it is, but for the schedule's cron text."""
    from esg_pipeline.definitions import defs

    edited = dg.schedule(
        job=daily_esg_ratings,
        name=every_day_at_five.name,
        cron_schedule=cron_text,
        execution_timezone="America/Chicago",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )(ask_for_the_day)
    return dg.Definitions(
        assets=defs.assets, jobs=[daily_esg_ratings], schedules=[edited], resources=defs.resources
    )


def __getattr__(name: str) -> dg.Definitions:
    if name not in CRON_TEXTS:
        raise AttributeError(name)
    return deployed(CRON_TEXTS[name])
