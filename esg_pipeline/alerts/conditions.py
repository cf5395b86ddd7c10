"""The ten conditions people hear about: how bad each is, who hears it, what ends it
(docs/design.md#alerts).

One line for each. What it says to people is in `wording`. Nothing here decides that a condition is
met, and nothing here sends.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Condition(StrEnum):
    """What people are alerted to, as the ledger and the receivers spell it."""

    NOT_STARTED = "not_started"
    PROJECTED_OVERRUN = "projected_overrun"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    RUN_FAILED = "run_failed"
    FAILURE_SHARE = "failure_share"
    ACCOUNT_LIST_HELD = "account_list_held"
    IDENTITY_MISMATCH = "identity_mismatch"
    UNAUTHORIZED = "unauthorized"
    DELIVERY_FAILED = "delivery_failed"
    RECOVERED = "recovered"


DELIVERY_NOTE = "delivery_note"
"""Not a condition: the daily word to the business group that the report is there."""
TEST = "test"
"""Not a condition: what `esg-pipeline alerts test` sends."""


class Severity(StrEnum):
    """The severities of PagerDuty's Events API v2."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Audience(StrEnum):
    """Who hears a condition.

    INCIDENTS are the systems that keep an alert open until it is resolved: PagerDuty and the
    Apprise services.
    """

    DEVELOPMENT = "development"
    BUSINESS = "business"
    INCIDENTS = "incidents"


class Cure(IntEnum):
    """How far a later run must get to end a condition; each includes those before it."""

    STARTED = 1
    """A run of the date works."""
    DELIVERED = 2
    """An edition of the date is delivered."""
    GOOD = 3
    """It is delivered, everything was reached, and nothing in it is worth an alert."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Where one condition goes.

    Attributes:
        cured_by: What a later run must reach; None if the condition is no trouble.
    """

    severity: Severity
    audiences: frozenset[Audience]
    cured_by: Cure | None = None


ENGINEERS = frozenset({Audience.DEVELOPMENT, Audience.INCIDENTS})
EVERYBODY = ENGINEERS | {Audience.BUSINESS}

RULES: dict[str, Rule] = {
    Condition.NOT_STARTED: Rule(Severity.CRITICAL, ENGINEERS, Cure.STARTED),
    Condition.PROJECTED_OVERRUN: Rule(Severity.WARNING, ENGINEERS, Cure.DELIVERED),
    # The business group only if a report is there, incomplete.
    Condition.DEADLINE_EXCEEDED: Rule(Severity.CRITICAL, EVERYBODY, Cure.GOOD),
    Condition.RUN_FAILED: Rule(Severity.CRITICAL, ENGINEERS, Cure.DELIVERED),
    Condition.FAILURE_SHARE: Rule(Severity.ERROR, EVERYBODY, Cure.GOOD),
    Condition.ACCOUNT_LIST_HELD: Rule(Severity.CRITICAL, ENGINEERS, Cure.DELIVERED),
    Condition.IDENTITY_MISMATCH: Rule(Severity.CRITICAL, ENGINEERS, Cure.GOOD),
    Condition.UNAUTHORIZED: Rule(Severity.CRITICAL, ENGINEERS, Cure.DELIVERED),
    Condition.DELIVERY_FAILED: Rule(Severity.CRITICAL, ENGINEERS, Cure.DELIVERED),
    Condition.RECOVERED: Rule(Severity.INFO, frozenset({Audience.DEVELOPMENT, Audience.BUSINESS})),
    DELIVERY_NOTE: Rule(Severity.INFO, frozenset({Audience.BUSINESS})),
    TEST: Rule(Severity.INFO, EVERYBODY),
}
