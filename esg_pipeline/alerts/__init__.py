"""What people hear: ten conditions, written once, sent until they arrive, resolved when cured.

    with ledger.transaction():          # or the lease's fence
        …                               # the fact
        raise_alert(ledger, day, Condition.FAILURE_SHARE, AlertFacts(since=now, failed=…))
    send_due(ledger, settings, now)     # or an OutboxSender for as long as the run lasts
    recover(ledger, day, Cure.GOOD, AlertFacts(since=now, …))

No account name ever comes in here, no secret leaves, and no receiver can delay or end a run.
"""

from esg_pipeline.alerts.background import OutboxSender
from esg_pipeline.alerts.channels import ChannelError
from esg_pipeline.alerts.conditions import Condition, Cure
from esg_pipeline.alerts.facts import AlertFacts
from esg_pipeline.alerts.raising import note_delivery, raise_alert, recover, resolve
from esg_pipeline.alerts.sender import SendReport, count_unsent, send_due
from esg_pipeline.alerts.without_ledger import (
    ChannelResult,
    check_channels,
    send_without_ledger,
    test_channels,
)

__all__ = [
    "AlertFacts",
    "ChannelError",
    "ChannelResult",
    "Condition",
    "Cure",
    "OutboxSender",
    "SendReport",
    "check_channels",
    "count_unsent",
    "note_delivery",
    "raise_alert",
    "recover",
    "resolve",
    "send_due",
    "send_without_ledger",
    "test_channels",
]
