"""The facts of an alert: times, counts and one line of cause, as the outbox keeps them.

Only numbers, dates and our own words have a field here. There is none for an account's name or
id, and there must never be one.
"""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from esg_pipeline.alerts.conditions import Condition
from esg_pipeline.ratings import Reason
from esg_pipeline.safe_text import flat, guarded, mask

MAX_LINE = 300
_MARKUP = str.maketrans({"<": "‹", ">": "›", "@": "(at)", "`": "'", "|": "¦"})


def one_line(text: str) -> str:
    """Make any text one short line that shows no secret and does nothing where it is read.

    Line breaks and control characters become spaces, invisible and direction-changing ones go;
    `<`, `>` and `@` lose their meaning as markup and mentions; a line that a spreadsheet would
    run as a formula gets a leading `'`.
    """
    line = guarded(flat(mask(text)[: 4 * MAX_LINE])).translate(_MARKUP)
    if len(line) <= MAX_LINE:
        return line
    # Between words: half a secret that is registered later could not be recognised then.
    return (line[: MAX_LINE - 1].rpartition(" ")[0] or line[: MAX_LINE - 1]) + "…"


Line = Annotated[str, AfterValidator(one_line)]
Count = Annotated[int, Field(ge=0)]


class AlertFacts(BaseModel):
    """What is known when an alert is raised; give what you have.

    Attributes:
        since: When the condition was first true, aware.
        run_id: Of Dagster, for the link.
        accounts: All active accounts of the date.
        answered: Those with a result.
        successful, partial, failed: Accounts per status.
        threshold: Share of Failed accounts above which people are alerted, 0.05.
        reasons: Accounts per reason of failure.
        previous_accounts, previous_day: The list this one is compared with.
        mismatches: Answers that named another account.
        is_delivered: A report of the date is before its readers, complete or not.
        cured: The conditions a recovery ended.
        cause: One line in our own words; no account, no secret.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    since: AwareDatetime
    run_id: Line | None = None
    edition: Count | None = None
    accounts: Count | None = None
    answered: Count | None = None
    successful: Count | None = None
    partial: Count | None = None
    failed: Count | None = None
    threshold: float | None = None
    reasons: Mapping[Reason, Count] = Field(default_factory=dict)
    previous_accounts: Count | None = None
    previous_day: date | None = None
    mismatches: Count | None = None
    estimated_finish: AwareDatetime | None = None
    deadline: AwareDatetime | None = None
    is_delivered: bool = False
    cured: tuple[Condition, ...] = ()
    cause: Line = ""

    def to_details(self) -> dict[str, Any]:
        """As the outbox keeps it: JSON, only what is set."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def from_details(cls, details: Mapping[str, Any]) -> Self:
        """Back from the outbox.

        Raises:
            pydantic.ValidationError: the row was not written by `to_details`.
        """
        return cls.model_validate(details)
