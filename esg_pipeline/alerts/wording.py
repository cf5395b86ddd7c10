"""The words of mails, pages and chat messages: what each condition says to a person.

Title, meaning, what the system does by itself, what a person can do. Who hears it and what ends
it is in `conditions`, how it is laid out in `message_layout`.
"""

from dataclasses import dataclass

from esg_pipeline.alerts.conditions import DELIVERY_NOTE, TEST, Condition


@dataclass(frozen=True, slots=True)
class Wording:
    """One condition in words.

    Attributes:
        title: Headline without numbers.
        meaning: What is wrong, for somebody who does not know the pipeline.
        by_itself: What the system does without a person.
        advice: What a person can do.
        commands: The exact commands for it; `{day}` is the date.
    """

    title: str
    meaning: str
    by_itself: str
    advice: str
    commands: tuple[str, ...]


_RUN = "esg-pipeline run --date {day}"
_RERUN_FAILED = "esg-pipeline run --date {day} --failed-only --by NAME --reason TEXT"

WORDING: dict[str, Wording] = {
    Condition.NOT_STARTED: Wording(
        title="The run has not started",
        meaning="No run of the date has started work by 05:15 Central.",
        by_itself="Dagster's daemon starts it as soon as it works again, if that is before the "
        "deadline; the deadline does not move.",
        advice="Look at the daemon and the schedule, or start the run by hand.",
        commands=("esg-pipeline doctor", _RUN),
    ),
    Condition.PROJECTED_OVERRUN: Wording(
        title="The run will not finish in time",
        meaning="At its present pace the run cannot rate all accounts before the deadline.",
        by_itself="It goes on until shortly before the deadline, then delivers the report with "
        "what is there; accounts that were not reached are Failed in it.",
        advice="See whether the API is slow or throttles. If it allows more calls, raise "
        "ESG_API_RATE_LIMIT or ESG_API_MAX_CONCURRENCY, end the run and start it again; it "
        "continues where it was.",
        commands=("esg-pipeline status", _RUN),
    ),
    Condition.DEADLINE_EXCEEDED: Wording(
        title="The deadline came before the end",
        meaning="The day's work was not complete when its time was over.",
        by_itself="Calls have ended, and whatever still ran at the deadline is terminated. "
        "Answers that arrived are kept and are not asked for again.",
        advice="If the report is there but incomplete, ask again for the accounts that were not "
        "reached; if it is not there, run the date again.",
        commands=("esg-pipeline report verify --date {day}", _RERUN_FAILED, _RUN),
    ),
    Condition.RUN_FAILED: Wording(
        title="The run failed",
        meaning="The run ended with an error; nothing new is delivered.",
        by_itself="Dagster's run retries start it again where that can help. Answers that "
        "arrived are kept and are not asked for again.",
        advice="Find the cause, then run the date again; it continues where it was.",
        commands=("esg-pipeline doctor", _RUN),
    ),
    Condition.FAILURE_SHARE: Wording(
        title="Too many accounts are Failed",
        meaning="More accounts than the threshold allows have no rating after all attempts.",
        by_itself="The report is delivered all the same, with N/A in the rows of these accounts. "
        "They are not asked for again.",
        advice="When the cause is gone, ask again for the Failed accounts; a good result ends "
        "this alert.",
        commands=("esg-pipeline report show --date {day}", _RERUN_FAILED),
    ),
    Condition.ACCOUNT_LIST_HELD: Wording(
        title="The account list is held",
        meaning="The list of active accounts shrank by more than ESG_ACCOUNTS_MAX_DROP.",
        by_itself="Nothing: no call is made and nothing is delivered until a person decides. "
        "The last report stays where it is.",
        advice="Check the list at its source. If it is right, release it by name.",
        commands=("esg-pipeline run --date {day} --by NAME --reason TEXT",),
    ),
    Condition.IDENTITY_MISMATCH: Wording(
        title="The API answered for another account",
        meaning="Answers named another account than the one asked for: they may hold another "
        "client's scores.",
        by_itself="None of these answers is used; their accounts are Failed.",
        advice="Tell the API's operator; the error log has the accounts and times. When the cause "
        "is gone, ask again for the Failed accounts.",
        commands=("esg-pipeline report fetch --date {day} --out FOLDER", _RERUN_FAILED),
    ),
    Condition.UNAUTHORIZED: Wording(
        title="The API refuses our credentials",
        meaning="Every call is answered with 401; nothing can be asked.",
        by_itself="The token was renewed once, in vain; the run has stopped, so that no attempt "
        "is wasted.",
        advice="Renew ESG_API_TOKEN, or the ESG_API_OAUTH_… settings, and run the date again.",
        commands=("esg-pipeline doctor", _RUN),
    ),
    Condition.DELIVERY_FAILED: Wording(
        title="The report could not be delivered",
        meaning="The ratings are there, but the store did not take the report.",
        by_itself="Readers still have the last good edition. All answers are in the ledger.",
        advice="Repair the store, then run the date again; it delivers without a new call.",
        commands=("esg-pipeline doctor", _RUN),
    ),
    Condition.RECOVERED: Wording(
        title="Recovered: the report is delivered and good",
        meaning="There were alerts for this date; a later run has cured them.",
        by_itself="The incidents of the date are resolved.",
        advice="Nothing needs to be done.",
        commands=("esg-pipeline report show --date {day}",),
    ),
    DELIVERY_NOTE: Wording(
        title="The report is delivered",
        meaning="The day's ESG ratings report is in place and verified.",
        by_itself="A correction, if there is one, replaces it as the next edition.",
        advice="Fetch it whenever you like.",
        commands=("esg-pipeline report fetch --date {day} --out FOLDER",),
    ),
    TEST: Wording(
        title="This is a test",
        meaning="Somebody tries whether alerts arrive here. They do.",
        by_itself="An incident this has opened is resolved at once.",
        advice="Nothing needs to be done.",
        commands=(),
    ),
}
