"""Real receivers for the alerts: a mail server, a PagerDuty endpoint, a webhook."""

import warnings
from collections.abc import Callable, Iterator

import apprise
import pytest
import trustme

from esg_pipeline.ledger import Ledger
from esg_pipeline.settings import Settings
from esg_pipeline_tests.servers.pagerduty import ROUTING_KEY, PagerDutyServer
from esg_pipeline_tests.servers.smtp import MailServer
from esg_pipeline_tests.servers.webhook import WebhookServer


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(autouse=True)
def trusted(authority, tmp_path, monkeypatch) -> None:
    """The test's authority is the only one, as an operator names a private CA."""
    pem = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(pem))
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


@pytest.fixture(scope="session", autouse=True)
def _loaded_apprise() -> None:
    """Apprise imports a deprecated module of Python once, and here a warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        apprise.Apprise.instantiate("json://127.0.0.1")


@pytest.fixture
def mail(servers, authority) -> Iterator[MailServer]:
    with MailServer(tls=authority) as server:
        yield server


@pytest.fixture
def pagerduty(servers, authority) -> Iterator[PagerDutyServer]:
    with PagerDutyServer(authority) as server:
        yield server


@pytest.fixture
def webhook(servers: None) -> Iterator[WebhookServer]:
    with WebhookServer() as server:
        yield server


@pytest.fixture
def make_settings(tmp_path, monkeypatch) -> Callable[..., Settings]:
    """Settings for the servers that are given."""
    monkeypatch.chdir(tmp_path)  # away from any .env file

    def make(
        mail: MailServer | None = None,
        pagerduty: PagerDutyServer | None = None,
        webhook: WebhookServer | None = None,
        **others: object,
    ) -> Settings:
        values: dict[str, object] = {
            "alert_email_from": "esg@firm.example",
            "alert_email_dev": "dev@firm.example,oncall@firm.example",
            "alert_email_business": "desk@firm.example",
        }
        if mail is not None:
            values["smtp_url"] = mail.url
        if pagerduty is not None:
            values |= {"pagerduty_routing_key": ROUTING_KEY, "pagerduty_url": pagerduty.url}
        if webhook is not None:
            values["alert_urls"] = f"json://127.0.0.1:{webhook.port}/webhook-key-canary"
        return Settings(**{**values, **others})

    return make


@pytest.fixture
def ledger_url(tmp_path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
def ledger(ledger_url) -> Iterator[Ledger]:
    ledger = Ledger.open(ledger_url)
    yield ledger
    ledger.close()
