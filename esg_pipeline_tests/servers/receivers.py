"""Who hears an alert: a mail server and PagerDuty's endpoint, and the settings that lead there."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from esg_pipeline_tests.servers.pagerduty import ROUTING_KEY, PagerDutyServer
from esg_pipeline_tests.servers.smtp import MailServer, ReceivedMail

BUSINESS = "desk@firm.example"


@dataclass(frozen=True)
class Receivers:
    """Both receivers; `mail.stop()` plays an outage."""

    mail: MailServer
    pagerduty: PagerDutyServer
    authority_file: Path

    def env(self) -> dict[str, str]:
        """What the pipeline must know of them."""
        return {
            "ESG_SMTP_URL": self.mail.url,
            "ESG_ALERT_EMAIL_FROM": "esg@firm.example",
            "ESG_ALERT_EMAIL_DEV": "dev@firm.example",
            "ESG_ALERT_EMAIL_BUSINESS": BUSINESS,
            "ESG_PAGERDUTY_ROUTING_KEY": ROUTING_KEY,
            "ESG_PAGERDUTY_URL": self.pagerduty.url,
            "SSL_CERT_FILE": str(self.authority_file),
        }

    def mails(self) -> Counter[tuple[str, str]]:
        """How many mails came, by date and condition."""
        return Counter(_incident(each) for each in self.mail.received)

    def opened(self) -> Counter[tuple[str, str]]:
        """How many incidents were opened, by date and condition."""
        opened: Counter[tuple[str, str]] = Counter()
        for key, times in self.pagerduty.opened.items():
            opened[_date_and_condition(key)] += times
        return opened

    def open_now(self) -> set[tuple[str, str]]:
        """The incidents that nobody and nothing has resolved, by date and condition."""
        return {_date_and_condition(key) for key in self.pagerduty.open_now}

    def hears_business(self, condition: str) -> bool:
        """Whether the business group got the mail of a condition."""
        return any(
            BUSINESS in each.recipients
            for each in self.mail.received
            if each.message["X-ESG-Condition"] == condition
        )


def _incident(mail: ReceivedMail) -> tuple[str, str]:
    condition = str(mail.message["X-ESG-Condition"])
    return str(mail.message["Subject"]).split()[1], condition


def _date_and_condition(key: str) -> tuple[str, str]:
    _, day, condition = key.split(":")
    return day, condition


@contextmanager
def start_receivers(folder: Path) -> Iterator[Receivers]:
    """Start both; they end with the block."""
    authority = trustme.CA()
    pem = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(pem))
    with MailServer(tls=authority) as mail, PagerDutyServer(authority) as pagerduty:
        yield Receivers(mail, pagerduty, pem)
