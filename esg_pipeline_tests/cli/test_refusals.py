"""Each command refuses in words, with its exit code, and does nothing half."""

import getpass
import socket
from pathlib import Path

import pytest

from esg_pipeline.ledger import Ledger
from esg_pipeline_tests.cli.conftest import refused, trail
from esg_pipeline_tests.end_to_end.command_here import command_here
from esg_pipeline_tests.end_to_end.job import DAY, Job

pytestmark = [
    pytest.mark.servers,
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning",  # Dagster uses much that is deprecated, its own too
    ),
]

ME = getpass.getuser()
AWAY = {"ESG_LEDGER_URL": "postgresql+psycopg://esg:hunter2@127.0.0.1:1/ledger"}
DATE = ("--date", DAY.isoformat())

NEEDS_THE_LEDGER = [
    ("run", *DATE, "--failed-only"),
    ("report", "fetch", *DATE, "--out", "out"),
    ("report", "show", *DATE),
    ("report", "rebuild", *DATE),
    ("report", "history", "--out", "out"),
    ("status",),
    ("audit", "verify"),
    ("audit", "export"),
    ("purge",),
    ("purge", "--dry-run"),
    ("legal-hold", "place", DAY.isoformat(), "--reason", "case 7"),
    ("legal-hold", "release", DAY.isoformat(), "--reason", "case 7"),
    ("legal-hold", "list"),
]
ALL = [
    *NEEDS_THE_LEDGER,
    ("run",),
    ("report", "verify", *DATE),
    ("doctor",),
    ("watchdog",),
    ("alerts", "test"),
]


def name_of(words: tuple[str, ...]) -> str:
    return " ".join(words)


@pytest.mark.parametrize("words", ALL, ids=name_of)
def test_a_wrong_setting_is_exit_2_for_every_command(job: Job, words: tuple[str, ...]) -> None:
    said = refused(job, *words, code=2, ESG_API_RATELIMIT="7", ESG_RETENTION_DAYS="x")
    unknown, bad = said.splitlines()
    assert unknown.startswith("ESG_API_RATELIMIT: unknown setting")
    assert bad.startswith("ESG_RETENTION_DAYS: ")


@pytest.mark.parametrize("words", NEEDS_THE_LEDGER, ids=name_of)
def test_without_the_ledger_nothing_is_done_or_shown(
    delivered: Job, words: tuple[str, ...]
) -> None:
    before = sorted(delivered.store.rglob("*"))
    said = refused(delivered, *words, code=1, **AWAY)
    assert len(said.splitlines()) == 1
    assert "127.0.0.1:1/ledger" in said
    assert "hunter2" not in said
    assert sorted(delivered.store.rglob("*")) == before
    assert not (delivered.work / "out").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", "--date", "2026-02-30"), "'2026-02-30' is not a date; write it as YYYY-MM-DD"),
        (("run", "--date", "2019-12-31"), "2019-12-31 must lie between 2020-01-01 and today, 20"),
        (("run", "--date", "2999-01-01"), "2999-01-01 must lie between 2020-01-01 and today, 20"),
        (("run", "--accounts", " , "), "--accounts names no account; write --accounts ID,ID"),
        (("run", "--accounts", '"A,B'), "write --accounts 'ID,\"ID, too\"'"),
        (("run", "--accounts", "A", "--failed-only"),
         "--accounts and --failed-only exclude each other"),
        (("run", "--by", "Ann"), "--by and --reason go together"),
        (("run", "--reason", "it is right"), "--by and --reason go together"),
        (("report", "fetch"), "Missing option '--out'"),
        (("report", "history"), "Missing option '--out'"),
        (("report", "rebuild", "--edition", "one"), "'one' is not a valid integer"),
        (("audit", "export", "--format", "xml"), "'xml' is not one of 'csv', 'json'"),
        (("legal-hold", "place", "2026-03-10"), "Missing option '--reason'"),
        (("legal-hold", "release", "2026-03-10"), "Missing option '--reason'"),
        (("legal-hold", "place", "10.3.2026", "--reason", "x"), "'10.3.2026' is not a date"),
        (("sandbox", "--fault", "gremlins=0.5"), "gremlins"),
        (("sandbox", "--fault", "http_500=2"), "http_500"),
    ],
    ids=str,
)  # fmt: skip
def test_wrong_words_are_exit_2_and_told(job: Job, words: tuple[str, ...], told: str) -> None:
    assert told in refused(job, *words, code=2)
    assert not (job.home / "ledger.db").exists()


