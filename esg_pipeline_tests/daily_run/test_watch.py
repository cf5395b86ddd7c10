"""What is wrong with a day, seen from outside its run: at 05:15, at 09:00, and after a silence."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from esg_pipeline.daily_run.watch import days_to_judge, judge_day, judge_silence, raise_troubles
from esg_pipeline.ledger import Ledger
from esg_pipeline.settings import Settings
from esg_pipeline_tests.mornings import DAY, at, at_work, deliver

SPRING, AUTUMN = date(2026, 3, 8), date(2026, 11, 1)
SILENT = ["dagster-daemon SCHEDULER: silent for 300 s; restart it"]


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(DAGSTER_HOME=tmp_path, _env_file=None)


@pytest.fixture
def ledger(settings) -> Iterator[Ledger]:
    ledger = Ledger.open(settings.ledger_location)
    yield ledger
    ledger.close()


@pytest.fixture(autouse=True)
def _five_o_clock(time_machine) -> None:
    time_machine.move_to(at("05:00"), tick=False)


def found(ledger, settings, clock: str, day: date = DAY) -> set[str]:
    return {each.condition for each in judge_day(ledger, settings, day, at(clock, day))}


@pytest.mark.parametrize("day", [DAY, SPRING, AUTUMN])
def test_a_day_that_nobody_begins_is_not_started_from_0515_and_missed_from_0900(
    ledger, settings, day
):
    assert found(ledger, settings, "05:14:59", day) == set()
    assert found(ledger, settings, "05:15", day) == {"not_started"}
    assert found(ledger, settings, "08:59:59", day) == {"not_started"}
    assert found(ledger, settings, "09:00", day) == {"not_started", "deadline_exceeded"}


def test_the_deadline_is_the_one_that_is_set(ledger, settings):
    early = Settings(DAGSTER_HOME=settings.home, report_deadline="08:00", _env_file=None)
    with at_work(ledger, settings):
        assert found(ledger, early, "07:59:59") == set()
        assert found(ledger, early, "08:00") == {"deadline_exceeded"}


def test_a_day_at_work_is_fine_until_its_deadline_and_a_delivered_one_for_ever(ledger, settings):
    with at_work(ledger, settings) as claim:
        assert found(ledger, settings, "05:15") == set()
        assert found(ledger, settings, "08:59:59") == set()
        assert found(ledger, settings, "09:00") == {"deadline_exceeded"}
        deliver(claim)
        assert found(ledger, settings, "09:00") == set()
    with at_work(ledger, settings, run_id="a correction"):
        assert found(ledger, settings, "12:00") == set()


def test_a_run_that_died_before_0515_has_begun(ledger, settings):
    with at_work(ledger, settings):
        pass
    assert found(ledger, settings, "05:15") == set()
    (trouble,) = judge_day(ledger, settings, DAY, at("09:00"))
    assert trouble.cause == "edition 1 is open and not delivered; no run is at work"


class TestMissedDays:
    def days(self, ledger, day=DAY) -> list[int]:
        """The days that are judged, as days before `day`."""
        return [(day - each).days for each in days_to_judge(ledger, day)]

    def test_a_new_installation_has_missed_none(self, ledger):
        assert self.days(ledger) == [0]

    def test_manual_runs_of_old_dates_make_no_day_a_missed_one(self, ledger, settings):
        with at_work(ledger, settings, DAY - timedelta(days=5), scheduled=False):
            pass
        assert self.days(ledger) == [0]

    def test_every_day_since_the_schedule_worked_is_judged(self, ledger, settings, time_machine):
        friday = DAY - timedelta(days=4)
        time_machine.move_to(at("05:00", friday), tick=False)
        with at_work(ledger, settings, friday) as claim:
            deliver(claim)
        assert self.days(ledger) == [3, 2, 1, 0]
        for day in days_to_judge(ledger, DAY):
            raise_troubles(ledger, day, judge_day(ledger, settings, day, at("05:10")))
        told = {(alert.day.day, alert.condition) for alert in ledger.outbox.open_alerts()}
        assert told == {
            (day, condition)
            for day in (7, 8, 9)
            for condition in ("not_started", "deadline_exceeded")
        }

    def test_today_at_work_hides_no_missed_day(self, ledger, settings, time_machine):
        time_machine.move_to(at("05:00", DAY - timedelta(days=2)), tick=False)
        with at_work(ledger, settings, DAY - timedelta(days=2)):
            pass
        time_machine.move_to(at("05:00"), tick=False)
        with at_work(ledger, settings):
            assert self.days(ledger) == [1, 0]
        assert self.days(ledger, DAY + timedelta(days=1)) == [0]

    def test_a_long_silence_is_told_for_a_week(self, ledger, settings, time_machine):
        time_machine.move_to(at("05:00", DAY - timedelta(days=40)), tick=False)
        with at_work(ledger, settings, DAY - timedelta(days=40)):
            pass
        assert self.days(ledger) == [7, 6, 5, 4, 3, 2, 1, 0]

    def test_a_day_that_was_made_up_is_fine(self, ledger, settings, time_machine):
        time_machine.move_to(at("05:00", DAY - timedelta(days=2)), tick=False)
        with at_work(ledger, settings, DAY - timedelta(days=2)):
            pass
        yesterday = DAY - timedelta(days=1)
        with at_work(ledger, settings, yesterday, run_id="by hand", scheduled=False) as claim:
            deliver(claim)
        assert self.days(ledger) == [1, 0]
        assert judge_day(ledger, settings, yesterday, at("05:10")) == []


class TestASilentDaemon:
    def found(self, ledger, clock: str, silent=SILENT) -> set[str]:
        return {each.condition for each in judge_silence(ledger, DAY, at(clock), silent)}

    def test_that_starts_nobody_is_told_before_0515(self, ledger):
        assert self.found(ledger, "04:59:59") == set()
        assert self.found(ledger, "05:10") == {"not_started"}
        assert self.found(ledger, "05:10", []) == set()

    def test_is_told_when_nobody_would_restart_the_dead_run(self, ledger, settings):
        with at_work(ledger, settings):
            assert self.found(ledger, "06:00") == set()
        (trouble,) = judge_silence(ledger, DAY, at("06:00"), SILENT)
        assert trouble.condition == "run_failed"
        assert "no run is at work; dagster-daemon SCHEDULER: silent for 300 s" in trouble.cause

    def test_does_not_matter_to_a_day_that_is_delivered(self, ledger, settings):
        with at_work(ledger, settings) as claim:
            deliver(claim)
        assert self.found(ledger, "06:00") == set()
