"""Settings: every wrong one stops the start with one line that names it, and no secret leaks."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from esg_pipeline.safe_text import mask
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


CONTRACT = {
    "DAGSTER_HOME": ".dagster_home",
    "ESG_ACCOUNTS_URL": "",
    "ESG_ACCOUNTS_QUERY": "",
    "ESG_ACCOUNTS_TOKEN": "",
    "ESG_ACCOUNTS_MAX_DROP": "0.2",
    "ESG_API_URL": "",
    "ESG_API_TOKEN": "",
    "ESG_API_OAUTH_TOKEN_URL": "",
    "ESG_API_OAUTH_CLIENT_ID": "",
    "ESG_API_OAUTH_CLIENT_SECRET": "",
    "ESG_API_OAUTH_SCOPE": "",
    "ESG_API_RATE_LIMIT": "50",
    "ESG_API_MAX_CONCURRENCY": "64",
    "ESG_API_TIMEOUT": "30",
    "ESG_API_MAX_ATTEMPTS": "3",
    "ESG_API_BACKOFF_BASE": "1",
    "ESG_API_BACKOFF_MAX": "60",
    "ESG_API_OUTAGE_PATIENCE": "",
    "ESG_API_THROTTLE_STATUSES": "429",
    "ESG_API_MAX_STALENESS_DAYS": "7",
    "ESG_API_CA_FILE": "",
    "ESG_API_FIELD_STATUS": "status",
    "ESG_API_FIELD_PORTFOLIO_ID": "portfolio_id",
    "ESG_API_FIELD_ANALYSIS_DATE": "analysis_date",
    "ESG_API_FIELD_OVERALL_ESG_SCORE": "esg_analysis.overall_esg_score",
    "ESG_API_FIELD_ENVIRONMENTAL_SCORE": "esg_analysis.environmental_score",
    "ESG_API_FIELD_SOCIAL_SCORE": "esg_analysis.social_score",
    "ESG_API_FIELD_GOVERNANCE_SCORE": "esg_analysis.governance_score",
    "ESG_API_FIELD_PRIMARY_ESG_FOCUS": "esg_analysis.primary_esg_focus",
    "ESG_API_FIELD_PRIMARY_FOCUS_SCORE": "esg_analysis.primary_focus_score",
    "ESG_REPORT_DEADLINE": "09:00",
    "ESG_DEADLINE_RESERVE": "600",
    "ESG_REPORT_BOM": "False",
    "ESG_REPORT_FORMULA_GUARD": "True",
    "ESG_FAILURE_THRESHOLD": "0.05",
    "ESG_STORE_URL": "",
    "ESG_STORE_KMS_KEY_ID": "",
    "ESG_STORE_GROUP": "",
    "ESG_STORE_RECIPIENTS": "",
    "ESG_STORE_IDENTITY": "",
    "ESG_LEDGER_URL": "",
    "ESG_RETENTION_DAYS": "2190",
    "ESG_SMTP_URL": "",
    "ESG_ALERT_EMAIL_FROM": "",
    "ESG_ALERT_EMAIL_DEV": "",
    "ESG_ALERT_EMAIL_BUSINESS": "",
    "ESG_PAGERDUTY_ROUTING_KEY": "",
    "ESG_PAGERDUTY_URL": "https://events.pagerduty.com",
    "ESG_ALERT_URLS": "",
    "ESG_DAGSTER_URL": "",
    "ESG_DELIVERY_NOTE": "False",
    "ESG_PUSHGATEWAY_URL": "",
    "ESG_LOG_LEVEL": "INFO",
    "ESG_LOG_STDOUT": "",
    "ESG_LOG_RETENTION_DAYS": "90",
    "ESG_LOG_SYSLOG_URL": "",
    "ESG_LOG_SYSLOG_CA_FILE": "",
    "ESG_LOG_CLOUDWATCH_GROUP": "",
}
"""Every name and its default, as the pages write them ("" for none). What a firm has in its
environment must stay right: a name is added here, and none is changed or taken away."""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("ESG_") or name == "DAGSTER_HOME":  # `make` sets one
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


def test_what_is_secret_in_a_setting_is_masked_from_then_on_and_the_rest_stays_readable(
    monkeypatch,
):
    load(
        monkeypatch,
        ESG_API_TOKEN="tok-canary-7",
        ESG_LEDGER_URL="postgresql+psycopg://esg:hunter2@db.example/ledger",
        ESG_ALERT_URLS="slack://T0canary1/B0canary2/xyzcanary3",
        ESG_PAGERDUTY_URL="https://events.example?routing=1&key=canary-4",
    )
    assert mask("tok-canary-7 hunter2 T0canary1 B0canary2 xyzcanary3 canary-4") == " ".join(
        ["***"] * 6
    )
    told = "postgresql+psycopg://esg:hunter2@db.example/ledger does not answer"
    assert mask(told) == "postgresql+psycopg://esg:***@db.example/ledger does not answer"
    assert mask("db.example/ledger, events.example") == "db.example/ledger, events.example"


def test_the_home_of_the_demo_takes_no_real_accounts(monkeypatch, tmp_path):
    firm = tmp_path / "home" / "sandbox"
    firm.mkdir(parents=True)
    home = firm.parent
    refusal = (
        f"DAGSTER_HOME: {home} holds the demo's invented reports; set another folder for real "
        "accounts, or delete this one"
    )
    assert problems(monkeypatch, DAGSTER_HOME=str(home)) == [refusal]
    assert problems(monkeypatch, ESG_ACCOUNTS_URL="")[0] == refusal
    its_own = f"sqlite:///{firm}/accounts.db"
    assert load(monkeypatch, ESG_ACCOUNTS_URL=its_own, DAGSTER_HOME=str(home)).home == home


def test_names_and_defaults_are_a_contract():
    page = (Path(__file__).parents[1] / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| .* \| (?:`(.*)`)? *\|$", page, re.MULTILINE)
    assert dict(rows) == CONTRACT


def test_the_defaults_written_out_change_nothing(monkeypatch):
    unwritten = load(monkeypatch)
    assert load(monkeypatch, **{name: text for name, text in CONTRACT.items() if text}) == unwritten


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ESG_API_URL", "http://api.example.com", "http:// is only allowed for loopback addresses; "
         "got http://api.example.com. Use https://."),
        ("ESG_API_URL", "http://esg-api/v1", "http:// is only allowed for loopback"),
        ("ESG_API_URL", "http://localhost.example.com", "http:// is only allowed for loopback"),
        ("ESG_API_URL", "http://10.0.0.7/x", "http:// is only allowed for loopback"),
        ("ESG_API_URL", "http://0.0.0.0/x", "http:// is only allowed for loopback"),
        ("ESG_API_URL", "ftp://127.0.0.1/x", "must be an https:// URL"),
        ("ESG_API_URL", "https:///x", "must be an https:// URL"),
        ("ESG_API_URL", "https://:hunter2@api.example.com", "must not hold a user or password"),
        ("ESG_API_URL", "https://api.example.com:port", "the port must be a number from 0 to"),
        ("ESG_API_OAUTH_TOKEN_URL", "http://login/token", "http:// is only allowed for loopback"),
        ("ESG_ACCOUNTS_URL", "http://accounts/list", "http:// is only allowed for loopback"),
        ("ESG_API_URL", "https://user:hunter2@api.example.com", "must not hold a user"),
        ("ESG_API_URL", "https://169.254.169.254/x", "link-local addresses are not allowed; got "
         "https://169.254.169.254"),
        ("ESG_API_URL", "http://169.254.169.254/x", "link-local addresses are not allowed; got"),
        ("ESG_API_URL", "https://[fe80::1]/x", "link-local addresses are not allowed; got"),
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
        ("ESG_SMTP_URL", "smtp://user:hunter2@host:port", "the port must be a number"),
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
)  # fmt: skip
def test_a_bad_value_is_one_line_that_names_the_setting_and_shows_no_secret(
    monkeypatch, name, value, says
):
    (line,) = problems(monkeypatch, **{name: value})
    assert line.startswith(f"{name}: ")
    assert "Value error" not in line
    assert says in line
    assert "\n" not in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("ESG_API_URL", "api.example.com", "must be an https:// URL"),
        ("ESG_API_URL", "https://user@api.example.com",
         "must not hold a user or password; use the token settings"),
        ("ESG_API_URL", "https://api.example.com:99999",
         "the port must be a number from 0 to 65535"),
        ("ESG_PUSHGATEWAY_URL", "http://host:x", "the port must be a number from 0 to 65535"),
        ("ESG_PUSHGATEWAY_URL", "http:///x", "must be http(s)://host:port"),
        ("ESG_SMTP_URL", "smtp:///x", "must be smtp://host:port (STARTTLS) or smtps://host:port"),
        ("ESG_LOG_SYSLOG_URL", "syslog+tls:///x",
         "must be syslog+tls://host:port; nothing is logged in the clear"),
        ("ESG_STORE_URL", "file://server/share",
         "must start with file:/// (a folder) or s3:// (a bucket)"),
        ("ESG_STORE_RECIPIENTS", "age1ok,ssh-ed25519AAAA",
         "holds something else than an age public key, which starts age1"),
        ("ESG_STORE_RECIPIENTS", "age-secret-key-1hunter2",
         "holds a secret key; give the public key, it starts with age1"),
        ("ESG_ACCOUNTS_TOKEN", "a b",
         "must be printable ASCII without spaces; look for a stray character"),
        ("ESG_API_TOKEN", "\n",
         "must be printable ASCII without spaces; look for a stray character"),
        ("ESG_REPORT_DEADLINE", "09:00Z",
         "must be a time of day without an offset; it is Central Time"),
        ("ESG_API_FIELD_SOCIAL_SCORE", "esg.", "must be names joined by single dots"),
        ("ESG_LEDGER_URL", "sqlite", "has no scheme; write for example "
         "postgresql+psycopg://user:password@host/name"),
        ("ESG_LEDGER_URL", "oracle+nope://x", "not a usable database URL (scheme 'oracle+nope'); "
         "write for example sqlite:///folder/file.db or "
         "postgresql+psycopg://user:password@host/name"),
    ],
)  # fmt: skip
def test_our_own_rules_are_told_whole(monkeypatch, name, value, told):
    assert problems(monkeypatch, **{name: value}) == [f"{name}: {told}"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ESG_API_URL", "https://intranet-host:8443/v1/{account_id}"),
        ("ESG_ACCOUNTS_URL", "file:///folder/accounts.csv"),
        ("ESG_ACCOUNTS_URL", "https://host/accounts"),
        ("ESG_ACCOUNTS_URL", "sqlite:///firm.db"),
        ("ESG_LEDGER_URL", "postgresql+psycopg://db/ledger"),
        ("ESG_STORE_URL", "file:///mnt/share"),
        ("ESG_STORE_URL", "s3://bucket/prefix"),
        ("ESG_SMTP_URL", "smtps://user:p@host"),
        ("ESG_SMTP_URL", "smtp://host:587"),
        ("ESG_LOG_SYSLOG_URL", "syslog+tls://host:6514"),
        ("ESG_PUSHGATEWAY_URL", "http://user:p@host:9091"),
        ("ESG_PUSHGATEWAY_URL", "https://host"),
        ("ESG_API_FIELD_SOCIAL_SCORE", "esg.scores.social"),
        ("ESG_STORE_RECIPIENTS", "age1abc age1def"),
        ("ESG_API_TOKEN", "!~azAZ09"),
    ],
)
def test_what_is_right_is_taken_as_it_stands(monkeypatch, name, value):
    taken = getattr(load(monkeypatch, **{name: value}), name.removeprefix("ESG_").lower())
    text = taken.get_secret_value() if isinstance(taken, SecretStr) else taken
    assert text == value or text == tuple(value.split())


def test_in_code_a_list_may_be_given_as_one():
    assert Settings(_env_file=None, alert_email_dev=("a", "b")).alert_email_dev == ("a", "b")


def test_an_unknown_name_is_refused_with_the_nearest_known_one(monkeypatch):
    assert problems(monkeypatch, ESG_API_RATELIMIT="5") == [
        "ESG_API_RATELIMIT: unknown setting; did you mean ESG_API_RATE_LIMIT?"
    ]


def test_an_unknown_name_like_no_other_is_refused_with_the_page_to_look_at(monkeypatch):
    assert problems(monkeypatch, ESG_ZZZ="5") == [
        "ESG_ZZZ: unknown setting; see docs/settings.md for the names"
    ]


def test_every_problem_has_its_line_unknown_names_first_in_order(monkeypatch):
    lines = problems(
        monkeypatch, ESG_ZZZ="5", ESG_YYY="5", ESG_API_RATE_LIMIT="0", ESG_RETENTION_DAYS="x"
    )
    assert [line.partition(":")[0] for line in lines] == [
        "ESG_YYY",
        "ESG_ZZZ",
        "ESG_API_RATE_LIMIT",
        "ESG_RETENTION_DAYS",
    ]


def test_names_of_others_and_lower_case_are_no_matter(monkeypatch):
    monkeypatch.setenv("MESG_API_RATE_LIMIT", "0")
    monkeypatch.setenv("esg_api_timeout", "8")
    assert load(monkeypatch).api_timeout == 8
    monkeypatch.setenv("esg_api_timeou", "8")
    assert problems(monkeypatch)[0].startswith("ESG_API_TIMEOU: unknown setting; did you mean ESG_")


def test_names_are_looked_for_where_the_caller_says(monkeypatch):
    monkeypatch.setenv("ESG_ZZZ", "5")
    assert load_settings({}).api_rate_limit == 50
    with pytest.raises(SettingsError, match="ESG_YYY"):
        load_settings({"ESG_YYY": "1"})


def test_a_list_may_be_written_with_commas_or_spaces(monkeypatch):
    settings = load(
        monkeypatch,
        ESG_ALERT_EMAIL_DEV="a@x.example, b@x.example  c@x.example",
        ESG_API_THROTTLE_STATUSES="429,503",
    )
    assert settings.alert_email_dev == ("a@x.example", "b@x.example", "c@x.example")
    assert settings.api_throttle_statuses == (429, 503)
    (line,) = problems(monkeypatch, ESG_API_THROTTLE_STATUSES="429;503")
    assert line.startswith("ESG_API_THROTTLE_STATUSES: ")


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
    assert caught.value.problems == [
        "ESG_ACCOUNTS_URL: missing; say where the active accounts are, for example "
        "postgresql+psycopg://user:password@host/name",
        "ESG_API_URL: missing; give the https:// endpoint of the ESG API",
        "ESG_API_TOKEN: missing; set it, or the three ESG_API_OAUTH_… settings",
    ]
    assert str(caught.value).splitlines() == caught.value.problems


def test_half_an_oauth_configuration_names_what_is_missing(monkeypatch):
    lines = problems(monkeypatch, ESG_API_OAUTH_CLIENT_ID="esg")
    together = (
        "OAuth needs ESG_API_OAUTH_TOKEN_URL, ESG_API_OAUTH_CLIENT_ID, ESG_API_OAUTH_CLIENT_SECRET "
        "together"
    )
    assert lines == [
        f"ESG_API_OAUTH_TOKEN_URL: missing; {together}",
        f"ESG_API_OAUTH_CLIENT_SECRET: missing; {together}",
    ]
    monkeypatch.setenv("ESG_API_URL", "")
    with pytest.raises(SettingsError) as caught:
        load_settings().require_for_run()
    assert [line.partition(":")[0] for line in caught.value.problems] == [
        "ESG_API_URL",
        "ESG_API_OAUTH_TOKEN_URL",
        "ESG_API_OAUTH_CLIENT_SECRET",
    ]
    monkeypatch.delenv("ESG_API_OAUTH_CLIENT_ID")
    assert problems(
        monkeypatch, ESG_API_OAUTH_TOKEN_URL="https://x", ESG_API_OAUTH_CLIENT_SECRET="s"
    ) == [f"ESG_API_OAUTH_CLIENT_ID: missing; {together}"]


def test_oauth_needs_no_fixed_token(monkeypatch):
    for name, value in GOOD.items():
        if name != "ESG_API_TOKEN":
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("ESG_API_OAUTH_TOKEN_URL", "https://login.example.com/token")
    monkeypatch.setenv("ESG_API_OAUTH_CLIENT_ID", "esg")
    monkeypatch.setenv("ESG_API_OAUTH_CLIENT_SECRET", "s3cret\n")
    settings = load_settings()
    settings.require_for_run()
    assert settings.api_oauth_client_secret.get_secret_value() == "s3cret"


def test_a_token_from_a_file_may_end_with_a_newline(monkeypatch):
    settings = load(monkeypatch, ESG_API_TOKEN="tok-canary\n")
    assert settings.api_token.get_secret_value() == "tok-canary"


def test_an_env_file_that_is_not_utf8_is_one_line(monkeypatch, tmp_path):
    (tmp_path / ".env").write_bytes(b"ESG_API_TOKEN=\xff\n")
    assert problems(monkeypatch) == [".env: is not UTF-8 text; save it as UTF-8"]


def test_an_env_file_that_cannot_be_read_is_one_line(monkeypatch, tmp_path):
    (tmp_path / ".env").mkdir()
    assert problems(monkeypatch) == [".env: Is a directory"]


@pytest.mark.servers
def test_an_env_file_is_utf8_whatever_the_machine_thinks(tmp_path):
    (tmp_path / "own.env").write_text("ESG_STORE_GROUP=Prüfer\n", encoding="utf-8")
    assert read_env_file(tmp_path / "own.env") == {"ESG_STORE_GROUP": "Prüfer"}
    ask = "from esg_pipeline.settings import *; print(ascii(dict(read_env_file(Path('own.env')))))"
    ascii_machine = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    said = subprocess.run(
        [sys.executable, "-c", ask],
        env={**os.environ, **ascii_machine},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said == "{'ESG_STORE_GROUP': 'Pr\\xfcfer'}\n"


def test_the_env_file_may_refer_to_the_environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRETS", "/run/secrets")
    (tmp_path / ".env").write_text("DAGSTER_HOME=${SECRETS}/home\n")
    assert read_env_file() == {"DAGSTER_HOME": "/run/secrets/home"}


def test_a_line_of_the_env_file_that_would_be_skipped_is_an_error(monkeypatch, tmp_path, capfd):
    monkeypatch.chdir(tmp_path)
    lines = ["ESG_API_TIMEOUT=7", "", "secret-canary without a name", 'ESG_API_TOKEN="not-closed']
    (tmp_path / ".env").write_text("\n".join(lines) + "\n")
    hint = "not NAME=value, or a quote that is not closed; mend it or begin it with #"
    assert problems(monkeypatch) == [f".env, line 3: {hint}", f".env, line 4: {hint}"]
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
