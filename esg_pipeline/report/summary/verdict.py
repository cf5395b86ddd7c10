"""The day in one sentence: is the report whole, how many failed, what changed.

The first thing a reader sees, and the only one if time is short: it must never sound better than
the day was.
"""

from dataclasses import dataclass
from enum import StrEnum

from esg_pipeline.report.summary import formats
from esg_pipeline.report.summary.comparison import NoBase
from esg_pipeline.report.summary.drift import Drift
from esg_pipeline.report.summary.edition import EditionFacts
from esg_pipeline.report.summary.figures import DayFigures, Totals


class Tone(StrEnum):
    """How the page shows the verdict."""

    GOOD = "good"
    NOTICE = "notice"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The sentence with a heading word and a tone."""

    tone: Tone
    heading: str
    sentence: str


def verdict(figures: DayFigures, edition: EditionFacts, drift: Drift | None) -> Verdict:
    """Put the day in one sentence."""
    parts = [_delivered(figures), _failed(figures.totals), _changed(figures)]
    if edition.is_late:
        parts.insert(
            1, f"it was finished {formats.duration(-edition.time_left)} after the deadline"
        )
    return Verdict(*_tone(figures, edition, drift), "; ".join(parts) + ".")


def _tone(figures: DayFigures, edition: EditionFacts, drift: Drift | None) -> tuple[Tone, str]:
    if not figures.is_whole:
        return Tone.ALARM, "Not whole"
    if figures.totals.is_over_threshold:
        return Tone.ALARM, "Too many failures"
    if edition.is_late:
        return Tone.ALARM, "Late"
    if drift is not None and drift.suspicions:
        return Tone.NOTICE, "Unusual scores"
    if figures.totals.failed or figures.totals.partial:
        return Tone.GOOD, "In order, with exceptions"
    return Tone.GOOD, "In order"


def _delivered(figures: DayFigures) -> str:
    accounts = figures.totals.accounts
    if not figures.is_whole:
        return (
            f"The report is not whole: its rows are not the {formats.count(accounts)} active "
            "accounts"
        )
    if accounts == 1:
        return "The report is whole: the one active account is in it"
    return f"The report is whole: all {formats.count(accounts)} active accounts are in it"


def _failed(totals: Totals) -> str:
    threshold = formats.percent(totals.failure_threshold)
    if not totals.failed:
        return "none failed"
    how_many = f"{formats.count(totals.failed)} of them failed"
    if totals.failed == totals.accounts:
        how_many = "it failed" if totals.accounts == 1 else "all of them failed"
    share = formats.share(totals.failed, totals.accounts)
    side = "over" if totals.is_over_threshold else "within"
    return f"{how_many} ({share}), {side} the {threshold} threshold"


def _changed(figures: DayFigures) -> str:
    if figures.comparison is None:
        if figures.no_base is NoBase.FIRST_DAY:
            return "it is the first day, so there is nothing to compare with"
        return "the ratings of an earlier day are not available to compare with"
    since = f"since {formats.short_date(figures.comparison.base_day)}"
    overall = figures.averages[0]
    if overall.average is None:
        return "there is no average score today"
    now = formats.score(overall.average)
    if overall.change is None:
        return f"the average overall score is {now}, with none to compare it with {since}"
    if overall.same_accounts_change not in (None, overall.change):
        since += f" ({formats.change(overall.same_accounts_change)} for the same accounts)"
    if not overall.change:
        return f"the average overall score is {now}, unchanged {since}"
    direction = "rose" if overall.change > 0 else "fell"
    return (
        f"the average overall score {direction} by {formats.score(abs(overall.change))} to {now} "
        f"{since}"
    )
