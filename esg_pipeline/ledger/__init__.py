"""What happened, kept for the run that resumes and the auditor who asks.

`Ledger.open(url)` is the way in; results, leases, editions, the alert outbox and the audit trail
are behind it, on SQLite or PostgreSQL. Account names never come in here.
"""

from .audit import AuditEntry
from .editions import Edition, EditionState, Mode
from .errors import LeaseHeld, LeaseLost, LedgerError, LedgerUnavailable, NoDeliveredEdition
from .lease import LEASE_TERM_S, Lease, LeaseHolder
from .ledger import Ledger
from .outbox import Alert, AlertMessage
from .rate_share import RateShare
from .results import MAX_BATCH, EditionWriter, ResumeState
from .retention import LegalHold, PurgeReport
from .tables import MAX_ACCOUNT_ID_BYTES

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
]
