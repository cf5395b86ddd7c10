"""Settings: every wrong one stops the start with one line that names it, and no secret leaks."""

import os
import re
from pathlib import Path

import pytest

from esg_pipeline.settings import (
    Settings,
    SettingsError,
    load_settings,
    read_env_file,
    settings_page,
)

GOOD = {
    "ESG_ACCOUNTS_URL": "postgresql+psycopg://esg:hunter2@db/accounts",
    "ESG_API_URL": "https://api.example.com/v1/ratings",
    "ESG_API_TOKEN": "tok-canary",
}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("ESG_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def load(monkeypatch, **values) -> Settings:
    for name, value in {**GOOD, **values}.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    settings.require_for_run()
    return settings


def problems(monkeypatch, **values) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(monkeypatch, **values)
    return caught.value.problems


def test_the_defaults_are_those_of_the_design(monkeypatch):
    settings = load(monkeypatch)
    assert (settings.api_rate_limit, settings.api_max_concurrency) == (50, 64)
    assert (settings.api_timeout, settings.api_max_attempts) == (30, 3)
    assert (settings.api_backoff_base, settings.api_backoff_max) == (1, 60)
    assert settings.report_deadline.isoformat() == "09:00:00"
    assert settings.deadline_reserve == 600
    assert settings.failure_threshold == 0.05
    assert settings.accounts_max_drop == 0.2
    assert settings.retention_days == 2190


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ESG_API_URL", "http://api.example.com", "http:// is only allowed for loopback"),
        ("ESG_API_URL", "https://user:hunter2@api.example.com", "must not hold a user"),
        ("ESG_API_URL", "https://169.254.169.254/x", "link-local"),
        ("ESG_API_URL", "api.example.com", "https://"),
        ("ESG_API_RATE_LIMIT", "0", "greater than 0"),
        ("ESG_API_RATE_LIMIT", "nan", "finite"),
        ("ESG_API_MAX_CONCURRENCY", "many", "integer"),
        ("ESG_API_MAX_ATTEMPTS", "0", "greater than or equal to 1"),
        ("ESG_FAILURE_THRESHOLD", "5", "less than or equal to 1"),
        ("ESG_REPORT_DEADLINE", "25:00", "hour"),
        ("ESG_ACCOUNTS_URL", "foo://user:hunter2@host/db", "not a usable database URL"),
        ("ESG_STORE_URL", "/mnt/reports", "file:///"),
        ("ESG_STORE_RECIPIENTS", "AGE-SECRET-KEY-1hunter2", "holds a secret key"),
        ("ESG_SMTP_URL", "mail://user:hunter2@host", "smtp://"),
        ("ESG_SMTP_URL", "smtp://user:hunter2@host:port", "port"),
        ("ESG_PAGERDUTY_URL", "http://events.example.com", "https://"),
        ("ESG_ACCOUNTS_URL", "user:hunter2@host/db", "no scheme"),
        ("ESG_LEDGER_URL", "postgresql+psycopg:/user:hunter2@host/db", "no scheme"),
        ("ESG_API_TOKEN", "hunter2 hunter2", "printable ASCII"),
        ("ESG_API_TOKEN", "hunter2\x07", "printable ASCII"),
        ("ESG_DEADLINE_RESERVE", "inf", "finite"),
        ("ESG_REPORT_DEADLINE", "09:00+05:00", "Central Time"),
        ("ESG_API_FIELD_STATUS", "a..b", "single dots"),
        ("ESG_PUSHGATEWAY_URL", "ftp://user:hunter2@host", "http(s)://"),
        ("ESG_LOG_SYSLOG_URL", "syslog://host", "syslog+tls://"),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_setting_and_shows_no_secret(
    monkeypatch, name, value, says
):
    (line,) = problems(monkeypatch, **{name: value})
    assert line.startswith(f"{name}: ")
    assert says in line
    assert "\n" not in line
    assert "hunter2" not in line


def test_an_unknown_name_is_refused_with_the_nearest_known_one(monkeypatch):
    assert problems(monkeypatch, ESG_API_RATELIMIT="5") == [
        "ESG_API_RATELIMIT: unknown setting; did you mean ESG_API_RATE_LIMIT?"
    ]


def test_an_unknown_name_in_the_env_file_is_refused_too(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("ESG_API_RATE_LIMITT=5\n")
    (line,) = problems(monkeypatch)
    assert line.startswith("ESG_API_RATE_LIMITT: unknown setting")


def test_the_env_file_gives_values_and_the_environment_wins(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("ESG_API_RATE_LIMIT=5\nESG_API_TIMEOUT=7\n")
    settings = load(monkeypatch, ESG_API_TIMEOUT="9")
    assert (settings.api_rate_limit, settings.api_timeout) == (5, 9)


def test_each_missing_setting_has_its_own_line(monkeypatch):
    with pytest.raises(SettingsError) as caught:
        load_settings().require_for_run()
    named = [line.partition(":")[0] for line in caught.value.problems]
    assert named == ["ESG_ACCOUNTS_URL", "ESG_API_URL", "ESG_API_TOKEN"]


def test_half_an_oauth_configuration_names_what_is_missing(monkeypatch):
    lines = problems(monkeypatch, ESG_API_OAUTH_CLIENT_ID="esg")
    assert [line.partition(":")[0] for line in lines] == [
        "ESG_API_OAUTH_TOKEN_URL",
        "ESG_API_OAUTH_CLIENT_SECRET",
    ]


def test_a_token_from_a_file_may_end_with_a_newline(monkeypatch):
    settings = load(monkeypatch, ESG_API_TOKEN="tok-canary\n")
    assert settings.api_token.get_secret_value() == "tok-canary"


def test_an_env_file_that_is_not_utf8_is_one_line(monkeypatch, tmp_path):
    (tmp_path / ".env").write_bytes(b"ESG_API_TOKEN=\xff\n")
    assert problems(monkeypatch) == [".env: is not UTF-8 text; save it as UTF-8"]


def test_the_env_file_may_refer_to_the_environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRETS", "/run/secrets")
    (tmp_path / ".env").write_text("DAGSTER_HOME=${SECRETS}/home\n")
    assert read_env_file() == {"DAGSTER_HOME": "/run/secrets/home"}


def test_a_line_of_the_env_file_that_would_be_skipped_is_an_error(monkeypatch, tmp_path, capfd):
    monkeypatch.chdir(tmp_path)
    lines = ["ESG_API_TIMEOUT=7", "", "secret-canary without a name", 'ESG_API_TOKEN="not-closed']
    (tmp_path / ".env").write_text("\n".join(lines) + "\n")
    assert [each.split(":")[0] for each in problems(monkeypatch)] == [
        ".env, line 3",
        ".env, line 4",
    ]
    assert "canary" not in str(problems(monkeypatch))
    assert capfd.readouterr().err == ""


def test_http_is_fine_on_every_loopback_address(monkeypatch):
    for host in ("127.0.0.1:80", "localhost", "[::1]:8080"):
        assert load(monkeypatch, ESG_API_URL=f"http://{host}/x").api_url == f"http://{host}/x"


def test_no_secret_is_in_the_settings_repr(monkeypatch):
    settings = load(
        monkeypatch,
        ESG_SMTP_URL="smtp://user:hunter2@host",
        ESG_LEDGER_URL="postgresql+psycopg://esg:hunter2@db/ledger",
        ESG_PAGERDUTY_ROUTING_KEY="hunter2",
        ESG_ALERT_URLS="slack://hunter2",
    )
    assert "hunter2" not in repr(settings)
    assert "tok-canary" not in repr(settings)


def test_the_settings_page_is_made_from_the_settings():
    page = Path(__file__).parents[1] / "docs" / "settings.md"
    assert page.read_text(encoding="utf-8") == settings_page()


def test_every_fixed_name_of_the_design_is_known():
    fixed = re.findall(
        r"`(ESG_[A-Z_]+)`",
        settings_page(),
    )
    for name in ("ESG_API_FIELD_OVERALL_ESG_SCORE", "ESG_PUSHGATEWAY_URL", "ESG_ALERT_EMAIL_DEV"):
        assert name in fixed
