"""Waiting for what another process does and gives no event for."""

import time
from collections.abc import Callable

PATIENCE_S = 300.0
"""How long a test waits for what must come on a busy machine; only a fault uses it up."""


def wait_until(is_so: Callable[[], object], *, timeout_s: float = PATIENCE_S) -> None:
    """Return as soon as it is so."""
    ends_at = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < ends_at, f"it did not come to that in {timeout_s:.0f} s"
        time.sleep(0.1)
