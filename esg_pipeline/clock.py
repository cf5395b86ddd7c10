"""The business day in Central Time: which date it is, when it starts, when it must be over.

Everything is computed from the date, so that both DST days have their 05:00 and 09:00 local
(docs/design.md#deadline). Nothing here reads the clock: `now` is an argument.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

CENTRAL = ZoneInfo("America/Chicago")
SCHEDULED_START = time(5, 0)
START_WATCH = time(5, 15)
MANUAL_RUN_TIME = timedelta(hours=4)
"""What a manual run outside the window gets from its start (docs/design.md#deadline)."""


def now_utc() -> datetime:
    """The wall clock, UTC. The one place that reads it; callers pass the value on."""
    return datetime.now(UTC)


def business_date(now: datetime) -> date:
    """The Central date at `now` (aware)."""
    return now.astimezone(CENTRAL).date()


def central_time(day: date, at: time) -> datetime:
    """The instant of a Central wall-clock time on a day, as UTC."""
    return datetime.combine(day, at, tzinfo=CENTRAL).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class RunWindow:
    """The time one run may use.

    Attributes:
        started_at: UTC.
        calls_end_at: After this no new API call (deadline minus reserve), UTC.
        deadline_at: After this nothing is published by this run, UTC.
        label: "scheduled", "late" (scheduled, but started at 05:15 or later) or "manual".
    """

    started_at: datetime
    calls_end_at: datetime
    deadline_at: datetime
    label: str


class WindowHasPassed(Exception):
    """A scheduled run started after its deadline: it must refuse (docs/design.md#deadline)."""


def run_window(
    day: date, started_at: datetime, *, deadline: time, reserve_s: float, scheduled: bool
) -> RunWindow:
    """Give the window of a run of `day` that starts at `started_at` (aware).

    A scheduled run always ends at the day's deadline, however late it starts. A manual run does
    so too when it starts inside the window; outside it has four hours from its start, cut at the
    day's deadline if that comes first. A reserve longer than half the time left is cut to half,
    so that a late start still makes calls.

    Raises:
        WindowHasPassed: scheduled, and the deadline is over.
    """
    started_at = started_at.astimezone(UTC)
    day_deadline = central_time(day, deadline)
    if scheduled and started_at >= day_deadline:
        raise WindowHasPassed(
            f"{day}: the scheduled run started at {started_at:%H:%M:%S} UTC, after the deadline "
            f"{deadline:%H:%M} Central. Nothing was done; start it by hand with "
            f"`esg-pipeline run --date {day}` if the report is still wanted."
        )
    if scheduled or central_time(day, SCHEDULED_START) <= started_at < day_deadline:
        deadline_at = day_deadline
    else:
        deadline_at = started_at + MANUAL_RUN_TIME
        if started_at < day_deadline < deadline_at:
            deadline_at = day_deadline
    reserve = min(timedelta(seconds=reserve_s), (deadline_at - started_at) / 2)
    late = started_at >= central_time(day, START_WATCH)
    label = ("late" if late else "scheduled") if scheduled else "manual"
    return RunWindow(started_at, deadline_at - reserve, deadline_at, label)
