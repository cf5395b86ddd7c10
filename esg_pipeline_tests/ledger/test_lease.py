"""One run at a time works on a date, whatever dies, freezes or starts in the same instant."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from esg_pipeline.ledger import LeaseHeld, LeaseLost, Ledger
from esg_pipeline_tests.ledger.runs import DAY, FIRST_RUN, edit, good, run, silence, statuses

OTHER_DAY = DAY.replace(day=25)
HALF_AN_HOUR_S = 1800
"""No machine is so slow that an hour looks like less, or a moment like more."""


def test_a_second_run_is_told_who_holds_the_date(ledger, start_worker):
    worker = start_worker("run-1")
    worker.tell("acquire")
    with pytest.raises(LeaseHeld, match="already running") as held:
        ledger.leases.acquire(DAY, run_id="run-2")
    assert "run-1" in held.value.holder
    assert str(worker.pid) in held.value.holder
    assert ledger.leases.holder(DAY).run_id == "run-1"


def test_of_two_processes_in_the_same_instant_exactly_one_wins(ledger, start_worker):
    workers = [start_worker(f"run-{n}") for n in range(2)]
    for round_ in range(1, 11):
        for worker in workers:
            worker.ask("acquire")
        answers = [worker.answer() for worker in workers]
        assert sorted(answer.split()[0] for answer in answers) == ["LeaseHeld", "ok"], answers
        winner = answers[0].startswith("LeaseHeld")
        assert answers[winner] == f"ok {round_}"
        workers[winner].tell("release")


def test_a_killed_holder_on_this_machine_is_replaced_at_once(ledger, start_worker):
    worker = start_worker("run-1")
    worker.tell("acquire")
    worker.kill()
    assert ledger.leases.holder(DAY).is_dead
    with ledger.leases.acquire(DAY, run_id="run-2") as lease:
        assert lease.token == 2


@pytest.mark.parametrize("unlike", ["machine", "pid", "process_started"])
def test_the_process_number_alone_proves_nothing(ledger, lease, unlike):
    """After a reboot, in another container, or used again, it names another process."""
    edit(ledger, f"UPDATE esg_leases SET {unlike} = '1'")
    dead = unlike != "machine"  # elsewhere nothing can be proved
    assert ledger.leases.holder(DAY).is_dead is dead


def test_a_holder_elsewhere_is_replaced_after_its_term_only(ledger, start_worker):
    worker = start_worker("run-1")
    worker.tell("acquire")
    worker.kill()
    edit(ledger, "UPDATE esg_leases SET machine = 'another machine'")
    silence(ledger, 25)
    with pytest.raises(LeaseHeld):
        ledger.leases.acquire(DAY, run_id="run-2")
    silence(ledger, 6)
    ledger.leases.acquire(DAY, run_id="run-2").release()


def test_a_heartbeat_from_the_future_holds_the_date_no_longer_than_its_term(ledger, start_worker):
    """The database's clock was set back by an hour after the holder died."""
    worker = start_worker("run-1")
    worker.tell("acquire")
    worker.kill()
    edit(ledger, "UPDATE esg_leases SET machine = 'another machine'")
    silence(ledger, -3600)
    ledger.leases.acquire(DAY, run_id="run-2").release()


def test_heartbeats_keep_the_date(ledger):
    lease = ledger.leases.acquire(DAY, run_id="run-1")
    silence(ledger, 29)
    lease.start_heartbeat(every_s=0.02)
    deadline = time.monotonic() + 10
    while ledger.leases.holder(DAY).heartbeat_age_s > 1:
        assert time.monotonic() < deadline
    lease.release()
    assert ledger.leases.holder(DAY) is None


def test_a_frozen_worker_that_wakes_after_a_takeover_writes_nothing(ledger, start_worker):
    worker = start_worker("run-1")
    worker.tell("acquire")
    worker.tell("open")
    worker.tell("begin a b c")
    worker.freeze()
    silence(ledger, 31)
    with ledger.leases.acquire(DAY, run_id="run-2") as lease:
        edition = ledger.editions.open(lease, **run("run-2"))
        ledger.results.writer(lease, edition).record([good("a", 2222)])
        worker.wake()
        for command in (
            "record a b",
            "begin d",
            "retry c 2",
            "fail c",
            "open",
            "accounts",
            "metrics",
            "hold",
            "deliver",
            "fence",
            "beat",
        ):
            assert worker.tell(command).startswith("LeaseLost"), command
        worker.tell("release")
        assert statuses(ledger, edition) == {"a": "Successful"}
        assert ledger.results.ratings(edition)["overall_esg_score"].to_pylist()[0] * 100 == 2222
        assert ledger.results.resume_state(edition).attempts == {"b": 1, "c": 1}
        now = ledger.editions.find(DAY, 1)
        assert (now.run_id, now.state, now.accounts_count, now.metrics) == (
            *("run-2", "open", None),
            {},
        )
        assert ledger.leases.holder(DAY).run_id == "run-2"


