"""Which tests run where: without servers, and without the programs that a machine does not have.

A test that starts a process or a server is in the lane `servers`; `make test-fast` leaves it out.
A test that needs a program of the system says so with `needs`, is skipped where it is missing, and
one line at the end says what to install. Under CI nothing may be missing.
"""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

PACKAGES = {
    "age": "age",
    "age-keygen": "age",
    "amtool": "prometheus-alertmanager",
    "git": "git",
    "make": "make",
    "openssl": "openssl",
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "prometheus-pushgateway": "prometheus-pushgateway",
    "promtool": "prometheus",
    "soffice": "libreoffice-calc-nogui",
    "strace": "strace",
    "systemd-analyze": "systemd",
}
"""What a test may need, and the Debian package that brings it."""
OUTSIDE = {"subprocess.Popen", "os.fork", "os.posix_spawn", "socket.bind", "socket.connect"}
"""Audit events by which a test leaves its own process."""

_is_kept_inside = False


def _keep_inside(event: str, _: tuple[object, ...]) -> None:
    if _is_kept_inside and event in OUTSIDE:
        raise RuntimeError(
            f"{event} in a test that is not in the lane of those with servers; mark it with "
            "pytest.mark.servers, or let its fixture ask for the fixture `servers`"
        )


sys.addaudithook(_keep_inside)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "servers" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.servers)


@pytest.fixture(scope="session")
def servers() -> None:
    """Asked for by each fixture that starts a server or a process: its tests are in that lane."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Any:
    global _is_kept_inside  # noqa: PLW0603 - an audit hook can never be taken away again
    _is_kept_inside = item.get_closest_marker("servers") is None
    try:
        return (yield)
    finally:
        _is_kept_inside = False


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    needed = [each for mark in item.iter_markers("needs") for each in mark.args]
    missing = [each for each in needed if not _is_here(each)]
    if not missing:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have what a test needs: {', '.join(missing)}", pytrace=False)
    item.user_properties.append(("missing", missing))
    pytest.skip(f"needs {', '.join(missing)}")


def _works(*command: str) -> bool:
    return shutil.which(command[0]) is not None and (
        subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


TRIED: dict[str, Callable[[], bool]] = {
    "mount rights": lambda: _works("unshare", "-m", "true"),
    "root": lambda: os.geteuid() == 0,
    "strace": lambda: _works("strace", "-o", "/dev/null", "true"),
}
"""What a machine may have and yet not allow, to another user or in a container."""


def _is_here(needed: str) -> bool:
    assert needed in PACKAGES or needed in TRIED, f"no package brings {needed}; add it to PACKAGES"
    return TRIED[needed]() if needed in TRIED else shutil.which(needed) is not None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [dict(each.user_properties) for each in terminalreporter.stats.get("skipped", [])]
    tests = [each["missing"] for each in skipped if "missing" in each]
    if tests:
        terminalreporter.write_line(_what_is_missing(tests))


def _what_is_missing(tests: list[list[str]]) -> str:
    """One line for all tests that were skipped: "3 skipped: no age; apt-get install age"."""
    missing = Counter(each for test in tests for each in test)
    packages = sorted({PACKAGES[each] for each in missing if each in PACKAGES})
    said = f"{len(tests)} skipped: no {', no '.join(sorted(missing))}"
    return f"{said}; apt-get install {' '.join(packages)}" if packages else said
