"""Every setting of the pipeline: name, type, unit, default and the error a wrong value gets.

Values come from the environment or a `.env` file in the current folder (docs/design.md#settings).
This module reads settings and nothing else: it opens no connection, and it never prints a secret.
"""

import difflib
import io
import ipaddress
import os
import re
from collections.abc import Mapping
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic import field_validator as check
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from esg_pipeline.safe_text import (
    mask,
    register_secret,
    register_secrets_in,
    register_webhooks,
)

PREFIX = "ESG_"
DEFAULT_HOME = ".dagster_home"
DEMO_FOLDER = "sandbox"
"""The simulated firm's folder in the Dagster home of the demo. A home with it is no real run's."""
SECRETS_OF_LIBRARIES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PGPASSWORD")
"""Variables that boto3 and libpq read by themselves, and that no error may show."""
ANSWER_FIELDS = (
    "status",
    "portfolio_id",
    "analysis_date",
    "overall_esg_score",
    "environmental_score",
    "social_score",
    "governance_score",
    "primary_esg_focus",
    "primary_focus_score",
)


class SettingsError(Exception):
    """Settings that cannot be used: one line per problem, each naming its setting."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = list(map(mask, problems))
        super().__init__("\n".join(self.problems))


def _words(value: Any) -> Any:
    """Split "a, b c" into words; the form of every list setting."""
    return value.replace(",", " ").split() if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
Statuses = Annotated[tuple[int, ...], NoDecode, BeforeValidator(_words)]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseSettings):
    """All settings, checked. Attribute `api_url` is the variable `ESG_API_URL`, and so on.

    Everything has a default here, because a person who fetches a report needs no API token;
    `require_for_run` says what a run cannot do without.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        # A checked value may be a SecretStr; its error text must not show the value either.
        validate_default=False,
    )

    home: Path = Field(
        Path(DEFAULT_HOME),
        validation_alias=AliasChoices("DAGSTER_HOME"),
        description="Dagster's home folder. Unset, the command line uses `.dagster_home/` in the "
        "current folder and says so.",
    )

    accounts_url: SecretStr | None = Field(
        None,
        description="Where the active accounts come from; the scheme chooses the source: "
        "`sqlite:///…`, `postgresql+psycopg://…` (any SQLAlchemy URL), `https://…` (REST), "
        "`file:///….csv`. Required for a run.",
    )
    accounts_query: str | None = Field(
        None,
        description="SQL override. Default: `SELECT account_id, account_name, … FROM accounts "
        "WHERE status = 'active'`.",
    )
    accounts_token: SecretStr | None = Field(
        None, description="Bearer token of a REST account source."
    )
    accounts_max_drop: Share = Field(
        0.2,
        description="Share by which the list may shrink against the previous day before the run "
        "is held, before any call.",
    )

    api_url: str | None = Field(
        None,
        description="Endpoint of the ESG Portfolio Analysis API. With `{account_id}` in it the "
        "call is a GET, else a POST. `http://` only for loopback addresses. Required for a run.",
    )
    api_token: SecretStr | None = Field(None, description="Bearer token of the API.")
    api_oauth_token_url: str | None = Field(
        None, description="OAuth 2 token endpoint (client credentials), instead of a fixed token."
    )
    api_oauth_client_id: str | None = Field(None, description="OAuth 2 client id.")
    api_oauth_client_secret: SecretStr | None = Field(None, description="OAuth 2 client secret.")
    api_oauth_scope: str | None = Field(
        None, description="OAuth 2 scopes to ask for, separated by spaces; default none."
    )
    api_rate_limit: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)] = Field(
        50, description="Requests a second, all workers and all runs of the ledger together."
    )
    api_max_concurrency: Annotated[int, Field(ge=1, le=4096)] = Field(
        64, description="Calls in flight."
    )
    api_timeout: Seconds = Field(30, description="Whole call, from connect to last byte, seconds.")
    api_max_attempts: Annotated[int, Field(ge=1, le=10)] = Field(
        3, description="Calls for one account in one edition, at most."
    )
    api_backoff_base: Seconds = Field(1, description="First backoff ceiling, seconds; full jitter.")
    api_backoff_max: Seconds = Field(60, description="Longest backoff, seconds.")
    api_outage_patience: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        None,
        description="Seconds of unbroken outage to wait out before the remaining accounts are "
        "given up as Failed. Default: until the deadline.",
    )
    api_throttle_statuses: Statuses = Field(
        (429,), description="HTTP statuses that mean “slow down” and cost no attempt."
    )
    api_max_staleness_days: Annotated[int, Field(ge=0)] = Field(
        7, description="An analysis date older than this many days makes the rating Partial."
    )
    api_ca_file: Path | None = Field(
        None, description="PEM file of the CA that signed the API's certificate, if not public."
    )
    api_field_status: str = Field("status", description="Dotted path of the status.")
    api_field_portfolio_id: str = Field(
        "portfolio_id", description="Dotted path of the echoed account id."
    )
    api_field_analysis_date: str = Field(
        "analysis_date", description="Dotted path of the analysis date."
    )
    api_field_overall_esg_score: str = Field(
        "esg_analysis.overall_esg_score", description="Dotted path of the overall score."
    )
    api_field_environmental_score: str = Field(
        "esg_analysis.environmental_score", description="Dotted path of the environmental score."
    )
    api_field_social_score: str = Field(
        "esg_analysis.social_score", description="Dotted path of the social score."
    )
    api_field_governance_score: str = Field(
        "esg_analysis.governance_score", description="Dotted path of the governance score."
    )
    api_field_primary_esg_focus: str = Field(
        "esg_analysis.primary_esg_focus", description="Dotted path of the focus."
    )
    api_field_primary_focus_score: str = Field(
        "esg_analysis.primary_focus_score", description="Dotted path of the focus score."
    )

    report_deadline: time = Field(
        time(9, 0), description="Time of day, America/Chicago, by which the report is delivered."
    )
    deadline_reserve: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        600, description="Seconds before the deadline at which calls end and the report is made."
    )
    report_bom: bool = Field(False, description="Start the report with a UTF-8 byte order mark.")
    report_formula_guard: bool = Field(
        True,
        description="Put `'` before an account name that a spreadsheet would run as a formula.",
    )
    failure_threshold: Share = Field(
        0.05, description="More than this share of Failed accounts raises the alert and exit 3."
    )

    store_url: str | None = Field(
        None,
        description="`file:///folder` (a network share) or `s3://bucket/prefix`. Default: `store/` "
        "in the Dagster home.",
    )
    store_kms_key_id: str | None = Field(
        None, description="SSE-KMS key for `s3://`; else the bucket's KMS default."
    )
    store_group: str | None = Field(
        None, description="Group that owns the delivered files on a folder store."
    )
    store_recipients: Words = Field(
        (),
        description="age public keys of the people who may read, for `file://`; optional on "
        "`s3://`. Unset with `file://`: a key pair is made once, mode 0600.",
    )
    store_identity: Path | None = Field(
        None,
        description="Path of the age identity the pipeline itself reads with. Default: "
        "`keys/age_identity.txt` in the Dagster home.",
    )
    ledger_url: SecretStr | None = Field(
        None,
        description="SQLAlchemy URL of the ledger. Default: SQLite in the Dagster home; "
        "PostgreSQL in production.",
    )
    retention_days: Annotated[int, Field(ge=1)] = Field(
        2190, description="Days that reports and history are kept."
    )

    smtp_url: SecretStr | None = Field(
        None, description="`smtp://user:pass@host:587` (STARTTLS) or `smtps://…`."
    )
    alert_email_from: str | None = Field(None, description="Sender of alert mails.")
    alert_email_dev: Words = Field((), description="Mail addresses of the development team.")
    alert_email_business: Words = Field((), description="Mail addresses of the business group.")
    pagerduty_routing_key: SecretStr | None = Field(
        None, description="PagerDuty Events API v2 routing key."
    )
    pagerduty_url: str = Field(
        "https://events.pagerduty.com", description="PagerDuty Events API base URL."
    )
    alert_urls: Annotated[SecretStr | None, Field()] = Field(
        None, description="Apprise URLs (Slack, Teams, webhook …), separated by spaces or commas."
    )
    dagster_url: str | None = Field(
        None, description="Address of Dagster's web page, for the links to a run in alerts."
    )
    delivery_note: bool = Field(
        False, description="Mail the business group a short note when the report is delivered."
    )
    pushgateway_url: SecretStr | None = Field(
        None, description="Prometheus Pushgateway, `http(s)://[user:password@]host:port`."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least level that is logged."
    )
    log_stdout: bool | None = Field(
        None, description="JSON log lines on standard output too. Unset: unless it is a terminal."
    )
    log_retention_days: Annotated[int, Field(ge=1)] = Field(
        90, description="Days that the log files in the Dagster home are kept."
    )
    log_syslog_url: str | None = Field(
        None, description="Log to syslog over TLS: `syslog+tls://host:6514`."
    )
    log_syslog_ca_file: Path | None = Field(
        None, description="PEM file of the CA of the syslog server, if not public."
    )
    log_cloudwatch_group: str | None = Field(
        None, description="Log to this CloudWatch group; needs the `cloudwatch` extra."
    )

    @check("api_url", "api_oauth_token_url")
    @classmethod
    def _https_unless_loopback(cls, url: str | None) -> str | None:
        return None if url is None else _checked_http_url(url)

    @check("accounts_url", "ledger_url")
    @classmethod
    def _known_scheme(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None:
            return None
        text = url.get_secret_value()
        scheme, separator, _ = text.partition("://")
        if not separator or not re.fullmatch(r"[a-z0-9+]{1,40}", scheme):
            raise ValueError(
                "has no scheme; write for example postgresql+psycopg://user:password@host/name"
            )
        if scheme in ("http", "https"):
            _checked_http_url(text)
        elif scheme != "file":
            try:
                make_url(text).get_dialect()
            except (ArgumentError, ImportError) as error:
                raise ValueError(
                    f"not a usable database URL (scheme {scheme!r}); write for example "
                    "sqlite:///folder/file.db or postgresql+psycopg://user:password@host/name"
                ) from error
        return url

    @check("store_url")
    @classmethod
    def _store_scheme(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("file:///", "s3://")):
            raise ValueError("must start with file:/// (a folder) or s3:// (a bucket)")
        return url

    @check("store_recipients")
    @classmethod
    def _public_keys(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        for key in keys:
            if key.upper().startswith("AGE-SECRET-KEY"):
                raise ValueError("holds a secret key; give the public key, it starts with age1")
            if not key.startswith("age1"):
                raise ValueError("holds something else than an age public key, which starts age1")
        return keys

    @check("api_oauth_client_secret")
    @classmethod
    def _without_line_end(cls, secret: SecretStr | None) -> SecretStr | None:
        """A secret file usually ends with a newline."""
        return None if secret is None else SecretStr(secret.get_secret_value().rstrip("\r\n"))

    @check("api_token", "accounts_token")
    @classmethod
    def _fits_a_header(cls, token: SecretStr | None) -> SecretStr | None:
        """A secret file usually ends with a newline; anything else odd would spoil every call."""
        if token is None:
            return None
        text = token.get_secret_value().strip()
        if not text or not re.fullmatch(r"[!-~]+", text):
            raise ValueError("must be printable ASCII without spaces; look for a stray character")
        return SecretStr(text)

    @check("report_deadline")
    @classmethod
    def _central_time(cls, at: time) -> time:
        if at.tzinfo is not None:
            raise ValueError("must be a time of day without an offset; it is Central Time")
        return at

    @check(*(f"api_field_{name}" for name in ANSWER_FIELDS))
    @classmethod
    def _dotted_path(cls, path: str) -> str:
        if not all(path.split(".")):
            raise ValueError("must be names joined by single dots")
        return path

    @check("log_syslog_url")
    @classmethod
    def _syslog_scheme(cls, url: str | None) -> str | None:
        if url is not None:
            parts = urlsplit(url)
            if parts.scheme != "syslog+tls" or not parts.hostname:
                raise ValueError("must be syslog+tls://host:port; nothing is logged in the clear")
        return url

    @check("smtp_url")
    @classmethod
    def _smtp_scheme(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None:
            return None
        parts = urlsplit(url.get_secret_value())
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError("must be smtp://host:port (STARTTLS) or smtps://host:port")
        _check_port(parts)
        return url

    @check("pagerduty_url")
    @classmethod
    def _https(cls, url: str) -> str:
        return _checked_http_url(url)

    @check("pushgateway_url")
    @classmethod
    def _http(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            parts = urlsplit(url.get_secret_value())
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("must be http(s)://host:port")
            _check_port(parts)
        return url

    def model_post_init(self, context: Any, /) -> None:
        """No secret of these settings is shown from now on; see `safe_text`."""
        for field in type(self).model_fields:
            value = getattr(self, field)
            text = value.get_secret_value() if isinstance(value, SecretStr) else value
            if field == "alert_urls" and text:
                register_webhooks(text)
            elif isinstance(value, SecretStr) and not field.endswith("_url"):
                register_secret(text)
            elif isinstance(text, str):
                register_secrets_in(text)

    @property
    def store_location(self) -> str:
        """The store's URL, with the default filled in."""
        return self.store_url or (self.home.absolute() / "store").as_uri()

    @property
    def ledger_location(self) -> str:
        """The ledger's SQLAlchemy URL, with the default filled in. May hold a password."""
        if self.ledger_url is not None:
            return self.ledger_url.get_secret_value()
        return f"sqlite:///{self.home.absolute() / 'ledger.db'}"

    @property
    def keys_folder(self) -> Path:
        """Where keys that the pipeline makes for itself lie, mode 0600."""
        return self.home.absolute() / "keys"

    def require_for_run(self) -> None:
        """Check that nothing is missing that a run needs.

        Raises:
            SettingsError: naming each missing setting.
        """
        problems = []
        firm = self.home.absolute() / DEMO_FOLDER
        url = self.accounts_url.get_secret_value() if self.accounts_url else ""
        if firm.is_dir() and str(firm) not in url:
            problems.append(
                f"DAGSTER_HOME: {self.home} holds the demo's invented reports; set another folder "
                "for real accounts, or delete this one"
            )
        if self.accounts_url is None:
            problems.append(
                "ESG_ACCOUNTS_URL: missing; say where the active accounts are, for example "
                "postgresql+psycopg://user:password@host/name"
            )
        if self.api_url is None:
            problems.append("ESG_API_URL: missing; give the https:// endpoint of the ESG API")
        oauth = {
            "ESG_API_OAUTH_TOKEN_URL": self.api_oauth_token_url,
            "ESG_API_OAUTH_CLIENT_ID": self.api_oauth_client_id,
            "ESG_API_OAUTH_CLIENT_SECRET": self.api_oauth_client_secret,
        }
        if any(oauth.values()):
            problems += [
                f"{name}: missing; OAuth needs {', '.join(oauth)} together"
                for name, value in oauth.items()
                if value is None
            ]
        elif self.api_token is None:
            problems.append("ESG_API_TOKEN: missing; set it, or the three ESG_API_OAUTH_… settings")
        if problems:
            raise SettingsError(problems)


def _check_port(parts: SplitResult) -> None:
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("the port must be a number from 0 to 65535") from None


def _checked_http_url(url: str) -> str:
    """Return the URL if it is https://, or http:// to a loopback address; no user in it."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an https:// URL")
    if parts.username or parts.password:
        raise ValueError("must not hold a user or password; use the token settings")
    _check_port(parts)
    where = f"{parts.scheme}://{parts.hostname}"
    try:
        address = ipaddress.ip_address(parts.hostname)
    except ValueError:
        loopback, link_local = parts.hostname == "localhost", False
    else:
        loopback, link_local = address.is_loopback, address.is_link_local
    if link_local:
        raise ValueError(f"link-local addresses are not allowed; got {where}")
    if parts.scheme == "http" and not loopback:
        raise ValueError(
            f"http:// is only allowed for loopback addresses; got {where}. Use https://."
        )
    return url


def setting_name(field: str) -> str:
    """The environment variable of a field of `Settings`."""
    return "DAGSTER_HOME" if field == "home" else PREFIX + field.upper()


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check all settings from the environment and `.env`.

    Args:
        environ: Looked through for unknown `ESG_` names; default the process environment.

    Raises:
        SettingsError: unknown `ESG_` names and bad values, one line each; never a secret value.
    """
    environ = os.environ if environ is None else environ
    for name in SECRETS_OF_LIBRARIES:
        register_secret(environ.get(name, ""))
    known = {setting_name(field) for field in Settings.model_fields}
    problems = []
    given = {name.upper() for name in [*environ, *read_env_file()]}
    for name in sorted(name for name in given - known if name.startswith(PREFIX)):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "see docs/settings.md for the names"
        problems.append(f"{name}: unknown setting; {hint}")
    try:
        settings = Settings()
    except ValidationError as error:
        problems += [
            f"{setting_name(str(each['loc'][0]))}: {each['msg'].removeprefix('Value error, ')}"
            for each in error.errors()
        ]
    if problems:
        raise SettingsError(problems)
    return settings


def read_env_file(path: Path = Path(".env")) -> dict[str, str | None]:
    """What the file says, as pydantic-settings reads it; nothing when there is no file.

    Raises:
        SettingsError: not text, or lines that would be skipped. Their text may be a secret.
    """
    try:
        bindings = list(parse_stream(io.StringIO(path.read_text(encoding="utf-8"))))
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise SettingsError([f"{path}: is not UTF-8 text; save it as UTF-8"]) from None
    except OSError as error:
        raise SettingsError([f"{path}: {error.strerror}"]) from None
    skipped = [each.original for each in bindings if each.error]
    lines = [each.line + len(each.string) - len(each.string.lstrip("\n")) for each in skipped]
    if lines:
        hint = "not NAME=value, or a quote that is not closed; mend it or begin it with #"
        raise SettingsError([f"{path}, line {line}: {hint}" for line in lines])
    return dotenv_values(path)


def settings_page() -> str:
    """The page `docs/settings.md`: every setting with its meaning and default."""
    rows = []
    for field, facts in Settings.model_fields.items():
        default = facts.get_default()
        shown = "" if default in (None, ()) else f"`{_as_written(default)}`"
        rows.append(f"| `{setting_name(field)}` | {facts.description} | {shown} |")
    return (
        "# Settings\n\n"
        "From the environment, or from a `.env` file in the current folder; the environment wins. "
        "Unknown `ESG_` names and bad values stop the start with one line each.\n\n"
        "This page is made from `esg_pipeline/settings.py` by "
        "`python -m esg_pipeline.settings > docs/settings.md`.\n\n"
        "| name | meaning | default |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def _as_written(default: Any) -> str:
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return f"{default:%H:%M}" if isinstance(default, time) else str(default)


if __name__ == "__main__":
    print(settings_page(), end="")
