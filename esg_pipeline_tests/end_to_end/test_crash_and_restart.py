"""Whatever dies, one plain rerun finishes the day and asks nobody twice without need."""

import signal
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta

import pytest

from esg_pipeline.clock import CENTRAL, now_utc
from esg_pipeline_tests.end_to_end.conftest import ACCOUNTS
from esg_pipeline_tests.end_to_end.job import check_invariants
from esg_pipeline_tests.servers.freezing import freeze_between_two_writes

SLOWLY = {"ESG_API_RATE_LIMIT": "20", "ESG_API_MAX_CONCURRENCY": "4"}
BATCH_S = 2.0
"""More than what is begun ahead of its call; with the calls in flight, all that may be repeated."""


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.99])
def test_a_killed_run_resumes_without_asking_again_what_was_answered(job, firm, share):
    running = job.start("run", "--date", "2026-03-10", **SLOWLY)
    firm.wait_for_calls(max(1, int(share * ACCOUNTS)))
    running.kill()
    running.communicate()
    killed_at = firm.counts().total
    again = job.run()
    assert again.returncode == 0, again.stderr
    check_invariants(job.delivered(), ACCOUNTS, firm)
    repeated = firm.counts().total - ACCOUNTS
    assert repeated <= min(killed_at, BATCH_S * float(SLOWLY["ESG_API_RATE_LIMIT"]) + 4)
    assert job.delivered().manifest["edition"] == 1


def test_a_terminated_run_writes_down_what_it_knows_and_the_next_goes_on(job, firm):
    running = job.start("run", "--date", "2026-03-10", **SLOWLY)
    firm.wait_for_calls(20)
    running.send_signal(signal.SIGTERM)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 1
    assert "goes on from there" in said
    answered = sum(call.status == 200 for call in firm.calls())
    assert job.run().returncode == 0
    check_invariants(job.delivered(), ACCOUNTS, firm)
    # Calls that were settled when the signal came are not made again.
    assert firm.counts().total - ACCOUNTS <= max(0, firm.counts().total - answered - ACCOUNTS) + 4


def test_without_its_ledger_a_run_says_so_and_numbers_no_edition_twice(job, firm):
    assert job.run().returncode == 0
    first = job.delivered()
    for path in job.home.glob("ledger.db*"):
        path.unlink()
    again = job.run(ESG_LOG_STDOUT="true")
    assert again.returncode == 0, again.stderr
    assert "the store has edition 1, which this ledger does not know" in again.stdout
    second = job.delivered()
    assert second.manifest["edition"] == 2
    assert second.csv == first.csv
    assert (job.store / "editions/20260310/0001").is_dir()
    assert job.run().returncode == 0
    assert job.delivered().manifest["edition"] == 3


