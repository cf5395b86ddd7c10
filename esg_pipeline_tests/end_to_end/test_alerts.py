"""Each condition brought about by the real job, and counted where people hear it."""

import sqlite3
from collections.abc import Iterator
from datetime import timedelta

import pytest

from esg_pipeline.clock import now_utc
from esg_pipeline.ledger import Ledger
from esg_pipeline.settings import Settings
from esg_pipeline_tests.end_to_end.command_here import command_here, run_here
from esg_pipeline_tests.end_to_end.conftest import ACCOUNTS, QUICK
from esg_pipeline_tests.end_to_end.job import DAY, Job, check_invariants
from esg_pipeline_tests.mornings import at, at_work, deliver
from esg_pipeline_tests.servers.faketime import clock_at
from esg_pipeline_tests.servers.orchestrator import make_home
from esg_pipeline_tests.servers.smtp import SilentServer
from esg_pipeline_tests.servers.waiting import wait_until

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",  # Dagster uses much that is deprecated, its own too
)

AGAIN = ("--by", "Ann Officer", "--reason", "the cause is gone")


@pytest.fixture
def job(tmp_path, firm, receivers) -> Job:
    make_home(tmp_path / "home")
    return Job(tmp_path / "home", {**QUICK, **firm.env(), **receivers.env()})


@pytest.fixture
def ledger(job) -> Iterator[Ledger]:
    ledger = Ledger.open(f"sqlite:///{job.home}/ledger.db")
    yield ledger
    ledger.close()


def told(*conditions: str) -> dict[tuple[str, str], int]:
    """Each condition of the day once, as the receivers count."""
    return {(str(DAY), condition): 1 for condition in conditions}


def account_ids(firm) -> list[str]:
    path = firm.env()["ESG_ACCOUNTS_URL"].removeprefix("sqlite:///")
    with sqlite3.connect(path) as db:
        query = "SELECT account_id FROM accounts WHERE status = 'active' ORDER BY 1"
        ids = [row[0] for row in db.execute(query)]
    db.close()
    return ids


def test_refused_credentials_are_told_once_however_often_and_a_good_run_ends_it(job, receivers):
    for _ in range(2):
        assert run_here(job, ESG_API_TOKEN="expired").exit_code == 1
        assert receivers.mails() == receivers.opened() == told("unauthorized")
    assert run_here(job).exit_code == 0
    assert receivers.open_now() == set()
    assert receivers.mails() == told("unauthorized", "recovered")
    assert receivers.opened() == told("unauthorized")


