"""The last ninety days on one page: averages, success, time, calls, failures by reason.

A day without a delivery is a gap in every line and is named, never bridged. No account is in it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

from markupsafe import Markup

from esg_pipeline.ratings import ProcessingStatus
from esg_pipeline.report.summary import formats
from esg_pipeline.report.summary.charts import line_chart
from esg_pipeline.report.summary.edition import EditionFacts
from esg_pipeline.report.summary.figures import DayFigures
from esg_pipeline.report.summary.pages import render
from esg_pipeline.report.summary.score_arithmetic import SCORES
from esg_pipeline.report.summary.words import SCORE_WORDS, reason_words

DAYS_SHOWN = 90
NO_REASON = "no reason"
REASONS_SHOWN = 3
"""Reasons with a line of their own; more could not be told apart by line and colour."""
LINE_LOOKS = ("black", "blue, dashed", "red, dotted", "green, dashed and dotted")
"""How the n-th line of a chart looks, as `charts.css` has it."""


@dataclass(frozen=True, slots=True)
class DayRow:
    """The newest delivered edition of one day, in the columns of the history.

    Attributes:
        averages: Points per score column; None when no account had the score.
        failures_by_reason: Failed accounts per reason of the error log.
    """

    day: date
    edition: int
    accounts: int
    successful: int
    partial: int
    failed: int
    averages: Mapping[str, float | None]
    duration_s: float
    calls: int
    failures_by_reason: Mapping[str, int]

    @property
    def duration(self) -> timedelta:
        """From the run's start to its finish."""
        return timedelta(seconds=self.duration_s)


def day_row(figures: DayFigures, edition: EditionFacts) -> DayRow:
    """The row that a day leaves in the history."""
    totals = figures.totals
    return DayRow(
        day=figures.day,
        edition=edition.number,
        accounts=totals.accounts,
        successful=totals.successful,
        partial=totals.partial,
        failed=totals.failed,
        averages={
            each.score: None if each.average is None else float(each.average)
            for each in figures.averages
        },
        duration_s=edition.duration.total_seconds(),
        calls=edition.calls,
        failures_by_reason={
            each.reason or NO_REASON: each.accounts.count
            for each in figures.reasons
            if each.status is ProcessingStatus.FAILED
        },
    )


def format_trend_html(rows: Iterable[DayRow], *, last_day: date) -> bytes:
    """Write the trend page.

    Args:
        rows: At most one a day, in any order. Shown are the ninety days up to `last_day`, or
            those since the first row if there are fewer.
    """
    shown = _shown(rows, last_day)
    return render(
        "trend.html.j2",
        days=shown,
        rows=[row for _, row in shown if row],
        missing=[day for day, row in shown if row is None],
        charts=_charts(shown),
        scores=SCORES,
        score_words=SCORE_WORDS,
        commonest=_commonest,
        first_day=shown[0][0],
        last_day=last_day,
    )


def trend_charts(rows: Iterable[DayRow], *, last_day: date) -> "tuple[TrendChart, ...]":
    """The charts of the trend page; none without a delivered day."""
    return _charts(_shown(rows, last_day))


def _shown(rows: Iterable[DayRow], last_day: date) -> "_Days":
    found = {row.day: row for row in rows if row.day <= last_day}
    first_day = max(min(found, default=last_day), last_day - timedelta(days=DAYS_SHOWN - 1))
    days = [first_day + timedelta(days=n) for n in range((last_day - first_day).days + 1)]
    return [(day, found.get(day)) for day in days]


@dataclass(frozen=True, slots=True)
class TrendChart:
    """A drawn chart; `legend` is empty when it has one line only."""

    title: str
    drawing: Markup
    legend: Sequence[str]

    @property
    def legend_in_words(self) -> str:
        """The legend for where its colours cannot be shown."""
        return "; ".join(
            f"{label}: {look}" for label, look in zip(self.legend, LINE_LOOKS, strict=False)
        )


_Days = Sequence[tuple[date, DayRow | None]]


def _charts(days: _Days) -> tuple[TrendChart, ...]:
    if not any(row for _, row in days):
        return ()
    average_lines = {
        SCORE_WORDS[score].removesuffix(" score"): partial(_average, score=score)
        for score in SCORES
    }
    return (
        _chart("averages", "Average scores, points", days, average_lines, "{:g}".format),
        _chart("success", "Success rate", days, {"Success rate": _success_percent}, "{:g}%".format),
        _chart(
            "failures",
            "Failed accounts by reason",
            days,
            _failure_lines([row for _, row in days if row]),
            _whole,
            from_zero=True,
        ),
        _chart(
            "duration", "Duration, minutes", days, {"Duration": _minutes}, _whole, from_zero=True
        ),
        _chart("calls", "Calls", days, {"Calls": _calls}, _whole, from_zero=True),
    )


def _chart(
    name: str,
    title: str,
    days: _Days,
    lines: Mapping[str, Callable[[DayRow], float | None]],
    written: Callable[[float], str],
    *,
    from_zero: bool = False,
) -> TrendChart:
    values = {
        label: [value(row) if row else None for _, row in days] for label, value in lines.items()
    }
    drawing = line_chart(
        name, title, [day for day, _ in days], values, written=written, from_zero=from_zero
    )
    return TrendChart(title, drawing, tuple(lines) if len(lines) > 1 else ())


def _average(row: DayRow, *, score: str) -> float | None:
    return row.averages[score]


def _success_percent(row: DayRow) -> float | None:
    return 100 * row.successful / row.accounts if row.accounts else None


def _minutes(row: DayRow) -> float:
    return row.duration_s / 60


def _calls(row: DayRow) -> float:
    return row.calls


def _failure_lines(rows: Sequence[DayRow]) -> dict[str, Callable[[DayRow], float | None]]:
    """A line for each of the commonest reasons, and one for all others together."""
    total: Counter[str] = Counter()
    for row in rows:
        total.update(row.failures_by_reason)
    commonest = sorted(total, key=lambda reason: (-total[reason], reason))[:REASONS_SHOWN]
    lines: dict[str, Callable[[DayRow], float | None]] = {
        reason_words(reason).title: partial(_failures, reasons=(reason,)) for reason in commonest
    }
    others = tuple(total.keys() - set(commonest))
    if others or not lines:
        lines["Other reasons" if others else "Failed"] = partial(_failures, reasons=others)
    return lines


def _failures(row: DayRow, *, reasons: Sequence[str]) -> float:
    return sum(row.failures_by_reason.get(reason, 0) for reason in reasons)


def _commonest(row: DayRow) -> str:
    """The commonest reason of a day's failures, in words."""
    if not row.failures_by_reason:
        return ""
    reason = min(row.failures_by_reason.items(), key=lambda each: (-each[1], each[0]))[0]
    return reason_words(reason).title


def _whole(value: float) -> str:
    return formats.count(round(value))
