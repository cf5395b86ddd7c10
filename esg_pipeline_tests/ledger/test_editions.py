"""Editions: an undelivered one is resumed, a delivered one is kept, a correction starts from it."""

from datetime import timedelta

import pytest

from esg_pipeline.ledger import EditionState, Mode, NoDeliveredEdition
from esg_pipeline_tests.ledger.runs import (
    DAY,
    FIRST_RUN,
    NOON,
    failed,
    good,
    run,
    statuses,
)

PERSON = {"asked_by": "kim", "reason": "vendor sent corrections", "label": "manual"}


@pytest.fixture
def delivered(ledger, lease, edition):
    """Edition 1 with two good accounts and a failed one."""
    ledger.editions.set_accounts(lease, edition, count=3, sha256="abc")
    ledger.results.writer(lease, edition).record([good("a"), good("b"), failed("c")])
    ledger.editions.mark_delivered(lease, edition, manifest={"rows": 3})
    return ledger.editions.find(DAY, 1)


def test_the_first_edition_is_number_one_and_open(edition):
    assert (edition.number, edition.state, edition.previous) == (1, EditionState.OPEN, None)
    assert edition.metrics == {} and edition.manifest is None and edition.duration_s is None


def test_an_undelivered_edition_is_resumed_by_the_next_run(ledger, lease, edition):
    ledger.results.writer(lease, edition).record([good("a")])
    late = run("run-2", "failed_only", deadline_at=NOON, root_run_id="run-1", **PERSON)
    resumed = ledger.editions.open(lease, **late)
    assert (resumed.number, resumed.mode, resumed.run_id) == (1, Mode.FULL, "run-2")
    assert (resumed.asked_by, resumed.label, resumed.deadline_at) == ("kim", "manual", NOON)
    assert resumed.opened_at == edition.opened_at
    assert ledger.results.resume_state(resumed).answered == {"a"}


def test_a_held_edition_is_resumed_too(ledger, lease, edition):
    ledger.editions.mark_held(lease, edition, "list shrank by 40 %")
    assert ledger.editions.find(DAY, 1).held_because == "list shrank by 40 %"
    resumed = ledger.editions.open(lease, **run("run-2", **PERSON))
    assert (resumed.number, resumed.state, resumed.held_because) == (1, "open", None)


def test_a_delivery_is_noted_with_its_counts(ledger, delivered):
    assert delivered.state == EditionState.DELIVERED
    assert (delivered.successful, delivered.partial, delivered.failed) == (2, 0, 1)
    assert delivered.counts == {"Successful": 2, "Partial": 0, "Failed": 1}
    assert (delivered.accounts_count, delivered.accounts_sha256) == (3, "abc")
    assert delivered.manifest == {"rows": 3}
    assert delivered.duration_s >= 0
    assert ledger.editions.newest_delivered(DAY) == delivered


def test_a_delivery_noted_twice_is_noted_once(ledger, lease, delivered):
    ledger.editions.mark_delivered(lease, delivered, manifest={"rows": "other"})
    assert ledger.editions.find(DAY, 1) == delivered
    assert [each.action for each in ledger.audit.entries()].count("deliver") == 1


def test_a_full_rerun_starts_from_nothing(ledger, lease, delivered):
    second = ledger.editions.open(lease, **run("run-2", **PERSON))
    assert (second.number, second.previous) == (2, 1)
    assert ledger.results.counts(second) == {"Successful": 0, "Partial": 0, "Failed": 0}
    assert ledger.editions.newest_delivered(DAY) == delivered
    assert [each.number for each in ledger.editions.of_day(DAY)] == [1, 2]


def test_a_failed_only_rerun_keeps_all_but_the_failed(ledger, lease, delivered):
    second = ledger.editions.open(lease, **run("run-2", "failed_only", **PERSON))
    assert statuses(ledger, second) == {"a": "Successful", "b": "Successful"}
    assert ledger.results.resume_state(second).attempts == {}
    kept = ledger.results.ratings(delivered).slice(0, 2)
    assert ledger.results.ratings(second) == kept


