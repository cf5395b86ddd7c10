"""Real servers for tests, each on 127.0.0.1 with its own folder."""

import os
import shutil

import pytest


def needs(*binaries: str, root: bool = False) -> pytest.MarkDecorator:
    """Skip a test, with the reason, where a tool (or root) is missing; under CI it must be there.

    With `CI=true` nothing is skipped, so that a missing tool is a failure and not a silence.
    """
    missing = [name for name in binaries if shutil.which(name) is None]
    if root and os.geteuid() != 0:
        missing.append("root")
    return pytest.mark.skipif(
        bool(missing) and os.environ.get("CI") != "true",
        reason=f"needs {' and '.join(missing)}",
    )
