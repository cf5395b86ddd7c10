"""The ways to people: one file a kind, chosen by the settings.

A channel carries a finished message and knows nothing of the ledger. A new kind is one new file
and one line in `open_channels`.
"""

from esg_pipeline.alerts.channels.apprise_urls import open_apprise
from esg_pipeline.alerts.channels.channel import Channel, ChannelError, concerns
from esg_pipeline.alerts.channels.email import missing_email, open_email
from esg_pipeline.alerts.channels.pagerduty import open_pagerduty
from esg_pipeline.settings import Settings

__all__ = ["Channel", "ChannelError", "concerns", "missing_settings", "open_channels"]

KINDS = (open_email, open_pagerduty, open_apprise)


def open_channels(settings: Settings) -> list[Channel]:
    """The channels the settings name, without connecting; empty when none is set."""
    return [channel for open_kind in KINDS for channel in open_kind(settings)]


def missing_settings(settings: Settings) -> list[str]:
    """Why a channel that was meant to be there is not, or why there is none; a line each."""
    missing = missing_email(settings)
    if not missing and not open_channels(settings):
        missing = [
            "No alert channel is configured: nobody hears of a bad morning. Set ESG_SMTP_URL with "
            "ESG_ALERT_EMAIL_FROM and ESG_ALERT_EMAIL_DEV, ESG_PAGERDUTY_ROUTING_KEY or "
            "ESG_ALERT_URLS."
        ]
    return missing
