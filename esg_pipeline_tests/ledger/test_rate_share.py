"""Runs of several dates share one rate limit: never more together, and nothing left unused."""

import random
import threading
from datetime import timedelta

import pytest

from esg_pipeline.ledger import LeaseLost
from esg_pipeline_tests.ledger.runs import DAY, edit, silence

LIMIT = 50.0
YESTERDAY = DAY - timedelta(days=1)


class Caller:
    """A run that keeps to its share, as the engine does."""

    def __init__(self, ledger, day, limit=LIMIT):
        self.day, self.limit = day, limit
        self.lease = ledger.leases.acquire(day, run_id=f"run of {day}")
        self.rate_limit = ledger.shared_rate_limit(self.lease)
        self.share = 0.0

    def ask(self) -> float:
        self.share, self.is_free = self.rate_limit.take(self.limit, self.share)
        return self.share

    def stop(self) -> None:
        self.rate_limit.give_back()
        self.share = 0.0


def test_a_run_alone_has_the_whole_limit_at_once(ledger):
    run = Caller(ledger, DAY)
    assert run.ask() == LIMIT
    assert run.ask() == LIMIT


def test_the_newest_date_gets_most_as_soon_as_the_older_one_has_given_way(ledger):
    older = Caller(ledger, YESTERDAY)
    older.ask()
    today = Caller(ledger, DAY)
    assert today.ask() == 0  # all is in use: the older one must slow down first
    assert older.ask() == 10
    assert today.ask() == 0  # slowed down, but not yet written
    assert older.ask() == 10
    assert today.ask() == 40


def test_an_older_date_takes_little_from_the_day_that_runs(ledger):
    today = Caller(ledger, DAY)
    today.ask()
    older = Caller(ledger, YESTERDAY)
    assert [older.ask(), today.ask(), today.ask(), older.ask()] == [0, 40, 40, 10]


def test_who_stops_calling_leaves_all_to_the_others(ledger):
    today, older = Caller(ledger, DAY), Caller(ledger, YESTERDAY)
    for run in (today, older, today, today, older):
        run.ask()
    today.stop()
    assert older.ask() == LIMIT


def test_what_another_date_may_have_used_a_moment_ago_is_not_free_at_once(ledger):
    alone = Caller(ledger, YESTERDAY)
    assert (alone.ask(), alone.is_free) == (LIMIT, True)
    alone.lease.release()
    today = Caller(ledger, DAY)
    assert (today.ask(), today.is_free) == (LIMIT, False)
    silence(ledger, 31)
    older = Caller(ledger, YESTERDAY)
    assert (older.ask(), older.is_free) == (LIMIT, True)


def test_a_limit_too_small_to_share_makes_the_older_date_wait(ledger):
    today, older = Caller(ledger, DAY, limit=2), Caller(ledger, YESTERDAY, limit=2)
    assert [today.ask(), older.ask(), today.ask(), older.ask()] == [2, 0, 2, 0]
    today.stop()
    assert older.ask() == 2


def test_the_share_of_a_run_that_is_silent_for_a_lease_term_is_free(ledger):
    today, older = Caller(ledger, DAY), Caller(ledger, YESTERDAY)
    today.ask()
    edit(ledger, "UPDATE esg_leases SET machine = 'another machine'")
    silence(ledger, 25)
    assert older.ask() == 0
    silence(ledger, 6)
    assert older.ask() == LIMIT


def test_a_lease_that_comes_back_after_its_term_takes_nothing_that_others_have(ledger):
    today, older = Caller(ledger, DAY), Caller(ledger, YESTERDAY)
    for run in (today, older, today, today, older):
        run.ask()
    edit(ledger, "UPDATE esg_leases SET machine = 'another machine'")
    silence(ledger, 31)
    assert older.ask() == LIMIT
    today.lease.beat()
    assert today.ask() == 0
    assert [older.ask(), older.ask(), today.ask()] == [10, 10, 40]


def test_a_run_that_lost_its_date_gets_no_share(ledger):
    frozen = Caller(ledger, DAY)
    silence(ledger, 31)
    Caller(ledger, DAY).ask()
    with pytest.raises(LeaseLost):
        frozen.ask()


@pytest.mark.parametrize("limit", [1.0, 2.5, 7.0, 50.0])
def test_in_whatever_order_runs_come_and_go_they_never_make_more_calls_than_the_limit(
    ledger, limit
):
    order = random.Random(11)
    days = [DAY - timedelta(days=n) for n in range(4)]
    runs: dict = {}
    for _ in range(150):
        day = order.choice(days)
        if day not in runs:
            runs[day] = Caller(ledger, day, limit)
        elif order.random() < 0.2:
            runs.pop(day).lease.release()
        else:
            runs[day].ask()
        assert sum(run.share for run in runs.values()) <= limit
    for day in days:
        runs.setdefault(day, None) or runs.update({day: Caller(ledger, day, limit)})
    for _ in range(3):
        for run in runs.values():
            run.ask()
    assert sum(run.share for run in runs.values()) == limit


def test_runs_that_start_in_the_same_instant_do_not_both_take_everything(ledger):
    runs = [Caller(ledger, DAY - timedelta(days=n)) for n in range(4)]
    together = threading.Barrier(len(runs))

    def start(run):
        together.wait()
        run.ask()

    threads = [threading.Thread(target=start, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 < sum(run.share for run in runs) <= LIMIT
