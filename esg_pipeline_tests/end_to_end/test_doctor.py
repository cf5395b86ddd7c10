"""`esg-pipeline doctor` tries every dependency for real, and names the one that is broken."""

import pytest
import yaml

from esg_pipeline.clock import business_date, now_utc
from esg_pipeline_tests.end_to_end.command_here import command_here

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",  # Dagster uses much that is deprecated, its own too
)


def lines(output: str) -> dict[str, tuple[str, str]]:
    """State and words by the name of the part."""
    parts = (line.split(maxsplit=2) for line in output.splitlines())
    return {part[0]: (part[1], part[2]) for part in parts}


def test_a_sound_installation_has_nothing_broken_and_no_account_is_asked(job, firm):
    firm.reset()
    done = command_here(job, "doctor")
    assert done.exit_code == 0, done.output
    said = lines(done.stdout)
    assert {name: state for name, (state, _) in said.items()} == {
        **dict.fromkeys(("settings", "accounts", "api", "store", "ledger", "dagster"), "ok"),
        "daemon": "warning",
        "alerts": "warning",
    }
    assert "the first account was read" in said["accounts"][1]
    assert firm.counts().accounts == 0


@pytest.mark.parametrize(
    ("part", "words", "changes"),
    [
        ("api", "no answer", {"ESG_API_URL": "http://127.0.0.1:9/rate"}),
        (
            "accounts",
            "there is no such file",
            {"ESG_ACCOUNTS_URL": "sqlite:////nowhere/accounts.db"},
        ),
        ("store", "cannot write", {"ESG_STORE_URL": "file:///proc/nowhere"}),
        ("ledger", "cannot be", {"ESG_LEDGER_URL": "sqlite:////proc/nowhere/ledger.db"}),
        ("alerts", "mail", {"ESG_SMTP_URL": "smtp://127.0.0.1:9"}),
    ],
)
def test_what_is_broken_is_named_and_all_else_is_tried_too(job, part, words, changes):
    if part == "alerts":
        people = dict.fromkeys(("FROM", "DEV", "BUSINESS"), "kim@bank.example")
        changes |= {f"ESG_ALERT_EMAIL_{name}": address for name, address in people.items()}
    done = command_here(job, "doctor", **changes)
    said = lines(done.stdout)
    assert done.exit_code == 1
    assert {name for name, (state, _) in said.items() if state == "BROKEN"} == {part}
    assert words in said[part][1]
    assert "Traceback" not in done.output


def test_an_instance_that_starts_no_crashed_run_again_is_broken(job):
    assert command_here(job, "status").exit_code == 0
    path = job.home / "dagster.yaml"
    config = yaml.safe_load(path.read_text())
    config["run_retries"] = {"enabled": False}
    path.write_text(yaml.safe_dump(config))
    done = command_here(job, "doctor")
    assert done.exit_code == 1
    assert "run_retries is off" in lines(done.stdout)["dagster"][1]


def test_a_ledger_that_does_not_know_the_last_delivery_is_named(job):
    day = business_date(now_utc()).isoformat()
    assert command_here(job, "run", "--date", day).exit_code == 0
    assert command_here(job, "doctor").exit_code == 0
    done = command_here(job, "doctor", ESG_LEDGER_URL=f"sqlite:///{job.home}/other.db")
    assert done.exit_code == 1
    assert f"the store has edition 1 of {day}" in lines(done.stdout)["ledger"][1]