def test_an_accounts_rerun_keeps_all_but_the_named(ledger, lease, delivered):
    second = ledger.editions.open(
        lease, **run("run-2", "accounts", **PERSON), reask=["b", "b", "unknown"]
    )
    assert statuses(ledger, second) == {"a": "Successful", "c": "Failed"}
    assert statuses(ledger, delivered) == {"a": "Successful", "b": "Successful", "c": "Failed"}


@pytest.mark.parametrize("mode", ["failed_only", "accounts"])
def test_nothing_can_be_corrected_before_something_is_delivered(ledger, lease, mode):
    with pytest.raises(NoDeliveredEdition, match="Run the whole date first"):
        ledger.editions.open(lease, **run("run-1", mode), reask=["a"])
    assert ledger.editions.of_day(DAY) == []


def test_an_unknown_mode_opens_nothing(ledger, lease):
    with pytest.raises(ValueError, match="everything"):
        ledger.editions.open(lease, **run("run-1", "everything"))
    assert ledger.editions.of_day(DAY) == []


def test_metrics_grow_name_by_name(ledger, lease, edition):
    ledger.editions.set_metrics(lease, edition, {"calls": 1, "average_overall": 61.5})
    ledger.editions.set_metrics(lease, edition, {"calls": 2})
    assert ledger.editions.find(DAY, 1).metrics == {"calls": 2, "average_overall": 61.5}


def test_history_and_previous_day_skip_what_was_not_delivered(ledger):
    def open_on(days_ago: int, count: int, *, deliver: bool) -> None:
        day = DAY - timedelta(days=days_ago)
        with ledger.leases.acquire(day, run_id=f"run-{day}") as lease:
            edition = ledger.editions.open(lease, **run(f"run-{day}"))
            ledger.editions.set_accounts(lease, edition, count=count, sha256="")
            ledger.editions.set_metrics(lease, edition, {"calls": count})
            if deliver:
                ledger.editions.mark_delivered(lease, edition, manifest={})

    for days_ago, count, deliver in [(3, 30, True), (2, 20, True), (2, 21, True), (1, 10, False)]:
        open_on(days_ago, count, deliver=deliver)
    assert ledger.editions.previous_account_count(DAY) == (DAY - timedelta(days=2), 21)
    first = DAY - timedelta(days=3)
    assert ledger.editions.previous_account_count(first) == (first, 30), (
        "a first day's rerun has a base too"
    )
    assert ledger.editions.previous_account_count(first - timedelta(days=1)) is None
    history = ledger.editions.daily_history(5)
    assert [(each.day.day, each.number, each.metrics["calls"]) for each in history] == [
        (22, 2, 21),
        (21, 1, 30),
    ]
    assert len(ledger.editions.daily_history(1)) == 1
    assert [(each.day.day, each.state) for each in ledger.editions.recent_days(2)] == [
        (23, "open"),
        (22, "delivered"),
    ]


def test_an_answered_account_that_left_the_list_is_forgotten(ledger, lease, delivered):
    second = ledger.editions.open(lease, **run("run-2", "failed_only", **PERSON))
    assert ledger.results.forget_other_accounts(lease, second, ["b", "c", "d"]) == 1
    assert statuses(ledger, second) == {"b": "Successful"}


def test_unknown_editions_are_none(ledger):
    assert ledger.editions.find(DAY, 1) is None
    assert ledger.editions.newest_delivered(DAY) is None
    assert (
        ledger.editions.daily_history(10)
        == ledger.editions.recent_days(10)
        == ledger.editions.of_day(DAY)
        == []
    )


def test_texts_from_people_and_machines_are_kept_whole(ledger, lease):
    why = '\'; DROP TABLE esg_editions; -- 🙂\n\t"%s" \\'
    opened = ledger.editions.open(lease, **FIRST_RUN | {"asked_by": "O'Neil 李", "reason": why})
    assert (opened.asked_by, opened.reason) == ("O'Neil 李", why)
