"""The daily summary as one page: `FirmESGRatings_YYYYMMDD_summary.html`.

For a compliance officer with a phone, a printer or a screen reader: which accounts failed and
why, what moved, and whether the file is whole, from this page alone. It holds account names and
is delivered encrypted like the report.
"""

from markupsafe import Markup

from esg_pipeline.report.summary import formats
from esg_pipeline.report.summary.charts import bar_chart
from esg_pipeline.report.summary.comparison import NoBase
from esg_pipeline.report.summary.drift import Drift
from esg_pipeline.report.summary.edition import EditionFacts
from esg_pipeline.report.summary.figures import DayFigures
from esg_pipeline.report.summary.pages import render
from esg_pipeline.report.summary.verdict import verdict
from esg_pipeline.report.summary.words import (
    FINDING_WORDS,
    FOCUS_WORDS,
    GLOSSARY,
    SCORE_WORDS,
    reason_words,
)

NO_BASE_WORDS = {
    NoBase.FIRST_DAY: "This is the first day, so there is no earlier day to compare with.",
    NoBase.NOT_AVAILABLE: "The ratings of an earlier good day are not available, so nothing is "
    "compared.",
}
MODE_WORDS = {
    "full": "All active accounts",
    "failed_only": "Again the accounts that had failed; the others are as in the edition before",
    "accounts": "Again a few named accounts; the others are as in the edition before",
}
LABEL_WORDS = {"scheduled": "", "late": ", started late", "manual": ", by hand"}


def format_summary_html(
    figures: DayFigures, edition: EditionFacts, drift: Drift | None = None
) -> bytes:
    """Write the summary page.

    Args:
        drift: If given, its suspicions are shown under the verdict and all findings further down.
    """
    comparison = figures.comparison
    return render(
        "summary.html.j2",
        figures=figures,
        edition=edition,
        verdict=verdict(figures, edition, drift),
        findings=drift.findings if drift else (),
        suspicions=drift.suspicions if drift else (),
        no_base=NO_BASE_WORDS[figures.no_base] if figures.no_base else None,
        days_apart=(figures.day - comparison.base_day).days if comparison else None,
        score_chart=score_chart(figures),
        focus_chart=focus_chart(figures),
        time_left=_time_left(edition),
        mode_words=MODE_WORDS[edition.mode],
        label_words=LABEL_WORDS[edition.label],
        score_words=SCORE_WORDS,
        finding_words=FINDING_WORDS,
        reason_words=reason_words,
        glossary=GLOSSARY,
    )


def score_chart(figures: DayFigures) -> Markup:
    """How the overall scores are distributed."""
    highest = figures.overall_bins[-1].high
    bars = {
        f"{each.low} to {each.high if each.high == highest else each.high - 0.01}": each.count
        for each in figures.overall_bins
    }
    return bar_chart("score-chart", "Number of accounts in each ten points of overall score", bars)


def focus_chart(figures: DayFigures) -> Markup:
    """How many rated accounts have each primary focus."""
    bars = {FOCUS_WORDS[each.focus]: each.count for each in figures.focus}
    return bar_chart("focus-chart", "Number of rated accounts with each primary focus", bars)


def _time_left(edition: EditionFacts) -> str:
    side = "after" if edition.is_late else "before"
    return f"{formats.duration(abs(edition.time_left))} {side} the deadline"
