"""The words beside the bar: pace, failures, why nothing moves, and the finish in Central Time."""

import os
import pty
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from time_machine import TimeMachineFixture

from esg_pipeline.cli.progress_bar import show_progress, words_of
from esg_pipeline.daily_run.progress import current_watcher
from esg_pipeline.scoring import Progress
from esg_pipeline.scoring.tally import Latency

NOW = datetime(2026, 3, 10, 10, 30, tzinfo=UTC)


def progress(**facts: object) -> Progress:
    values: dict[str, Any] = {
        "total": 100_000,
        "answered": 45_678,
        "failed": 1_234,
        "calls": 50_000,
        "rate": 48.93,
        "throttled": 0,
        "pace": 50.0,
        "retries_waiting": 0,
        "paused": None,
        "eta": None,
        "outcomes": {},
        "latency": Latency(),
    }
    return Progress(**values | facts)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "48.9/s, 1,234 failed"),
        ({"rate": 0.0, "failed": 0}, "0 failed"),
        (
            {"eta": datetime(2026, 3, 10, 13, 41, 12, tzinfo=UTC)},
            "48.9/s, 1,234 failed, ends 08:41:12 CT",
        ),
        (
            {"eta": datetime(2026, 3, 11, 13, 41, 12, tzinfo=UTC)},
            "48.9/s, 1,234 failed, ends 2026-03-11 08:41 CT",
        ),
        ({"answered": 100_000}, "1,234 failed; the report is made and delivered"),
    ],
)
def test_the_numbers_are_said_in_words(
    facts: dict[str, object], words: str, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(NOW, tick=False)
    assert words_of(progress(**facts)) == words


@pytest.mark.parametrize(
    ("paused", "words", "has_finish"),
    [
        ("outage", "the API seems down; probing", False),
        ("ledger", "the ledger does not answer", False),
        ("another date", "a newer date has the rate limit", False),
        ("throttle", "the API asked to slow down", True),
    ],
)
def test_a_pause_says_why_and_promises_no_finish_that_nobody_knows(
    paused: str, words: str, has_finish: bool, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(NOW, tick=False)
    eta = datetime(2026, 3, 10, 13, 41, 12, tzinfo=UTC)
    said = words_of(progress(paused=paused, eta=eta))
    finish = ", ends 08:41:12 CT" if has_finish else ""
    assert said == f"48.9/s, 1,234 failed, paused: {words}{finish}"


def test_a_terminal_that_is_closed_ends_no_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        with show_progress(tmp_path / "others"):
            watcher = current_watcher()
            assert watcher is not None
            watcher(progress())
            os.close(own)
            watcher(progress(answered=100_000))
        monkeypatch.undo()


def test_a_pipe_that_is_closed_ends_no_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="utf-8") as pipe:
        monkeypatch.setattr("sys.stderr", pipe)
        with show_progress(tmp_path / "others"):
            os.close(reading)
            watcher = current_watcher()
            assert watcher is not None
            watcher(progress())
        monkeypatch.undo()
