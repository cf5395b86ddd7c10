"""Alerts to everything else: Slack, Teams, webhooks and the like, by Apprise URLs.

Each URL is a channel of its own, so that a dead one delays no other. Apprise speaks to these
addresses only; nothing is sent in the clear outside this machine.
"""

import hashlib
import logging
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from esg_pipeline.alerts.channels.channel import ChannelError, is_loopback
from esg_pipeline.alerts.conditions import Audience, Severity
from esg_pipeline.alerts.facts import one_line
from esg_pipeline.alerts.message_layout import PRODUCT, Message
from esg_pipeline.settings import Settings

if TYPE_CHECKING:
    import apprise

# A webhook's URL is its key, and Apprise logs URLs at DEBUG.
logging.getLogger("apprise").setLevel(logging.WARNING)


class AppriseChannel:
    """One Apprise URL."""

    audiences = frozenset({Audience.INCIDENTS})
    tells_cures = True

    def __init__(self, url: str) -> None:
        """Prepare, without looking at the URL."""
        self._url = url
        self._scheme = url.partition("://")[0].lower()
        # Two services of a kind must differ in name, and the URL is a secret.
        self.name = f"{self._scheme}:{hashlib.sha256(url.encode()).hexdigest()[:8]}"

    def send(self, message: Message) -> None:
        import apprise  # noqa: PLC0415 - takes a second; only those who use it wait for it

        service = self._service()
        services = apprise.Apprise(service, asset=service.asset)
        result = services.notify(
            title=message.subject,
            body=message.text,
            notify_type=_notify_type(message),
            body_format=apprise.NotifyFormat.TEXT,
        )
        if not result:
            said = [one_line(entry.message) for entry in result.logs()]
            raise ChannelError(f"{self.name} did not take it: {said[-1] if said else 'no reason'}")

    def check(self) -> str:
        service = self._service()
        return (
            f"{self.name}: {service.service_name}, a usable URL; it is only proven by "
            "`esg-pipeline alerts test`"
        )

    def _service(self) -> "apprise.NotifyBase":
        """The Apprise service, if the URL is good and safe."""
        import apprise  # noqa: PLC0415 - as in `send`

        asset = apprise.AppriseAsset(
            app_id=PRODUCT,
            app_desc="ESG ratings alerts",
            app_url="",
            image_url_mask="",  # no pictures from the library's own web site
            image_url_logo="",
            http_redirects=False,
            async_mode=False,  # in this thread: Apprise's pools would keep the process alive
            service_timeout=0,
        )
        service = apprise.Apprise.instantiate(self._url, asset=asset)
        if service is None:
            raise ChannelError(
                f"ESG_ALERT_URLS: the {self._scheme}:// URL is not one that Apprise understands; "
                "see https://appriseit.com for its form"
            )
        if not service.verify_certificate:
            raise ChannelError(
                f"ESG_ALERT_URLS: the {self._scheme}:// URL turns certificate checks off; remove "
                "verify=no and name a private CA in REQUESTS_CA_BUNDLE"
            )
        is_plain = self._scheme in _words(service.protocol) and service.secure_protocol
        if is_plain and not is_loopback(urlsplit(self._url).hostname or ""):
            raise ChannelError(
                f"ESG_ALERT_URLS: {self._scheme}:// sends in the clear; use "
                f"{_words(service.secure_protocol)[0]}://"
            )
        return service


def _words(protocol: "str | tuple[str, ...] | None") -> tuple[str, ...]:
    if protocol is None:
        return ()
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _notify_type(message: Message) -> "apprise.NotifyType":
    import apprise  # noqa: PLC0415 - as in `send`

    if message.phase == "resolved":
        return apprise.NotifyType.SUCCESS
    return {
        Severity.CRITICAL: apprise.NotifyType.FAILURE,
        Severity.ERROR: apprise.NotifyType.FAILURE,
        Severity.WARNING: apprise.NotifyType.WARNING,
        Severity.INFO: apprise.NotifyType.INFO,
    }[message.severity]


def open_apprise(settings: Settings) -> list[AppriseChannel]:
    """A channel for each URL, in the order of the setting."""
    if settings.alert_urls is None:
        return []
    text = settings.alert_urls.get_secret_value().strip()
    urls = [url for url in re.split(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)", text) if url]
    return [AppriseChannel(url.rstrip(", ")) for url in dict.fromkeys(urls)]