@pytest.mark.parametrize(
    ("words", "action"),
    [
        (("report", "fetch", *DATE, "--out", "out"), "fetch"),
        (("report", "show", *DATE), "show"),
        (("report", "rebuild", *DATE), "rebuild"),
        (("report", "history", "--out", "out"), "history"),
    ],
)
def test_what_is_not_delivered_is_exit_1_and_the_trail_names_who_asked(
    job: Job, ledger: Ledger, words: tuple[str, ...], action: str
) -> None:
    for by, who in ((("--by", "Ann"), "Ann"), ((), ME)):
        said = refused(job, *words, *by, code=1)
        assert len(said.splitlines()) == 1
        assert trail(ledger)[-1] == (who, action, "failed")
    assert not list(job.work.rglob("Firm*"))


def test_a_delivery_that_is_not_there_is_not_called_whole(job: Job) -> None:
    words = ("report", "verify", *DATE)
    assert "no manifest_signing_key.pub.pem" in refused(job, *words, code=1)


def test_a_day_without_a_delivery_is_not_called_whole_because_of_another(delivered: Job) -> None:
    said = refused(delivered, "report", "verify", "--date", "2026-03-11", code=1)
    assert "2026-03-11" in said


def test_an_export_that_cannot_be_written_is_exit_1(job: Job) -> None:
    said = refused(job, "audit", "export", "--out", "no/such/folder", code=1)
    assert said == "Error: Could not open file 'no/such/folder': No such file or directory\n"


def test_there_is_nothing_to_ask_again_before_the_first_delivery(job: Job) -> None:
    said = refused(job, "run", *DATE, "--failed-only", code=2)
    assert f"{DAY}: " in said


@pytest.mark.parametrize("action", ["place", "release"])
def test_a_legal_hold_needs_a_person_and_a_reason(job: Job, ledger: Ledger, action: str) -> None:
    words = ("legal-hold", action, DAY.isoformat())
    for more in (("--reason", " "), ("--reason", "case 7", "--by", "")):
        assert "name of a person and a reason" in refused(job, *words, *more, code=1)
    assert trail(ledger) == []


def test_a_date_that_is_not_held_is_not_released(job: Job, ledger: Ledger) -> None:
    said = refused(job, "legal-hold", "release", DAY.isoformat(), "--reason", "case 7", code=1)
    assert said == f"{DAY}: is not under a legal hold\n"
    assert trail(ledger) == []


def test_a_purge_that_cannot_reach_the_store_is_exit_1(job: Job, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = refused(job, "purge", code=1, ESG_STORE_URL=(tmp_path / "file" / "store").as_uri())
    assert len(said.splitlines()) == 1


def test_alerts_that_nobody_would_hear_are_exit_1(job: Job) -> None:
    done = command_here(job, "alerts", "test")
    assert done.exit_code == 1
    assert "FAILED" in done.stdout
    nobody_there = {"ESG_SMTP_URL": "smtp://127.0.0.1:1", "ESG_ALERT_EMAIL_FROM": "a@x.example"}
    people = {"ESG_ALERT_EMAIL_DEV": "b@x.example", "ESG_ALERT_EMAIL_BUSINESS": "c@x.example"}
    done = command_here(job, "alerts", "test", **nobody_there, **people)
    assert done.exit_code == 1
    assert "FAILED" in done.stdout


def test_a_demo_is_not_mixed_with_real_reports(delivered: Job) -> None:
    before = sorted(delivered.home.rglob("*"))
    said = refused(delivered, "demo", code=2)
    assert said.startswith(f"DAGSTER_HOME: {delivered.home} is in use, and invented")
    assert sorted(delivered.home.rglob("*")) == before


def test_a_sandbox_whose_port_is_taken_is_exit_1(job: Job) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = job("sandbox", "--accounts", "3", "--port", port)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "the sandbox cannot start: Address already in use\n"


def test_a_home_that_cannot_be_used_is_exit_2(job: Job, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    home = tmp_path / "file" / "home"
    said = refused(job, "status", code=2, DAGSTER_HOME=str(home))
    assert said == f"DAGSTER_HOME: {home} cannot be used: Not a directory\n"