def test_of_two_runs_started_together_one_works_and_the_other_makes_no_call(job, firm):
    slow = {"ESG_API_RATE_LIMIT": "20"}
    both = [job.start("run", "--date", "2026-03-10", **slow) for _ in range(2)]
    ends = [process.communicate(timeout=120) for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes == [0, 4], ends
    assert set(firm.calls_by_account().values()) == {1}
    check_invariants(job.delivered(), ACCOUNTS, firm)


def test_a_frozen_run_that_wakes_after_a_takeover_writes_nothing(job, firm):
    frozen = job.start("run", "--date", "2026-03-10", **SLOWLY)
    firm.wait_for_calls(10)
    freeze_between_two_writes(frozen.pid, job.home / "ledger.db")
    try:
        with closing(sqlite3.connect(job.home / "ledger.db", timeout=10)) as ledger, ledger:
            ledger.execute("UPDATE esg_leases SET heartbeat_at = heartbeat_at - 60")
        assert job.run().returncode == 0
        before = {path: path.read_bytes() for path in job.store.rglob("*") if path.is_file()}
    finally:
        frozen.send_signal(signal.SIGCONT)
    _, said = frozen.communicate(timeout=60)
    assert frozen.returncode == 1
    assert "taken over" in said
    assert {path: path.read_bytes() for path in job.store.rglob("*") if path.is_file()} == before
    check_invariants(job.delivered(), ACCOUNTS)


def test_a_run_that_the_api_refuses_stops_at_once_and_goes_on_with_a_good_token(job, firm):
    refused = job.run(ESG_API_TOKEN="expired-token-canary")
    assert refused.returncode == 1
    assert "401" in refused.stderr
    assert "expired-token-canary" not in refused.stdout + refused.stderr
    assert firm.counts().total < ACCOUNTS
    assert not list(job.store.glob("FirmESGRatings*"))
    assert job.run().returncode == 0
    check_invariants(job.delivered(), ACCOUNTS)


def test_failed_only_asks_again_for_the_failed_and_makes_the_next_edition(job, firm):
    firm.set_faults({"http_404": 0.2})
    first = job.run()
    assert first.returncode == 3
    assert "--failed-only" in first.stderr
    failed = {i for i, row in job.delivered().rows.items() if row["Processing Status"] == "Failed"}
    firm.heal()
    second = job.run("--failed-only", "--by", "Ann Officer", "--reason", "API healed")
    assert second.returncode == 0, second.stderr
    assert set(firm.calls_by_account()) == failed
    delivery = job.delivered()
    check_invariants(delivery, ACCOUNTS, firm)
    assert delivery.manifest["edition"] == 2
    assert delivery.manifest["asked_by"] == "Ann Officer"
    assert {change["account_id"] for change in delivery.manifest["changes"]} == failed
    nothing_left = job.run("--failed-only")
    assert nothing_left.returncode == 0
    assert job.delivered().manifest["edition"] == 2


def test_named_accounts_are_asked_again_and_unknown_ones_are_refused(job, firm):
    assert job.run().returncode == 0
    some = sorted(job.delivered().rows)[:2]
    firm.reset()
    assert job.run("--accounts", ",".join(some)).returncode == 0
    assert set(firm.calls_by_account()) == set(some)
    check_invariants(job.delivered(), ACCOUNTS, firm)
    unknown = job.run("--accounts", 'nobody-1, "nobody, 2"')
    assert unknown.returncode == 2
    assert "edition 2: nobody, 2, nobody-1" in unknown.stderr


def test_at_the_deadline_the_file_is_there_and_the_rest_says_so(job, firm):
    today, deadline = _deadline_in(40)
    done = job.run(
        day=today,
        ESG_API_RATE_LIMIT="1",
        ESG_REPORT_DEADLINE=deadline.strftime("%H:%M:%S"),
        ESG_DEADLINE_RESERVE="25",
    )
    assert done.returncode == 3, done.stderr
    delivery = job.delivered(today)
    assert datetime.fromisoformat(delivery.manifest["created_at"]) < deadline
    check_invariants(delivery, ACCOUNTS, firm)
    reasons = {row["Reason"] for row in delivery.error_rows.values()}
    assert reasons == {"deadline"}
    assert delivery.statuses()["Failed"] == ACCOUNTS - len(firm.calls_by_account())


def _deadline_in(seconds):
    now = now_utc().astimezone(CENTRAL)
    deadline = (now + timedelta(seconds=seconds)).replace(microsecond=0)
    if deadline.date() != now.date():
        pytest.skip("midnight Central is seconds away; the deadline would be tomorrow")
    return now.date(), deadline


def test_a_store_that_refuses_at_the_end_loses_nothing_and_the_next_run_delivers(job, firm):
    running = job.start("run", "--date", "2026-03-10", **SLOWLY)
    firm.wait_for_calls(30)
    aside = job.store.with_name("aside")
    job.store.rename(aside)
    job.store.write_text("a file where the folder was")
    _, said = running.communicate(timeout=60)
    assert running.returncode == 1, said
    assert "sealed copy" in said
    assert "Traceback" not in said
    assert list((job.home / "undelivered").rglob("*.age"))
    job.store.unlink()
    aside.rename(job.store)
    calls = firm.counts().total
    done = job.run()
    assert done.returncode == 0, done.stderr
    assert firm.counts().total == calls
    check_invariants(job.delivered(), ACCOUNTS, firm)
    assert not list((job.home / "undelivered").rglob("*.age"))


def test_a_damaged_account_list_of_an_earlier_edition_stops_no_rerun(job, firm):
    assert job.run().returncode == 0
    snapshot = job.store / "editions" / "20260310" / "0001" / "accounts.parquet.age"
    snapshot.write_bytes(snapshot.read_bytes() + b"x")
    done = job.run()
    assert done.returncode == 0, done.stderr
    assert job.delivered().manifest["edition"] == 2
    check_invariants(job.delivered(), ACCOUNTS)


def test_a_page_that_fails_after_the_delivery_is_said_and_does_not_undo_it(job, firm):
    (job.store / "FirmESGRatings_trend.html.age").mkdir(parents=True)
    done = job.run()
    assert done.returncode == 0
    assert "trend page is not renewed" in done.stderr
    assert "The report itself is delivered" in done.stderr
    check_invariants(job.delivered(), ACCOUNTS, firm)


def test_a_report_written_with_other_settings_is_rebuilt_as_it_was(job, firm):
    assert job.run(ESG_REPORT_BOM="true", ESG_REPORT_FORMULA_GUARD="false").returncode == 0
    rebuilt = job("report", "rebuild", "--date", "2026-03-10")
    assert rebuilt.returncode == 0, rebuilt.stdout
    shown = job("report", "show", "--date", "2026-03-10", "--rows", "60")
    assert shown.returncode == 0, shown.stderr


def test_an_edition_is_rebuilt_from_the_ledger_byte_for_byte(job, firm):
    firm.set_faults({"missing_pillar": 0.1, "http_404": 0.03})
    assert job.run().returncode == 0
    firm.heal()
    assert job.run().returncode == 0
    first = job("report", "rebuild", "--date", "2026-03-10", "--edition", "1")
    assert first.returncode == 0, first.stderr
    assert first.stdout.count("the same bytes") == 2
    out = job.work / "rebuilt"
    newest = job("report", "rebuild", "--date", "2026-03-10", "--out", str(out))
    assert newest.returncode == 0, newest.stderr
    assert (out / "FirmESGRatings_20260310.csv").read_bytes() == job.delivered().csv


def test_failed_only_finishes_first_what_a_dead_run_began(job, firm):
    running = job.start("run", "--date", "2026-03-10", **SLOWLY)
    firm.wait_for_calls(10)
    running.kill()
    running.communicate()
    done = job.run("--failed-only")
    assert done.returncode == 0, done.stderr
    assert "edition 1 is not delivered yet and is finished first" in done.stderr
    check_invariants(job.delivered(), ACCOUNTS, firm)