def test_a_worker_frozen_inside_its_publish_step_cannot_be_replaced(ledger_url, start_worker):
    worker, other = start_worker("run-1"), start_worker("run-2", patience_s=1)
    worker.tell("acquire")
    worker.tell("open")
    assert worker.tell("fence") == "ok fenced"
    worker.freeze()
    assert other.tell("acquire").startswith("LeaseHeld")
    worker.wake()
    assert worker.tell("published") == "ok published"
    assert worker.tell("record a") == "ok None"


def test_what_a_run_writes_inside_its_fence_is_committed_with_it(ledger, lease, edition):
    with lease.fence():
        ledger.editions.mark_delivered(lease, edition, manifest={"rows": 0})
    assert ledger.editions.newest_delivered(DAY).manifest == {"rows": 0}


def test_a_publish_step_that_fails_commits_nothing(ledger, lease, edition):
    with pytest.raises(RuntimeError), lease.fence():
        ledger.editions.mark_delivered(lease, edition, manifest={})
        raise RuntimeError
    assert ledger.editions.newest_delivered(DAY) is None
    assert ledger.audit.first_broken() is None


def test_heartbeats_go_on_while_a_file_is_published(postgres):
    ledger = Ledger.open(postgres.new_schema())
    with ledger.leases.acquire(DAY, run_id="run-1") as lease, lease.fence():
        beaten = threading.Thread(target=lease.beat)
        beaten.start()
        beaten.join(timeout=5)
        assert not beaten.is_alive()
    ledger.close()


def test_the_loser_of_a_takeover_hears_of_it_by_its_heartbeat(ledger, caplog):
    lease = ledger.leases.acquire(DAY, run_id="run-1")
    silence(ledger, 31)
    edit(ledger, "UPDATE esg_leases SET token = token + 1, run_id = 'run-2'")
    lease.start_heartbeat(every_s=0.02)
    lease._heart.join(timeout=10)
    assert "run-1 lost its lease" in caplog.text
    lease.release()
    assert ledger.leases.holder(DAY).run_id == "run-2"


def test_the_same_run_may_take_its_date_again(ledger):
    """The ledger's answer to the first acquisition was lost, or a step is retried."""
    first = ledger.leases.acquire(DAY, run_id="run-1")
    second = ledger.leases.acquire(DAY, run_id="run-1")
    assert second.token == first.token + 1
    with pytest.raises(LeaseLost):
        ledger.editions.open(first, **FIRST_RUN)
    second.release()


def test_dates_do_not_hold_each_other(ledger, lease):
    other_day = DAY.replace(day=25)
    ledger.leases.acquire(other_day, run_id="run-2").release()
    assert ledger.leases.holder(DAY).run_id == "run-1"


@pytest.fixture
def two_dates(ledger):
    """Leases of two dates with one token, as on the first day of a new ledger."""
    leases = [ledger.leases.acquire(day, run_id="run-1") for day in (DAY, OTHER_DAY)]
    assert leases[0].token == leases[1].token
    return leases


def test_the_heartbeat_of_one_date_keeps_no_other(ledger, two_dates):
    silence(ledger, 3600)
    two_dates[1].beat()
    assert ledger.leases.holder(DAY).heartbeat_age_s > HALF_AN_HOUR_S


def test_the_release_of_one_date_releases_no_other(ledger, two_dates):
    two_dates[1].release()
    assert ledger.leases.holder(DAY).run_id == "run-1"
    assert ledger.leases.holder(OTHER_DAY) is None


def test_a_released_lease_can_neither_write_nor_beat(ledger):
    lease = ledger.leases.acquire(DAY, run_id="run-1")
    lease.release()
    with pytest.raises(LeaseLost):
        lease.beat()
    with pytest.raises(LeaseLost):
        ledger.editions.open(lease, **FIRST_RUN)


def test_the_earlier_lease_of_a_run_neither_keeps_nor_ends_the_later_one(ledger):
    first = ledger.leases.acquire(DAY, run_id="run-1")
    second = ledger.leases.acquire(DAY, run_id="run-1")
    with pytest.raises(LeaseLost):
        first.beat()
    first.release()
    assert ledger.leases.holder(DAY).run_id == "run-1"
    second.release()


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_host_whose_clock_is_wrong_beats_by_the_clock_of_the_database(
    ledger, time_machine, hours
):
    time_machine.move_to(datetime.now(UTC) + timedelta(hours=hours))
    lease = ledger.leases.acquire(DAY, run_id="run-1")
    assert abs(ledger.leases.holder(DAY).heartbeat_age_s) < HALF_AN_HOUR_S
    silence(ledger, 3600)
    lease.beat()
    assert abs(ledger.leases.holder(DAY).heartbeat_age_s) < HALF_AN_HOUR_S
    lease.release()
