"""Bad input: the right exit code, one line that says what to do, and nothing half done."""

import os
import sqlite3
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from esg_pipeline.cli.home import login_name
from esg_pipeline_tests.end_to_end.command_here import command_here
from esg_pipeline_tests.end_to_end.conftest import ACCOUNTS, QUICK
from esg_pipeline_tests.end_to_end.job import COMMAND, DAY, JobHere, check_invariants

YESTERDAY = DAY - timedelta(days=1)


@pytest.fixture
def job(tmp_path, firm) -> JobHere:
    return JobHere(tmp_path / "home", {**QUICK, **firm.env()})


def says_no_trace(done) -> None:
    assert "Traceback" not in done.stdout + done.stderr


def test_missing_and_unknown_settings_are_exit_2_with_a_line_each(job):
    wrong = {"ESG_API_URL": "", "ESG_API_RATELIMIT": "7", "ESG_FAILURE_THRESHOLD": "9"}
    done = job.in_a_process("run", "--date", str(DAY), **wrong)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("ESG_API_RATELIMIT: unknown setting")
    assert lines[1].startswith("ESG_FAILURE_THRESHOLD: ")
    missing = job.run(ESG_API_URL="")
    assert missing.returncode == 2
    assert missing.stderr.startswith("ESG_API_URL: missing")


@pytest.mark.parametrize(
    "words",
    [
        ("--date", "2026-02-30"),
        ("--date", "2999-01-01"),
        ("--accounts", ","),
        ("--accounts", '"A,B'),
        ("--accounts", "A", "--failed-only"),
        ("--by", "Ann"),
        ("--failed-only",),
    ],
)
def test_wrong_words_are_exit_2(job, firm, words):
    done = job("run", *words) if "--date" in words else job.run(*words)
    assert done.returncode == 2
    says_no_trace(done)
    assert firm.counts().total == 0


def test_a_source_that_is_down_is_exit_1_and_leaves_yesterdays_file_alone(job, firm):
    assert job.run(day=YESTERDAY).returncode == 0
    before = {path: path.read_bytes() for path in job.store.glob("FirmESGRatings_20260309*")}
    assert len(before) == 5
    firm.reset()
    for url in (
        "sqlite:////nowhere/accounts.db",
        "postgresql+psycopg://esg:hunter2@127.0.0.1:1/accounts",
    ):
        done = job.run(ESG_ACCOUNTS_URL=url)
        assert done.returncode == 1
        says_no_trace(done)
        assert "hunter2" not in done.stderr
    done = job.run(ESG_ACCOUNTS_QUERY="SELECT nonsense FROM accounts")
    assert done.returncode == 1
    assert "nonsense" in done.stderr
    assert firm.counts().total == 0
    assert {path: path.read_bytes() for path in before} == before
    assert not list(job.store.glob("FirmESGRatings_20260310*"))


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "no active account"),
        ([("A1", "Ann"), ("A1", "Bob")], "A1"),
        ([("A1", "Ann"), ("", "Bob")], "account_id"),
    ],
)
def test_a_wrong_list_is_refused_before_any_call(job, firm, tmp_path, rows, says):
    path = tmp_path / "wrong.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE accounts (account_id TEXT, account_name TEXT, status TEXT)")
        db.executemany("INSERT INTO accounts VALUES (?, ?, 'active')", rows)
    done = job.run(ESG_ACCOUNTS_URL=f"sqlite:///{path}")
    assert done.returncode == 1
    assert says.lower() in done.stderr.lower()
    says_no_trace(done)
    assert firm.counts().total == 0


def test_an_api_that_is_down_gives_a_whole_file_of_failed_rows_and_exit_3(job, firm):
    firm.set_faults(listening=False)
    done = job.run(ESG_API_OUTAGE_PATIENCE="1")
    assert done.returncode == 3, done.stderr
    delivery = job.delivered()
    check_invariants(delivery, ACCOUNTS)
    assert delivery.statuses()["Failed"] == ACCOUNTS
    assert {row["Reason"] for row in delivery.error_rows.values()} == {"connection"}


def test_a_store_that_cannot_be_written_is_found_before_the_first_call(job, firm, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    done = job.run(ESG_STORE_URL=blocked.as_uri())
    assert done.returncode == 1
    assert "blocked" in done.stderr
    says_no_trace(done)
    assert firm.counts().total == 0


def test_an_unreachable_ledger_is_exit_1_without_its_password(job, firm):
    done = job.run(ESG_LEDGER_URL="postgresql+psycopg://esg:hunter2@127.0.0.1:1/ledger")
    assert done.returncode == 1
    assert "hunter2" not in done.stderr
    says_no_trace(done)
    assert firm.counts().total == 0


def test_a_list_that_shrank_is_held_and_a_named_person_releases_it(job, firm, tmp_path):
    assert job.run(day=YESTERDAY).returncode == 0
    firm.reset()
    half = {
        "ESG_ACCOUNTS_QUERY": "SELECT * FROM accounts WHERE status='active' ORDER BY 1 LIMIT 30"
    }
    held = job.run(**half)
    assert held.returncode == 1
    assert "--by NAME --reason TEXT" in held.stderr
    assert firm.counts().total == 0
    released = job.run("--by", "Ann Officer", "--reason", "branch sold", **half)
    assert released.returncode == 0, released.stderr
    manifest = job.delivered().manifest
    assert manifest["rows"] == 30
    assert (manifest["asked_by"], manifest["reason"]) == ("Ann Officer", "branch sold")


def test_a_key_that_cannot_sign_is_found_before_the_first_call_and_people_hear(job, firm):
    keys = job.home / "keys"
    keys.mkdir(parents=True)
    (keys / "manifest_signing_key.pem").write_text("not a key")
    done = job.run()
    assert done.returncode == 2
    assert "manifest_signing_key.pem" in done.stderr
    says_no_trace(done)
    assert firm.counts().total == 0
    assert "run_failed" in job("status").stdout


def test_the_home_may_be_named_in_the_env_file(job, firm):
    (job.work / ".env").write_text(f"DAGSTER_HOME={job.home}\n")
    environment = job.environment()
    del environment["DAGSTER_HOME"]
    done = subprocess.run(
        [*COMMAND, "run", "--date", DAY.isoformat()],
        env=environment,
        cwd=job.work,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert job.delivered().manifest["rows"] == ACCOUNTS


@pytest.mark.parametrize("content", ["{:", "nonsense: true", "run_queue: [1]"])
def test_a_broken_dagster_yaml_is_one_line(job, firm, content):
    assert job("status").returncode == 0
    (job.home / "dagster.yaml").write_text(content)
    done = job.run()
    assert done.returncode == 1
    assert f"Dagster's instance in {job.home} cannot be used: " in done.stderr
    says_no_trace(done)
    assert firm.counts().total == 0


def test_a_date_before_all_dates_is_exit_2_even_by_the_clock(job, monkeypatch):
    monkeypatch.setattr("esg_pipeline.clock.now_utc", lambda: datetime(2000, 1, 1, tzinfo=UTC))
    done = command_here(job, "run")
    assert done.exit_code == 2
    assert "1999-12-31 must lie between 2020-01-01 and today" in done.output


def test_a_user_without_a_name_is_called_by_number(monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: {}["uid not found"])
    assert login_name() == f"uid {os.getuid()}"


def test_a_run_that_is_queued_where_no_daemon_lives_says_so(job, firm):
    done = job.run("--submit")
    assert done.returncode == 0, done.stderr
    assert "It waits: dagster-daemon" in done.stderr
