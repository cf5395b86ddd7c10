"""The business day: right on ordinary days, on both DST days, and across midnight UTC."""

import time as machine_time
from datetime import UTC, date, datetime, time, timedelta

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from esg_pipeline.clock import (
    CENTRAL,
    WindowHasPassed,
    business_date,
    central_time,
    now_utc,
    run_window,
)

NINE = time(9, 0)


def window(day, started_at, *, scheduled, reserve_s=600.0, deadline=NINE):
    return run_window(day, started_at, deadline=deadline, reserve_s=reserve_s, scheduled=scheduled)


@pytest.fixture
def machine_in_tokyo(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        machine_time.tzset()
        yield
    machine_time.tzset()


@pytest.mark.parametrize(
    ("day", "utc_hour_of_five", "utc_hour_of_nine"),
    [
        (date(2026, 3, 7), 11, 15),
        (date(2026, 3, 8), 10, 14),  # clocks go forward at 02:00
        (date(2026, 11, 1), 11, 15),  # clocks go back at 02:00
        (date(2026, 7, 1), 10, 14),
        (date(2028, 2, 29), 11, 15),
    ],
)
def test_five_and_nine_are_local_on_every_day(day, utc_hour_of_five, utc_hour_of_nine):
    start = central_time(day, time(5, 0))
    assert start == datetime(day.year, day.month, day.day, utc_hour_of_five, tzinfo=UTC)
    scheduled = window(day, start, scheduled=True)
    assert scheduled.deadline_at.hour == utc_hour_of_nine
    assert scheduled.deadline_at - start == timedelta(hours=4)


@pytest.mark.parametrize("day", [date(2026, 3, 8), date(2026, 11, 1), date(2026, 7, 1)])
def test_a_scheduled_run_ends_at_nine_local_though_it_started_before_the_clocks_changed(day):
    after_midnight = central_time(day, time(0, 30))
    assert window(day, after_midnight, scheduled=True).deadline_at == datetime.combine(
        day, NINE, tzinfo=CENTRAL
    ).astimezone(UTC)


def test_every_instant_is_utc_whatever_zone_the_machine_is_in(machine_in_tokyo):
    instant = datetime(2026, 6, 1, 10, 0, tzinfo=UTC)
    with time_machine.travel(instant, tick=False):
        started_at = now_utc()
    assert started_at == instant
    given_window = window(date(2026, 6, 1), started_at.astimezone(CENTRAL), scheduled=True)
    assert given_window.started_at == instant
    for at in (started_at, given_window.started_at, given_window.deadline_at):
        assert at.tzname() == "UTC"


def test_an_evening_in_central_time_is_not_the_next_day_of_utc():
    evening = datetime(2026, 6, 2, 0, 30, tzinfo=UTC)
    assert business_date(evening) == date(2026, 6, 1)


def test_a_late_scheduled_run_keeps_the_deadline_of_its_day_and_is_labelled():
    day = date(2026, 6, 1)
    late = window(day, central_time(day, time(8, 30)), scheduled=True)
    assert late.deadline_at == central_time(day, NINE)
    assert late.calls_end_at == central_time(day, time(8, 50))
    assert late.label == "late"
    assert window(day, central_time(day, time(5, 15)), scheduled=True).label == "late"
    assert window(day, central_time(day, time(5, 14, 59)), scheduled=True).label == "scheduled"


def test_a_scheduled_run_refuses_once_its_window_has_passed():
    day = date(2026, 6, 1)
    with pytest.raises(WindowHasPassed, match="esg-pipeline run --date 2026-06-01"):
        window(day, central_time(day, NINE), scheduled=True)


def test_a_manual_run_inside_the_window_ends_with_the_day_and_outside_has_four_hours():
    day = date(2026, 6, 1)
    inside = window(day, central_time(day, time(6, 0)), scheduled=False)
    assert inside.deadline_at == central_time(day, NINE)
    after = central_time(day, time(13, 0))
    assert window(day, after, scheduled=False).deadline_at == after + timedelta(hours=4)
    past_date = window(date(2026, 5, 1), after, scheduled=False)
    assert past_date.deadline_at == after + timedelta(hours=4)
    assert past_date.label == "manual"


def test_the_window_begins_at_five_sharp_and_is_over_at_the_deadline_itself():
    day = date(2026, 6, 1)
    ten = time(10, 0)
    at_five = window(day, central_time(day, time(5, 0)), scheduled=False, deadline=ten)
    assert at_five.deadline_at == central_time(day, ten)
    at_ten = window(day, central_time(day, ten), scheduled=False, deadline=ten)
    assert at_ten.deadline_at == central_time(day, time(14, 0))


def test_a_manual_run_before_dawn_is_cut_at_a_deadline_earlier_than_nine():
    day = date(2026, 6, 1)
    early = window(day, central_time(day, time(4, 30)), scheduled=False, deadline=time(8, 0))
    assert early.deadline_at == central_time(day, time(8, 0))


def test_a_manual_run_before_dawn_does_not_outlive_the_deadline():
    day = date(2026, 6, 1)
    early = window(day, central_time(day, time(4, 59)), scheduled=False)
    assert early.deadline_at == central_time(day, time(8, 59))


def test_a_reserve_longer_than_the_time_left_still_leaves_half_of_it_for_calls():
    day = date(2026, 6, 1)
    start = central_time(day, time(8, 50))
    assert window(day, start, scheduled=True, reserve_s=3600).calls_end_at == central_time(
        day, time(8, 55)
    )


@given(
    st.datetimes(datetime(2020, 1, 2), datetime(2035, 1, 1), timezones=st.just(CENTRAL)),
    st.integers(-400, 0),
    st.floats(0, 14_400),
    st.booleans(),
)
def test_calls_always_end_between_start_and_deadline(start, days_back, reserve_s, scheduled):
    day = start.date() + timedelta(days=days_back)
    try:
        given_window = window(day, start, scheduled=scheduled, reserve_s=reserve_s)
    except WindowHasPassed:
        assert scheduled
        return
    started = start.astimezone(UTC)
    assert started <= given_window.calls_end_at <= given_window.deadline_at
    if not scheduled:
        assert given_window.deadline_at - started <= timedelta(hours=4)
