"""What people look at: the day's figures, whether the scores look right, and the pages of both.

This room turns accounts and ratings into numbers, and numbers into bytes. It opens no file of the
day and no connection, reads no clock, and changes no rating; the same inputs always give the same
bytes. Account names are in its summary files only, which are delivered encrypted.
"""

from esg_pipeline.report.summary.charts import image_uri
from esg_pipeline.report.summary.comparison import (
    LAST_GOOD_SCHEMA,
    BaseDay,
    NoBase,
    last_good_scores,
)
from esg_pipeline.report.summary.drift import Drift, DriftLimits, Finding, drift
from esg_pipeline.report.summary.edition import EditionFacts
from esg_pipeline.report.summary.figures import DayFigures, day_figures
from esg_pipeline.report.summary.html import focus_chart, format_summary_html, score_chart
from esg_pipeline.report.summary.json_file import format_summary_json
from esg_pipeline.report.summary.trend import DayRow, day_row, format_trend_html, trend_charts

__all__ = [
    "LAST_GOOD_SCHEMA",
    "BaseDay",
    "DayFigures",
    "DayRow",
    "Drift",
    "DriftLimits",
    "EditionFacts",
    "Finding",
    "NoBase",
    "day_figures",
    "day_row",
    "drift",
    "focus_chart",
    "format_summary_html",
    "format_summary_json",
    "format_trend_html",
    "image_uri",
    "last_good_scores",
    "score_chart",
    "trend_charts",
]
