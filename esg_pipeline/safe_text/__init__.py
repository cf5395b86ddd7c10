"""Text made safe to show: no control acts, no formula runs, no secret is read.

One room for each of these facts: `controls` says which characters nobody sees, `formulas` how a
formula starts. It changes a text for the eye, where it leaves us; it knows no other room, so that
every room can use it.
"""

from esg_pipeline.safe_text.controls import escaped, flat, visible
from esg_pipeline.safe_text.formulas import FORMULA_START, guarded

__all__ = ["FORMULA_START", "escaped", "flat", "guarded", "visible"]
