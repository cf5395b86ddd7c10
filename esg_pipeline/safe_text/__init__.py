"""Text made safe to show: no secret is read, no control acts, no formula runs.

One room for each of these facts: `secrets` knows what must not be read, `controls` which characters
nobody sees, `formulas` how a formula starts. It changes a text where it leaves us, for the eye
only, and knows no other room, so that every room can use it. Mask first, then flatten or cut: half
a secret is not recognised.
"""

from esg_pipeline.safe_text.controls import escaped, flat, visible
from esg_pipeline.safe_text.errors import without_secrets
from esg_pipeline.safe_text.formulas import FORMULA_START, guarded
from esg_pipeline.safe_text.secrets import (
    mask,
    register_secret,
    register_secrets_in,
    register_webhooks,
)

__all__ = [
    "FORMULA_START",
    "escaped",
    "flat",
    "guarded",
    "mask",
    "register_secret",
    "register_secrets_in",
    "register_webhooks",
    "visible",
    "without_secrets",
]
