"""Whom to call next, and how often each was called."""

from random import Random
from types import SimpleNamespace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esg_pipeline.ratings import ACCOUNTS_SCHEMA, Focus, Reason
from esg_pipeline.scoring.work_list import WorkList


def work_list(
    count: int, *, answered=(), attempts=None, cut_off=None, max_attempts: int = 3
) -> WorkList:
    ids = [f"A{number:03d}" for number in range(count)]
    focuses = [None, "social"] * count
    columns = [ids, ["n"] * count, focuses[:count], [None] * count]
    cut_off = {f"A{row:03d}": deaths for row, deaths in (cut_off or {}).items()}
    resume = SimpleNamespace(
        answered=set(answered), failed=0, attempts={**cut_off, **(attempts or {})}, cut_off=cut_off
    )
    return WorkList(pa.table(columns, schema=ACCOUNTS_SCHEMA), resume, max_attempts, Random(1))


def test_fresh_accounts_come_in_order_with_their_focus():
    work = work_list(4)
    items = work.items(work.draw(3, now=0))
    assert [(item.account_id, item.focus) for item in items] == [
        ("A000", None),
        ("A001", Focus.SOCIAL),
        ("A002", None),
    ]
    assert work.draw(3, now=0) == [3]
    assert work.draw(3, now=0) == []


def test_what_was_answered_is_not_asked_and_spent_attempts_stay_spent():
    work = work_list(5, answered=["A000", "A003"], attempts={"A001": 2, "A004": 3, "A000": 1})
    assert work.unanswered == 3
    assert work.take_exhausted() == [4]
    assert sorted(work.draw(9, now=0)) == [1, 2]
    assert [work.attempts[row] for row in (1, 2, 4)] == [3, 1, 3]
    assert not work.has_attempt_left(1)


def test_accounts_put_back_come_first_and_their_attempt_is_unspent():
    work = work_list(3)
    first, second = work.draw(2, now=0)
    work.give_back(second)
    work.give_back(first)
    assert work.draw(3, now=0) == [first, second, 2]
    assert work.attempts[first] == 1


def test_a_retry_waits_for_its_time():
    work = work_list(1)
    [row] = work.draw(1, now=0)
    work.call_later(row, due=5.0)
    assert work.draw(1, now=4.9) == []
    assert work.retries_waiting == 1
    assert work.draw(1, now=5.0) == [row]


def test_while_first_attempts_remain_retries_are_a_tenth_of_the_calls():
    work = work_list(200)
    retries = 0
    for call in range(1, 201):
        [row] = work.draw(1, now=call)
        retries += work.attempts[row] > 1
        if work.has_attempt_left(row):
            work.call_later(row, due=0)
        assert retries <= 0.1 * call
    assert retries == 20


def test_when_no_first_attempts_remain_retries_go_ahead():
    work = work_list(10)
    for row in work.draw(10, now=0):
        work.call_later(row, due=0)
    assert len(work.draw(10, now=1)) == 10


def test_a_probe_takes_the_account_with_the_most_attempts_left():
    work = work_list(2)
    for due in (0, 1000):
        [row] = work.draw(1, now=0)
        work.call_later(row, due)
    [row] = work.draw(1, now=1)
    work.call_later(row, due=0)  # called twice; the other only once, but its time is far away
    assert work.draw_for_probe() == 1 - row
    assert work.draw_for_probe() == row


def test_a_probe_prefers_an_account_that_was_never_called():
    work = work_list(2)
    [row] = work.draw(1, now=0)
    work.call_again(row)
    assert [work.draw_for_probe(), work.draw_for_probe()] == [1, 0]


def test_probes_are_spread_over_the_list_and_nobody_is_left_out():
    work = work_list(500)
    probed = [work.draw_for_probe() for _ in range(20)]
    assert max(probed) - min(probed) > 100
    assert sorted(probed + work.draw(500, now=0)) == list(range(500))


def test_no_account_is_drawn_twice_at_a_time():
    work = work_list(2)
    assert {work.draw_for_probe(), work.draw_for_probe()} == {0, 1}
    assert work.draw_for_probe() is None
    assert not work.has_waiting


def test_only_last_attempts_wait():
    work = work_list(1)
    assert not work.only_last_attempts_wait()
    for _ in range(2):
        [row] = work.draw(1, now=0)
        work.call_later(row, due=0)
    assert work.only_last_attempts_wait()
    assert work_list(1, max_attempts=1).only_last_attempts_wait()


def test_the_last_failure_is_remembered():
    work = work_list(2)
    work.note_failure(0, Reason.HTTP_5XX, 503)
    assert work.last_failure(0) == (Reason.HTTP_5XX, 503)
    assert work.last_failure(1) == (None, None)


@pytest.mark.parametrize("page", [1, 2, 100])
def test_pages_hold_every_account_without_a_rating(page):
    work = work_list(5, answered=["A002"])
    pages = list(work.unanswered_pages(page))
    assert [row for rows in pages for row in rows] == [0, 1, 3, 4]
    assert max(map(len, pages)) <= page


