"""The ten conditions people hear about: what each means, who hears it, what ends it
(docs/design.md#alerts).

One rule for each, on one page. Nothing here decides that a condition is met, and nothing here
sends; a rule holds words and routing only.
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
    """One condition in words, and where it goes.

    Attributes:
        title: Headline without numbers.
        meaning: What is wrong, for somebody who does not know the pipeline.
        by_itself: What the system does without a person.
        advice: What a person can do.
        commands: The exact commands for it; `{day}` is the date.
        cured_by: What a later run must reach; None if the condition is no trouble.
    """

    title: str
    meaning: str
    by_itself: str
    advice: str
    commands: tuple[str, ...]
    severity: Severity
    audiences: frozenset[Audience]
    cured_by: Cure | None = None


ENGINEERS = frozenset({Audience.DEVELOPMENT, Audience.INCIDENTS})
EVERYBODY = ENGINEERS | {Audience.BUSINESS}

_RUN = "esg-pipeline run --date {day}"
_RERUN_FAILED = "esg-pipeline run --date {day} --failed-only --by NAME --reason TEXT"

RULES: dict[str, Rule] = {
    Condition.NOT_STARTED: Rule(
        title="The run has not started",
        meaning="No run of the date has started work by 05:15 Central.",
        by_itself="Dagster's daemon starts it as soon as it works again, if that is before the "
        "deadline; the deadline does not move.",
        advice="Look at the daemon and the schedule, or start the run by hand.",
        commands=("esg-pipeline doctor", _RUN),
        severity=Severity.CRITICAL,
        audiences=ENGINEERS,
        cured_by=Cure.STARTED,
    ),
    Condition.PROJECTED_OVERRUN: Rule(
        title="The run will not finish in time",
        meaning="At its present pace the run cannot rate all accounts before the deadline.",
        by_itself="It goes on until shortly before the deadline, then delivers the report with "
        "what is there; accounts that were not reached are Failed in it.",
        advice="See whether the API is slow or throttles. If it allows more calls, raise "
        "ESG_API_RATE_LIMIT or ESG_API_MAX_CONCURRENCY, end the run and start it again; it "
        "continues where it was.",
        commands=("esg-pipeline status", _RUN),
        severity=Severity.WARNING,
        audiences=ENGINEERS,
        cured_by=Cure.DELIVERED,
    ),
    Condition.DEADLINE_EXCEEDED: Rule(
        title="The deadline came before the end",
        meaning="The day's work was not complete when its time was over.",
        by_itself="Calls have ended, and whatever still ran at the deadline is terminated. "
        "Answers that arrived are kept and are not asked for again.",
        advice="If the report is there but incomplete, ask again for the accounts that were not "
        "reached; if it is not there, run the date again.",
        commands=("esg-pipeline report verify --date {day}", _RERUN_FAILED, _RUN),
        severity=Severity.CRITICAL,
        audiences=EVERYBODY,  # the business group only if a report is there, incomplete
        cured_by=Cure.GOOD,
    ),
    Condition.RUN_FAILED: Rule(
        title="The run failed",
        meaning="The run ended with an error; nothing new is delivered.",
        by_itself="Dagster's run retries start it again where that can help. Answers that "
        "arrived are kept and are not asked for again.",
        advice="Find the cause, then run the date again; it continues where it was.",
        commands=("esg-pipeline doctor", _RUN),
        severity=Severity.CRITICAL,
        audiences=ENGINEERS,
        cured_by=Cure.DELIVERED,
    ),
    Condition.FAILURE_SHARE: Rule(
        title="Too many accounts are Failed",
        meaning="More accounts than the threshold allows have no rating after all attempts.",
        by_itself="The report is delivered all the same, with N/A in the rows of these accounts. "
        "They are not asked for again.",
        advice="When the cause is gone, ask again for the Failed accounts; a good result ends "
        "this alert.",
        commands=("esg-pipeline report show --date {day}", _RERUN_FAILED),
        severity=Severity.ERROR,
        audiences=EVERYBODY,
        cured_by=Cure.GOOD,
    ),
    Condition.ACCOUNT_LIST_HELD: Rule(
        title="The account list is held",
        meaning="The list of active accounts shrank by more than ESG_ACCOUNTS_MAX_DROP.",
        by_itself="Nothing: no call is made and nothing is delivered until a person decides. "
        "The last report stays where it is.",
        advice="Check the list at its source. If it is right, release it by name.",
        commands=("esg-pipeline run --date {day} --by NAME --reason TEXT",),
        severity=Severity.CRITICAL,
        audiences=ENGINEERS,
        cured_by=Cure.DELIVERED,
    ),
    Condition.IDENTITY_MISMATCH: Rule(
        title="The API answered for another account",
        meaning="Answers named another account than the one asked for: they may hold another "
        "client's scores.",
        by_itself="None of these answers is used; their accounts are Failed.",
        advice="Tell the API's operator; the error log has the accounts and times. When the cause "
        "is gone, ask again for the Failed accounts.",
        commands=("esg-pipeline report fetch --date {day} --out FOLDER", _RERUN_FAILED),
        severity=Severity.CRITICAL,
        audiences=ENGINEERS,
        cured_by=Cure.GOOD,
    ),
    Condition.UNAUTHORIZED: Rule(
        title="The API refuses our credentials",
        meaning="Every call is answered with 401; nothing can be asked.",
        by_itself="The token was renewed once, in vain; the run has stopped, so that no attempt "
        "is wasted.",
        advice="Renew ESG_API_TOKEN, or the ESG_API_OAUTH_… settings, and run the date again.",
        commands=("esg-pipeline doctor", _RUN),
        severity=Severity.CRITICAL,
        audiences=ENGINEERS,
        cured_by=Cure.DELIVERED,
    ),
    Condition.DELIVERY_FAILED: Rule(
        title="The report could not be delivered",
        meaning="The ratings are there, but the store did not take the report.",
        by_itself="Readers still have the last good edition. All answers are in the ledger.",
        advice="Repair the store, then run the date again; it delivers without a new call.",
        commands=("esg-pipeline doctor", _RUN),
        severity=Severity.CRITICAL,
        audiences=ENGINEERS,
        cured_by=Cure.DELIVERED,
    ),
    Condition.RECOVERED: Rule(
        title="Recovered: the report is delivered and good",
        meaning="There were alerts for this date; a later run has cured them.",
        by_itself="The incidents of the date are resolved.",
        advice="Nothing needs to be done.",
        commands=("esg-pipeline report show --date {day}",),
        severity=Severity.INFO,
        audiences=frozenset({Audience.DEVELOPMENT, Audience.BUSINESS}),
    ),
    DELIVERY_NOTE: Rule(
        title="The report is delivered",
        meaning="The day's ESG ratings report is in place and verified.",
        by_itself="A correction, if there is one, replaces it as the next edition.",
        advice="Fetch it whenever you like.",
        commands=("esg-pipeline report fetch --date {day} --out FOLDER",),
        severity=Severity.INFO,
        audiences=frozenset({Audience.BUSINESS}),
    ),
    TEST: Rule(
        title="This is a test",
        meaning="Somebody tries whether alerts arrive here. They do.",
        by_itself="An incident this has opened is resolved at once.",
        advice="Nothing needs to be done.",
        commands=(),
        severity=Severity.INFO,
        audiences=EVERYBODY,
    ),
}
