"""Charts as SVG that can do nothing: shapes and text, no script, no style, no link.

pygal works out the scales and the layout; only a short list of its elements and attributes is
taken over, so that its script, its style sheet, its ids and its date stay out. Colours and lines
come from the page's style sheet.
"""

import re
import sys
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import pygal  # type: ignore[import-untyped]  # ships no types
from markupsafe import Markup
from pygal.style import Style  # type: ignore[import-untyped]

from esg_pipeline.report.summary import formats
from esg_pipeline.report.summary.styles import style

# Importing pygal hooks into every later import of the process, for map plug-ins nobody uses here;
# on Python 3.11 that warns and fails where warnings are errors.
sys.meta_path[:] = [
    finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)
]

WIDTH = 400
BAR_STEP = 26
LINE_HEIGHT = 230
DATE_LABELS = 5
ROOM_FOR_VALUES = 1.25
"""How much longer the axis of a bar chart is than its longest bar, for the number beside it."""

_KEPT = {
    "g": ("class", "transform"),
    "rect": ("class", "x", "y", "width", "height"),
    "path": ("class", "d"),
    "circle": ("class", "cx", "cy", "r"),
    "text": ("class", "x", "y"),
}
"""What is taken over from pygal: elements, and the attributes each may keep."""

_ROOM_FOR_TEXT = Style(label_font_size=13, major_label_font_size=13, value_font_size=13)
"""For the layout only; the page's style sheet sets the same size."""

_LONG_FRACTION = re.compile(r"-?\d+\.\d+")


def bar_chart(name: str, title: str, bars: Mapping[str, int]) -> Markup:
    """Horizontal bars from top to bottom, each with its label and its number.

    Args:
        name: Unique on the page; becomes part of ids.
        title: What the bars count, for those who hear the chart.
    """
    longest = max(bars.values(), default=0)
    chart = pygal.HorizontalBar(
        **_settings(len(bars) * BAR_STEP),
        range=(0, max(longest * ROOM_FOR_VALUES, 1)),
        print_values=True,
        print_values_position="top",
        value_formatter=formats.count,
    )
    chart.x_labels = list(bars)[::-1]  # pygal counts from the bottom
    chart.add("", list(bars.values())[::-1])
    told = "; ".join(f"{label}: {formats.count(value)}" for label, value in bars.items())
    return _safe_svg(chart.render_tree(), name, title, f"{told}.", "bars")


def line_chart(
    name: str,
    title: str,
    days: Sequence[date],
    lines: Mapping[str, Sequence[float | None]],
    *,
    written: Callable[[float], str],
    from_zero: bool = False,
) -> Markup:
    """Lines over days; a day without a value is a gap.

    Args:
        name: Unique on the page; becomes part of ids.
        title: What the lines show, for those who hear the chart.
        lines: Label and one value for each of the days. The n-th is drawn in style `color-n`.
        written: How a value is written on the axis.
        from_zero: Start the axis at zero.
    """
    chart = pygal.Line(
        **_settings(LINE_HEIGHT),
        margin_right=22,
        allow_interruptions=True,
        dots_size=2.5,
        include_x_axis=from_zero,
        max_scale=7,
        show_minor_x_labels=False,
        value_formatter=written,
    )
    labels = [formats.month_and_day(day) for day in days]
    step = max(1, -(-len(days) // DATE_LABELS))
    chart.x_labels = labels
    chart.x_labels_major = labels[::step]
    for label, values in lines.items():
        chart.add(label, list(values), show_dots=_has_lone_value(values))
    told = " ".join(_told(label, values, written) for label, values in lines.items())
    return _safe_svg(chart.render_tree(), name, title, told, "lines")


def image_uri(drawing: Markup) -> str:
    """A chart of this module as an image that needs no page around it: a `data:` URI."""
    start, end = drawing.index("<svg ") + len("<svg "), drawing.index(">") + 1
    alone = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" {drawing[start:end]}'
        f"<style>{style('colours', 'charts')}</style>{drawing[end:]}"
    )
    return f"data:image/svg+xml;base64,{b64encode(alone.encode()).decode()}"


def _has_lone_value(values: Sequence[float | None]) -> bool:
    """A value between two gaps makes no line: only a dot can show it."""
    gaps = [True, *(value is None for value in values), True]
    return any(gaps[n - 1] and not gaps[n] and gaps[n + 1] for n in range(1, len(gaps) - 1))


def _told(label: str, values: Sequence[float | None], written: Callable[[float], str]) -> str:
    there = [value for value in values if value is not None]
    if not there:
        return f"{label}: no value."
    return (
        f"{label}: {written(there[-1])} at the end, lowest {written(min(there))}, "
        f"highest {written(max(there))}."
    )


def _settings(height: int) -> dict[str, Any]:
    return {
        "width": WIDTH,
        "height": height,
        "margin": 4,
        "js": [],
        "no_prefix": True,
        "show_legend": False,
        "truncate_label": -1,
        "style": _ROOM_FOR_TEXT,
    }


def _safe_svg(drawn: Any, name: str, title: str, description: str, kind: str) -> Markup:
    """The kept parts of pygal's tree, as an image with a title and a description."""
    root = Element(
        "svg",
        {
            "class": f"chart {kind}",
            "viewBox": drawn.get("viewBox"),
            "role": "img",
            "aria-labelledby": f"{name}-title {name}-desc",
        },
    )
    SubElement(root, "title", id=f"{name}-title").text = title
    SubElement(root, "desc", id=f"{name}-desc").text = description
    _keep(drawn, root)
    return Markup(tostring(root, encoding="unicode"))  # noqa: S704 - built above, text is escaped


def _keep(drawn: Any, parent: Element) -> None:
    for node in drawn:
        if node.tag not in _KEPT or "tooltip" in node.get("class", "").split():
            continue
        kept = {
            key: _LONG_FRACTION.sub(_one_decimal, value)
            for key in _KEPT[node.tag]
            if (value := node.get(key))
        }
        copy = SubElement(parent, node.tag, kept)
        copy.text = node.text
        _keep(node, copy)


def _one_decimal(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}"
