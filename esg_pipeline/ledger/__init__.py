"""What happened, kept for the run that resumes and the auditor who asks.

`Ledger.open(url)` is the way in; results, leases, editions, the alert outbox and the audit trail
are behind it, on SQLite or PostgreSQL. Account names never come in here.
"""

from esg_pipeline.ledger.audit import AuditEntry
from esg_pipeline.ledger.editions import Edition, EditionState, Mode
from esg_pipeline.ledger.errors import (
    LeaseHeld,
    LeaseLost,
    LedgerError,
    LedgerUnavailable,
    NoDeliveredEdition,
)
from esg_pipeline.ledger.lease import LEASE_TERM_S, Lease, LeaseHolder
from esg_pipeline.ledger.ledger import Ledger
from esg_pipeline.ledger.outbox import Alert, AlertMessage
from esg_pipeline.ledger.rate_share import RateShare, SharedRateLimit
from esg_pipeline.ledger.results import MAX_BATCH, EditionWriter, ResumeState
from esg_pipeline.ledger.retention import LegalHold, PurgeReport
from esg_pipeline.ledger.tables import MAX_ACCOUNT_ID_BYTES

__all__ = [
    "LEASE_TERM_S",
    "MAX_ACCOUNT_ID_BYTES",
    "MAX_BATCH",
    "Alert",
    "AlertMessage",
    "AuditEntry",
    "Edition",
    "EditionState",
    "EditionWriter",
    "Lease",
    "LeaseHeld",
    "LeaseHolder",
    "LeaseLost",
    "Ledger",
    "LedgerError",
    "LedgerUnavailable",
    "LegalHold",
    "Mode",
    "NoDeliveredEdition",
    "PurgeReport",
    "RateShare",
    "ResumeState",
    "SharedRateLimit",
]
