"""The plain words of the pages: what each score, status, reason and term means.

For compliance officers: no code word stands alone without its meaning.
"""

from typing import NamedTuple

from esg_pipeline.ratings import Focus, ProcessingStatus, Reason

SCORE_WORDS = {
    "overall_esg_score": "Overall score",
    "environmental_score": "Environmental score",
    "social_score": "Social score",
    "governance_score": "Governance score",
}

FINDING_WORDS = {
    "average_move": "How far scores moved",
    "large_moves": "Large moves",
    "copied_scores": "Copied from before",
    "constant_score": "The same for everyone",
    "reversed_direction": "Turned round",
    "changed_scale": "Another scale",
}
"""The questions of `drift`, by the name of their finding."""

FOCUS_WORDS = {
    Focus.ENVIRONMENTAL: "Environmental",
    Focus.SOCIAL: "Social",
    Focus.GOVERNANCE: "Governance",
    None: "No focus",
}


class ReasonWords(NamedTuple):
    """A reason of the error log, as a short title and a sentence."""

    title: str
    meaning: str


REASON_WORDS: dict[str | None, ReasonWords] = {
    Reason.TIMEOUT: ReasonWords(
        "No answer in time", "The ESG service did not answer within the time allowed for a call."
    ),
    Reason.CONNECTION: ReasonWords(
        "No connection", "The connection to the ESG service failed or broke off."
    ),
    Reason.RATE_LIMITED: ReasonWords(
        "Slowed down by the service", "The ESG service refused the calls because of its rate limit."
    ),
    Reason.HTTP_4XX: ReasonWords(
        "Request refused", "The ESG service refused the request for this account."
    ),
    Reason.HTTP_5XX: ReasonWords(
        "Service error", "The ESG service reported an error of its own at every attempt."
    ),
    Reason.NOT_FOUND: ReasonWords(
        "Account not known", "The ESG service does not know this account."
    ),
    Reason.UNAUTHORIZED: ReasonWords(
        "Access denied", "The ESG service did not accept our credentials."
    ),
    Reason.UNREADABLE_RESPONSE: ReasonWords(
        "Unreadable answer", "The answer could not be read, so nothing in it was used."
    ),
    Reason.INVALID_RESPONSE: ReasonWords(
        "Invalid value", "The answer held a value that cannot be right, such as a score above 100."
    ),
    Reason.IDENTITY_MISMATCH: ReasonWords(
        "Answer for another account",
        "The answer named another account. It was thrown away and never used.",
    ),
    Reason.INCOMPLETE_RESPONSE: ReasonWords(
        "Incomplete answer", "Something is missing in the answer, or the service called it partial."
    ),
    Reason.STALE_ANALYSIS: ReasonWords(
        "Old analysis", "The scores come from an analysis older than allowed. They are kept."
    ),
    Reason.DEADLINE: ReasonWords(
        "Not reached in time",
        "The account was not rated before the calls had to end for the deadline.",
    ),
    None: ReasonWords("No reason given", "The rating came without a reason."),
}


def reason_words(reason: str | None) -> ReasonWords:
    """The words of a reason; one that has none yet stands for itself."""
    return REASON_WORDS.get(reason, ReasonWords(str(reason), "See the error log."))


GLOSSARY = (
    (
        ProcessingStatus.SUCCESSFUL.value,
        "The account has a valid overall score, all three pillar scores and an analysis date, and "
        "its primary focus with the focus score where there is one.",
    ),
    (
        ProcessingStatus.PARTIAL.value,
        "The overall score is valid, but another value is missing or invalid (shown as N/A), the "
        "service called its answer partial, or the analysis is older than allowed.",
    ),
    (
        ProcessingStatus.FAILED.value,
        "The account has no rating today. All its ESG values are N/A in the report. Yesterday's "
        "values are never carried over.",
    ),
    (
        "N/A",
        "Not available: there was no value that could be trusted. It is never a score of zero.",
    ),
    (
        "Score",
        "0 to 100 points; high is good. Averages and shares are rounded half up to two decimals.",
    ),
    (
        "Same accounts",
        "The average change of the accounts that have the score on both days. Unlike the change of "
        "the average, it does not move when accounts come, go or fail.",
    ),
    (
        "Median and quarters",
        "Half of the rated accounts score below the median; the middle half lies between the two "
        "quarter marks.",
    ),
    (
        "Edition",
        "One version of the day's report. A rerun makes the next edition; the newest one counts, "
        "and older ones are kept.",
    ),
    (
        "SHA-256",
        "A fingerprint of a file. If one character of the file changes, the fingerprint changes.",
    ),
)
"""Term and meaning, in the order of the page."""
