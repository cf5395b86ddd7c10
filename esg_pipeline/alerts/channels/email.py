"""Alerts by mail: one message for each alert, to all groups that hear it.

Plain text and HTML, by SMTP with STARTTLS or TLS. Outside this machine nothing is ever sent in
the clear, and a certificate is always checked (`SSL_CERT_FILE` names a private CA).
"""

import logging
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import localtime
from typing import Self
from urllib.parse import unquote, urlsplit

from esg_pipeline.alerts.channels.channel import STEP_TIMEOUT_S, ChannelError, is_loopback, why
from esg_pipeline.alerts.conditions import Audience
from esg_pipeline.alerts.message_layout import Message
from esg_pipeline.settings import Settings

log = logging.getLogger(__name__)

SMTP_PORT, SMTPS_PORT = 587, 465
GOODBYE_S = 1.0


@dataclass(frozen=True, slots=True)
class MailServer:
    """The server that `ESG_SMTP_URL` names."""

    host: str
    port: int
    is_tls: bool
    user: str | None
    password: str = field(repr=False)

    @classmethod
    def of(cls, url: str) -> Self:
        """Read the URL, as the settings have checked it."""
        parts = urlsplit(url)
        is_tls = parts.scheme == "smtps"
        return cls(
            host=parts.hostname or "localhost",
            port=parts.port or (SMTPS_PORT if is_tls else SMTP_PORT),
            is_tls=is_tls,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password or ""),
        )

    def __str__(self) -> str:
        return f"mail server {self.host}:{self.port}"


class EmailChannel:
    """Mail to the development and the business group."""

    name = "email"
    tells_cures = False

    def __init__(self, url: str, sender: str, groups: dict[Audience, tuple[str, ...]]) -> None:
        """Prepare, without connecting.

        Args:
            url: `smtp://user:password@host:port` or `smtps://…`.
            groups: Mail addresses of each audience.
        """
        self._url = url
        self._sender = sender
        self._groups = groups
        self.audiences = frozenset(audience for audience, group in groups.items() if group)

    def send(self, message: Message) -> None:
        mail = self._mail(message)
        with _session(MailServer.of(self._url)) as session:
            refused = session.send_message(mail, self._sender, self._recipients(message))
        if refused:
            log.warning(
                "The mail server refused %d of the recipients of alert mails; check "
                "ESG_ALERT_EMAIL_DEV and ESG_ALERT_EMAIL_BUSINESS.",
                len(refused),
            )

    def check(self) -> str:
        server = MailServer.of(self._url)
        with _session(server) as session:
            session.noop()
            is_encrypted = isinstance(session.sock, ssl.SSLSocket)
        login = ", login accepted" if server.user else ""
        return f"{server}: {'TLS' if is_encrypted else 'loopback, no TLS'}{login}"

    def _recipients(self, message: Message) -> list[str]:
        wanted = [
            address
            for audience, addresses in self._groups.items()
            if audience in message.audiences
            for address in addresses
        ]
        return list(dict.fromkeys(wanted))

    def _mail(self, message: Message) -> EmailMessage:
        domain = self._sender.rpartition("@")[2].strip(">") or "localhost"
        mail = EmailMessage(policy=SMTP_POLICY)
        mail["From"] = self._sender
        mail["To"] = ", ".join(self._recipients(message))
        mail["Subject"] = message.subject
        mail["Date"] = localtime()
        mail["Message-ID"] = f"<{message.identity}@{domain}>"
        mail["References"] = f"<{message.thread.replace(':', '.')}@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
        mail["X-ESG-Condition"] = message.condition
        mail.set_content(message.text)
        mail.add_alternative(message.html, subtype="html")
        return mail


@contextmanager
def _session(server: MailServer) -> Iterator[smtplib.SMTP]:
    """A session ready to send: connected, encrypted, logged in."""
    try:
        session = _connect(server)
        try:
            if server.user is not None:
                session.login(server.user, server.password)
            yield session
            _say_goodbye(session)
        finally:
            session.close()
    except smtplib.SMTPAuthenticationError as error:
        raise ChannelError(
            f"{server} refused the login ({error.smtp_code}); check user and password in "
            "ESG_SMTP_URL"
        ) from None
    except smtplib.SMTPRecipientsRefused as error:
        codes = ", ".join(sorted({str(code) for code, _ in error.recipients.values()}))
        raise ChannelError(
            f"{server} refused all recipients ({codes}); check ESG_ALERT_EMAIL_DEV and "
            "ESG_ALERT_EMAIL_BUSINESS"
        ) from None
    except smtplib.SMTPResponseException as error:
        raise ChannelError(f"{server} answered {error.smtp_code}") from None
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise ChannelError(f"{server}: {why(error)}") from None


def _connect(server: MailServer) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if server.is_tls:
        return smtplib.SMTP_SSL(server.host, server.port, timeout=STEP_TIMEOUT_S, context=context)
    session = smtplib.SMTP(server.host, server.port, timeout=STEP_TIMEOUT_S)
    try:
        session.ehlo_or_helo_if_needed()
        if session.has_extn("starttls"):
            session.starttls(context=context)
            session.ehlo()
        elif not is_loopback(server.host):
            raise ChannelError(
                f"{server} offers no STARTTLS, and nothing is sent in the clear; use "
                "smtps:// or a port that offers it in ESG_SMTP_URL"
            )
    except BaseException:
        session.close()
        raise
    return session


def _say_goodbye(session: smtplib.SMTP) -> None:
    # The mail is accepted: a server that answers QUIT badly, or never, must not make it fail.
    if session.sock is not None:
        session.sock.settimeout(GOODBYE_S)
    with suppress(OSError, smtplib.SMTPException):
        session.quit()


def open_email(settings: Settings) -> list[EmailChannel]:
    """The mail channel, if server, sender and at least one group are set."""
    if settings.smtp_url is None or settings.alert_email_from is None or missing_email(settings):
        return []
    groups = {
        Audience.DEVELOPMENT: settings.alert_email_dev,
        Audience.BUSINESS: settings.alert_email_business,
    }
    url = settings.smtp_url.get_secret_value()
    return [EmailChannel(url, settings.alert_email_from, groups)]


def missing_email(settings: Settings) -> list[str]:
    """What is not set although something else of the mail channel is; a line each."""
    has_group = bool(settings.alert_email_dev or settings.alert_email_business)
    parts = {
        "ESG_SMTP_URL": settings.smtp_url is not None,
        "ESG_ALERT_EMAIL_FROM": settings.alert_email_from is not None,
        "ESG_ALERT_EMAIL_DEV": has_group,
    }
    if not any(parts.values()):
        return []
    return [
        f"{name}: missing; no alert goes out by mail"
        for name, is_set in parts.items()
        if not is_set
    ]
