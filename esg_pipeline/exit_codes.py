"""What the command line returns (docs/design.md#command-line).

Which ending of a run gives which code is in `daily_run/endings.py`.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of every command."""

    DELIVERED = 0
    FAILED = 1
    USAGE = 2
    DELIVERED_ABOVE_THRESHOLD = 3
    ALREADY_RUNNING = 4
