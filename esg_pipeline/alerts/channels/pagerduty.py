"""Alerts as PagerDuty incidents, by the Events API v2: trigger and resolve.

The dedup key is the same for all events of one date and condition, so that a repeated trigger
opens no second incident. One attempt a call, over https (http only to a loopback address, as the
settings check); the outbox repeats.
"""

import socket
import ssl
from typing import Any
from urllib.parse import urlsplit

import pagerduty

from esg_pipeline.alerts.channels.channel import STEP_TIMEOUT_S, ChannelError, why
from esg_pipeline.alerts.conditions import Audience
from esg_pipeline.alerts.message_layout import PRODUCT, Message
from esg_pipeline.settings import Settings

HTTPS_PORT = 443


class OneAttemptClient(pagerduty.EventsApiV2Client):
    """The official client, without its own retries: it would sleep through a 429 without end."""

    def __init__(self, routing_key: str, base_url: str) -> None:
        context = ssl.create_default_context()  # the client alone would not look at SSL_CERT_FILE
        super().__init__(routing_key, base_url=base_url, verify=context)
        self.timeout = int(STEP_TIMEOUT_S)
        self.max_network_attempts = 0

    @property
    def url(self) -> str:
        """The base URL; the library allows https only, the settings http on loopback too."""
        return str(self._url)

    @url.setter
    def url(self, url: str) -> None:
        self._url = url

    def postprocess(self, response: Any) -> None:
        if not response.is_success:
            raise ChannelError(_refusal(response.url.host, response.status_code))


class PagerDutyChannel:
    """One PagerDuty service."""

    name = "pagerduty"
    audiences = frozenset({Audience.INCIDENTS})
    tells_cures = True

    def __init__(self, routing_key: str, url: str) -> None:
        """Prepare, without connecting.

        Args:
            url: Base URL of the Events API.
        """
        self._routing_key = routing_key
        self._url = url

    @property
    def _where(self) -> str:
        return f"PagerDuty at {urlsplit(self._url).hostname}"

    def send(self, message: Message) -> None:
        try:
            with OneAttemptClient(self._routing_key, self._url) as client:
                if message.phase == "resolved":
                    client.resolve(message.key)
                else:
                    self._trigger(client, message)
        except pagerduty.HttpError:
            raise ChannelError(
                f"{self._where} gave an answer that is not PagerDuty's; check ESG_PAGERDUTY_URL"
            ) from None
        except (pagerduty.Error, OSError) as error:
            raise ChannelError(f"{self._where}: {why(error)}") from None

    def check(self) -> str:
        parts = urlsplit(self._url)
        host = parts.hostname or ""
        if parts.scheme == "http":
            return f"{self._where}: http on loopback, for a trial only"
        context = ssl.create_default_context()
        try:
            with (
                socket.create_connection(
                    (host, parts.port or HTTPS_PORT), timeout=STEP_TIMEOUT_S
                ) as connection,
                context.wrap_socket(connection, server_hostname=host) as session,
            ):
                version = session.version()
        except OSError as error:
            raise ChannelError(f"{self._where}: {why(error)}") from None
        return (
            f"{self._where}: {version}; the routing key is only proven by "
            "`esg-pipeline alerts test`"
        )

    def _trigger(self, client: OneAttemptClient, message: Message) -> None:
        details = {label: text for label, text in message.facts}
        client.trigger(
            message.subject,
            PRODUCT,
            dedup_key=message.key,
            severity=message.severity.value,
            payload={"class": message.condition, "component": PRODUCT},
            custom_details={**details, "Message": message.text},
            links=[{"href": message.link, "text": "The run"}] if message.link else [],
        )


def _refusal(host: str, status: int) -> str:
    text = f"PagerDuty at {host} answered {status}"
    if status in (400, 401, 403):
        return f"{text}; check ESG_PAGERDUTY_ROUTING_KEY"
    return f"{text}; it is tried again"


def open_pagerduty(settings: Settings) -> list[PagerDutyChannel]:
    """The PagerDuty channel, if a routing key is set."""
    if settings.pagerduty_routing_key is None:
        return []
    key = settings.pagerduty_routing_key.get_secret_value()
    return [PagerDutyChannel(key, settings.pagerduty_url)]
