"""From a template to the bytes of a page that can load nothing and run nothing.

Every value is escaped unless this package built it as markup itself. The policy in the page
allows exactly its one style sheet, by hash; same values give the same bytes.
"""

from base64 import b64encode
from hashlib import sha256
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from esg_pipeline.report.summary import formats
from esg_pipeline.report.summary.styles import style

_CSS = style("colours", "charts", "page")
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_CSS.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'"
)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("esg_pipeline.report.summary"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"css": Markup(_CSS), "policy": _POLICY}  # noqa: S704 - our own file
    for word in (
        formats.count,
        formats.counted,
        formats.share,
        formats.percent,
        formats.score,
        formats.change,
        formats.long_date,
        formats.short_date,
        formats.month_and_day,
        formats.central,
        formats.duration,
        formats.shown,
        formats.shown_name,
    ):
        environment.filters[word.__name__] = word
    return environment


_ENVIRONMENT = _environment()


def render(template: str, **values: Any) -> bytes:
    """Fill in a template of this package."""
    return _ENVIRONMENT.get_template(template).render(values).encode()
