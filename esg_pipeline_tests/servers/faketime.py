"""The wall clock of a whole process, moved; waits and timeouts stay real."""

from datetime import UTC, datetime
from pathlib import Path

import libfaketime

LIBRARY = Path(libfaketime.__file__).parent / "vendor/libfaketime/src/libfaketime.so.1"


def clock_at(now: datetime) -> dict[str, str]:
    """The environment in which a process starts at `now` (aware)."""
    return {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME": f"@{now.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # else sleep and Event.wait fail
        "TZ": "UTC",
    }