def test_a_run_out_of_memory_says_so_and_the_next_one_asks_nobody_again(
    job, receivers, firm, monkeypatch
):
    def no_memory(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as machine:
        machine.setattr("esg_pipeline.defs.assets.build_report", no_memory)
        done = run_here(job)
    assert done.exit_code == 1
    assert "out of memory" in done.stderr
    assert receivers.mails() == receivers.opened() == told("run_failed")
    assert run_here(job).exit_code == 0
    assert receivers.open_now() == set()
    assert firm.counts().total == ACCOUNTS


def test_after_a_run_out_of_memory_half_as_many_calls_are_made_at_once(job, firm, monkeypatch):
    def no_memory(*_: object) -> None:
        raise MemoryError

    firm.set_faults(max_concurrency=6, latency_s=0.05)
    with monkeypatch.context() as machine:
        machine.setattr("esg_pipeline.daily_run.score.check_frozen", no_memory)
        assert run_here(job, ESG_API_MAX_CONCURRENCY="8").exit_code == 1
    assert run_here(job, ESG_API_MAX_CONCURRENCY="8").exit_code == 0
    assert firm.counts().total == ACCOUNTS
    assert firm.counts().over_limit == 0


def test_too_many_failures_are_told_before_the_end_and_a_correction_ends_it(job, receivers, firm):
    firm.set_faults({"http_404": 0.6})
    running = job.start("run", "--date", str(DAY), ESG_API_RATE_LIMIT="5")
    receivers.mail.wait_for(1, timeout_s=90)
    assert running.poll() is None, "people hear it when it is certain, not at the end"
    running.communicate(timeout=90)
    assert running.returncode == 3
    assert receivers.mails() == receivers.opened() == told("failure_share")
    assert receivers.hears_business("failure_share")
    firm.heal()
    assert run_here(job, "--failed-only", *AGAIN).exit_code == 0
    assert receivers.open_now() == set()
    assert receivers.mails() == told("failure_share", "recovered")
    assert receivers.hears_business("recovered")


def test_five_per_cent_are_not_too_many_and_one_account_more_is(job, receivers, firm):
    three, fourth = account_ids(firm)[:3], account_ids(firm)[3]
    firm.set_faults({}, account_faults=dict.fromkeys(three, "http_404"))
    assert run_here(job).exit_code == 0
    assert job.delivered().statuses()["Failed"] == 3
    assert receivers.mails() == {}
    firm.set_faults({}, account_faults={fourth: "http_404"})
    assert run_here(job, "--accounts", fourth, *AGAIN).exit_code == 3
    assert job.delivered().statuses()["Failed"] == 4
    assert receivers.mails() == receivers.opened() == told("failure_share")


def test_one_answer_for_another_account_is_told_to_engineers(job, receivers, firm):
    firm.set_faults({}, account_faults={account_ids(firm)[0]: "wrong_account"})
    assert run_here(job).exit_code == 0
    assert receivers.mails() == receivers.opened() == told("identity_mismatch")
    assert not receivers.hears_business("identity_mismatch")


def test_a_held_list_is_told_and_its_release_ends_it(job, receivers, ledger, firm):
    settings = Settings(DAGSTER_HOME=job.home, _env_file=None)
    with at_work(ledger, settings, DAY - timedelta(days=1), scheduled=False) as yesterday:
        ledger.editions.set_accounts(
            yesterday.lease, yesterday.edition, count=2 * ACCOUNTS, sha256=""
        )
        deliver(yesterday)
    assert run_here(job).exit_code == 1
    assert firm.counts().total == 0
    assert receivers.mails() == receivers.opened() == told("account_list_held")
    assert run_here(job, *AGAIN).exit_code == 0
    assert receivers.open_now() == set()
    assert receivers.mails() == told("account_list_held", "recovered")


def test_a_store_that_refuses_the_report_is_told_and_repaired_without_a_call(job, receivers, firm):
    in_the_way = job.store / "FirmESGRatings_20260310.csv.age"
    in_the_way.mkdir(parents=True)
    assert run_here(job).exit_code == 1
    assert receivers.mails() == receivers.opened() == told("delivery_failed")
    in_the_way.rmdir()
    assert run_here(job).exit_code == 0
    assert firm.counts().total == ACCOUNTS
    assert receivers.open_now() == set()
    assert receivers.mails() == told("delivery_failed", "recovered")


def test_a_run_that_cannot_finish_is_told_early_and_its_report_is_there_in_time(
    job, receivers, firm
):
    running = job.start(
        "run", "--date", str(DAY),
        **clock_at(at("08:58:55")), ESG_DEADLINE_RESERVE="30", ESG_API_RATE_LIMIT="0.7",
    )  # fmt: skip
    first, *_ = receivers.mail.wait_for(1, timeout_s=90)
    assert first.message["X-ESG-Condition"] == "projected_overrun"
    assert running.poll() is None
    _, said = running.communicate(timeout=120)
    assert running.returncode == 3, said
    delivery = job.delivered()
    check_invariants(delivery, ACCOUNTS, firm)
    assert {row["Reason"] for row in delivery.error_rows.values()} == {"deadline"}
    expected = told("projected_overrun", "deadline_exceeded", "failure_share")
    assert receivers.mails() == receivers.opened() == expected
    assert receivers.open_now() == set(told("deadline_exceeded", "failure_share"))
    assert receivers.hears_business("deadline_exceeded")
    assert not receivers.hears_business("projected_overrun")


def test_a_mail_server_that_hangs_does_not_hold_the_run_and_hears_it_later(
    job, receivers, time_machine
):
    with SilentServer() as silent:
        hanging = {"ESG_SMTP_URL": f"smtp://127.0.0.1:{silent.port}"}
        done = run_here(job, ESG_ACCOUNTS_URL="sqlite:////nowhere/accounts.db", **hanging)
        silent.wait_for_connection()
    assert done.exit_code == 1
    assert receivers.opened() == told("run_failed")
    assert receivers.mails() == {}
    for minutes in (10, 20):
        time_machine.move_to(now_utc() + timedelta(minutes=minutes))
        assert command_here(job, "watchdog").exit_code == 1, "no daemon has ever been here"
    assert told("run_failed").items() <= receivers.mails().items()
    assert receivers.mails() == receivers.opened()


def test_what_a_killed_run_had_raised_is_sent_once_by_the_watchdog(job, receivers, ledger, firm):
    firm.set_faults({"http_404": 0.5})
    unheard = dict.fromkeys(("ESG_SMTP_URL", "ESG_PAGERDUTY_ROUTING_KEY"), "")
    running = job.start("run", "--date", str(DAY), ESG_API_RATE_LIMIT="3", **unheard)
    wait_until(lambda: ledger.outbox.alerts(DAY))
    running.kill()
    running.communicate()
    assert receivers.mails() == {}
    done = job("watchdog", **clock_at(at("05:20")))
    assert done.returncode == 1
    assert "dagster-daemon SCHEDULER: has never sent a heartbeat" in done.stderr
    assert receivers.mails() == receivers.opened() == told("failure_share", "run_failed")