@given(st.lists(st.sampled_from(["succeed", "fail", "throttle", "break off"]), max_size=300))
def test_no_order_of_outcomes_spends_more_than_three_attempts_or_loses_an_account(outcomes):
    work, calls = work_list(6), dict.fromkeys(range(6), 0)
    for outcome in outcomes:
        drawn = work.draw(1, now=10)
        if not drawn:
            break
        [row] = drawn
        if outcome == "break off":
            work.give_back(row)
            continue
        calls[row] += outcome != "throttle"
        if outcome == "throttle":
            work.give_back(row)
        elif outcome == "succeed" or not work.has_attempt_left(row):
            work.note_answered(row)
        else:
            work.call_later(row, due=0)
    assert max(calls.values()) <= 3
    waiting = set()
    while drawn := work.draw(1, now=10):
        waiting.update(drawn)
    assert len(waiting) == work.unanswered


def test_after_one_death_an_account_is_called_with_the_others():
    work = work_list(2, cut_off={0: 1, 1: 1})
    assert work.draw(9, now=0) == [0, 1]


def test_after_two_deaths_an_account_is_called_when_all_others_are_answered():
    work = work_list(4, cut_off={0: 2, 1: 2, 2: 1})
    assert work.retries_waiting == 3
    assert sorted(work.draw(9, now=0)) == [2, 3]
    assert work.draw(9, now=0) == []
    assert work.draw_for_probe() is None
    assert not work.has_waiting
    work.note_answered(2)
    work.call_later(3, due=1000)
    assert work.draw(9, now=0) == [], "another waits, although not for now"
    [row] = work.draw(9, now=1000)
    work.note_answered(row)
    assert work.draw(9, now=1000) == [0]
    assert work.draw(9, now=1000) == [], "one at a time"
    work.note_answered(0)
    assert work.draw(9, now=1000) == [1]


@pytest.mark.parametrize("put_back", ["give_back", "call_again", "call_later"])
def test_a_quarantined_account_that_is_put_back_stays_in_quarantine(put_back):
    work = work_list(2, cut_off={0: 2, 1: 2}, max_attempts=5)
    [row] = work.draw(9, now=0)
    getattr(work, put_back)(row, *([2.0] if put_back == "call_later" else []))
    assert work.retries_waiting == 2
    assert len(work.draw(9, now=3)) == 1
    assert work.draw(9, now=3) == []


def test_a_quarantined_account_waits_for_its_time_and_can_be_probed_before():
    work = work_list(2, cut_off={0: 2, 1: 2})
    assert work.only_last_attempts_wait()
    for row in (0, 1):
        assert work.draw_for_probe() == row
        assert work.draw_for_probe() is None
        work.give_back(row)
        work.draw_for_probe()
        work.call_later(row, due=5)
    assert work.draw(9, now=4) == []
    assert work.has_waiting
    assert work.draw(9, now=5) == [0]


def test_a_third_death_ends_it_whatever_attempts_are_left():
    work = work_list(3, cut_off={0: 3, 1: 2}, max_attempts=5)
    assert work.take_exhausted() == [0]
    assert work.take_exhausted() == []
    assert work.cut_off[0] == 3


def test_a_throttled_account_in_quarantine_is_known_at_the_end():
    work = work_list(1, cut_off={0: 2})
    [row] = work.draw(1, now=0)
    work.note_failure(row, Reason.RATE_LIMITED, 429)
    work.give_back(row)
    assert work.throttled_last() == [row]


@given(
    st.lists(st.sampled_from(["succeed", "fail", "throttle", "again", "probe"]), max_size=200),
    st.dictionaries(st.integers(0, 7), st.integers(1, 3), max_size=8),
    st.integers(1, 3),
    st.randoms(use_true_random=False),
)
def test_no_order_of_outcomes_calls_a_quarantined_account_beside_another(
    outcomes, cut_off, batch, rng
):
    work, in_flight = work_list(8, cut_off=cut_off, max_attempts=5), []
    for row in work.take_exhausted():
        work.note_answered(row)
    for outcome in outcomes:
        if outcome == "probe":
            row = work.draw_for_probe()
            in_flight += [] if row is None else [row]
        else:
            in_flight += work.draw(batch, now=10)
        if any(map(work.is_quarantined, in_flight)):
            assert len(in_flight) == 1
            others = {row for row in range(8) if not work.is_quarantined(row)}
            assert all(work.is_answered[row] for row in others)
        if not in_flight:
            break
        row = in_flight.pop(rng.randrange(len(in_flight)))
        if outcome == "throttle":
            work.give_back(row)
        elif outcome == "succeed" or not work.has_attempt_left(row):
            work.note_answered(row)
        elif outcome == "again":
            work.call_again(row)
        else:
            work.call_later(row, due=0)
    if not in_flight:
        assert work.has_waiting == (work.unanswered > 0)
