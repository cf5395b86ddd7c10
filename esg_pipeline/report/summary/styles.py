"""The style sheets of the pages and charts, in parts."""

from functools import cache
from importlib.resources import files


@cache
def style(*parts: str) -> str:
    """The named style sheets of `templates/`, one after the other."""
    folder = files("esg_pipeline.report.summary").joinpath("templates")
    return "\n".join(folder.joinpath(f"{part}.css").read_text(encoding="utf-8") for part in parts)
