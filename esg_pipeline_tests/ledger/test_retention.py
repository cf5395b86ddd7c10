"""Retention: nothing goes before its day, nothing under hold goes, and the trail tells of it."""

import json
from datetime import date, timedelta

import pytest

from esg_pipeline_tests.ledger.runs import DAY, good, run

CUTOFF = date(2024, 3, 1)
DAYS = [date(2024, 2, 28), date(2024, 2, 29), CUTOFF]


@pytest.fixture
def years(ledger):
    """Three delivered days around the end of a February with 29 days, each with an alert."""
    for day in DAYS:
        with ledger.leases.acquire(day, run_id=f"run-{day}") as lease:
            edition = ledger.editions.open(lease, **run(f"run-{day}"))
            writer = ledger.results.writer(lease, edition)
            writer.begin_attempts(["a", "b", "c"])
            writer.record([good("a"), good("b")])
            ledger.editions.mark_delivered(lease, edition, manifest={})
        ledger.outbox.raise_alert(day, "run_failed", {})
    return ledger


def days_left(ledger):
    return [day for day in DAYS if ledger.editions.of_day(day)]


def test_a_purge_deletes_what_is_older_and_nothing_else(years):
    report = years.retention.purge_before(CUTOFF, who="kim", dry_run=False)
    assert (report.purged, report.held, report.in_use) == (tuple(DAYS[:2]), (), ())
    assert (report.editions, report.results) == (2, 4)
    assert days_left(years) == [CUTOFF]
    assert [bool(years.outbox.alerts(day)) for day in DAYS] == [False, False, True]
    assert years.results.counts(years.editions.newest_delivered(CUTOFF))["Successful"] == 2
    with years._database.read() as connection:
        left = connection.exec_driver_sql("SELECT count(*) FROM esg_results").scalar()
    assert left == 2


def test_a_dry_run_says_the_same_and_deletes_nothing(years):
    before = list(years.audit.entries())
    report = years.retention.purge_before(CUTOFF, who="kim", dry_run=True)
    assert days_left(years) == DAYS
    assert list(years.audit.entries()) == before
    assert years.retention.purge_before(CUTOFF, who="kim", dry_run=False) == report


def test_the_trail_stays_and_tells_of_the_purge(years):
    before = list(years.audit.entries())
    years.retention.purge_before(CUTOFF, who="kim", dry_run=False)
    after = list(years.audit.entries())
    assert after[: len(before)] == before
    assert [(each.who, each.action, each.day) for each in after[len(before) :]] == [
        ("kim", "purge", "2024-02-28"),
        ("kim", "purge", "2024-02-29"),
    ]
    assert json.loads(after[-1].details) == {"editions": 1, "results": 2}
    assert years.audit.first_broken() is None


def test_a_held_day_stays_until_it_is_released(years):
    assert years.retention.place_hold(DAYS[0], "kim", "case 7")
    assert not years.retention.place_hold(DAYS[0], "lee", "case 8")
    held = years.retention.held_days()[DAYS[0]]
    assert (held.placed_by, held.reason) == ("kim", "case 7")
    report = years.retention.purge_before(CUTOFF, who="kim", dry_run=False)
    assert (report.purged, report.held) == ((DAYS[1],), (DAYS[0],))
    assert days_left(years) == [DAYS[0], *DAYS[2:]]
    assert years.retention.release_hold(DAYS[0], "kim", "case closed")
    assert not years.retention.release_hold(DAYS[0], "kim", "case closed")
    assert years.retention.purge_before(CUTOFF, who="kim", dry_run=False).purged == (DAYS[0],)
    assert years.retention.held_days() == {}
    assert [each.action for each in years.audit.entries()][-4:] == [
        "place_hold",
        "purge",
        "release_hold",
        "purge",
    ]


def test_a_hold_needs_a_person_and_a_reason(ledger):
    for who, reason in (("", "case 7"), ("kim", " ")):
        with pytest.raises(ValueError, match="name of a person and a reason"):
            ledger.retention.place_hold(DAY, who, reason)
        with pytest.raises(ValueError, match="name of a person and a reason"):
            ledger.retention.release_hold(DAY, who, reason)
    assert ledger.retention.held_days() == {}


def test_a_day_that_a_run_works_on_stays(years):
    with years.leases.acquire(DAYS[0], run_id="rerun"):
        report = years.retention.purge_before(CUTOFF, who="kim", dry_run=False)
    assert (report.purged, report.in_use) == ((DAYS[1],), (DAYS[0],))


def test_the_fencing_token_of_a_purged_day_never_starts_again(years):
    years.retention.purge_before(CUTOFF, who="kim", dry_run=False)
    with years.leases.acquire(DAYS[0], run_id="rerun") as lease:
        assert lease.token == 2


def test_a_purge_far_in_the_future_still_keeps_held_days(years):
    """The clock of the machine is ten years ahead."""
    years.retention.place_hold(DAYS[2], "kim", "case 7")
    future = CUTOFF + timedelta(days=3650)
    assert years.retention.purge_before(future, who="timer", dry_run=False).held == (DAYS[2],)
    assert days_left(years) == [DAYS[2]]
