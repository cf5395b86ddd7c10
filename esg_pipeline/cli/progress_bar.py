"""The progress of a run on standard error: a bar in a terminal, a line every ten seconds elsewhere.

During a step Dagster has file descriptor 2, so this writes to a copy that was made before. Nothing
that happens to the terminal ends the run.
"""

import io
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console, ConsoleDimensions, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from esg_pipeline import clock
from esg_pipeline.daily_run.progress import watch_progress
from esg_pipeline.scoring import Progress

LINE_EVERY_S = 10.0
FRAMES_PER_SECOND = 4
PAUSED_BECAUSE = {
    "outage": "the API seems down; probing",
    "throttle": "the API asked to slow down",
    "ledger": "the ledger does not answer",
    "another date": "a newer date has the rate limit",
}
"""By the words of `Progress.paused`."""


def words_of(progress: Progress) -> str:
    """What the numbers do not say by themselves: pace, failures, pause and finish."""
    parts = [f"{progress.failed:,} failed"]
    if progress.answered == progress.total:
        return f"{parts[0]}; the report is made and delivered"
    if progress.rate:
        parts.insert(0, f"{progress.rate:,.1f}/s")
    if progress.paused:
        parts.append(f"paused: {PAUSED_BECAUSE.get(progress.paused, progress.paused)}")
    # A short pause is in the pace already; nobody knows how long the others last.
    if progress.eta is not None and progress.paused in (None, "throttle"):
        parts.append(f"ends {_central(progress.eta)}")
    return ", ".join(parts)


def _central(moment: datetime) -> str:
    """The time in Central Time, with its date when that is not today."""
    there, now = (each.astimezone(clock.CENTRAL) for each in (moment, clock.now_utc()))
    return f"{there:%H:%M:%S} CT" if there.date() == now.date() else f"{there:%Y-%m-%d %H:%M} CT"


@contextmanager
def show_progress(others: Path) -> Iterator[None]:
    """Show the scoring's progress on standard error for as long as the block runs.

    Args:
        others: Gets what anybody else writes to standard error meanwhile, if that is a terminal:
            Dagster's small processes, which copy a step's output, die of Ctrl-C with a stack trace.
    """
    with ExitStack() as stack:
        file = stack.enter_context(_copy_of_standard_error())
        if file.isatty():
            stack.enter_context(_standard_error_to(others))
        console = Console(file=file)
        if _can_draw(file, console):
            stack.enter_context(_drawn(console, file))
        else:
            stack.enter_context(watch_progress(_LineWriter(file)))
        yield


class _Tolerant(io.FileIO):
    """A terminal or pipe that may go away while it is written to."""

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except OSError:
            return len(content)


@contextmanager
def _copy_of_standard_error() -> Iterator[TextIO]:
    try:
        descriptor = os.dup(sys.stderr.fileno())
    except (AttributeError, OSError):  # there is none, or a test has another in its place
        yield sys.stderr or io.StringIO()
        return
    raw = io.BufferedWriter(_Tolerant(descriptor, "w"))
    with io.TextIOWrapper(raw, sys.stderr.encoding, errors="backslashreplace") as file:
        yield file


@contextmanager
def _standard_error_to(path: Path) -> Iterator[None]:
    terminal = os.dup(sys.stderr.fileno())
    try:
        with path.open("w") as file:
            os.dup2(file.fileno(), sys.stderr.fileno())
        yield
    finally:
        sys.stderr.flush()
        os.dup2(terminal, sys.stderr.fileno())
        os.close(terminal)


def _can_draw(file: TextIO, console: Console) -> bool:
    return file.isatty() and console.encoding.startswith("utf") and not console.is_dumb_terminal


@contextmanager
def _drawn(console: Console, file: TextIO) -> Iterator[None]:
    screen = _Screen(console, file)
    live = Live(
        get_renderable=screen.frame,
        console=console,
        refresh_per_second=FRAMES_PER_SECOND,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with live, watch_progress(screen.take):
        try:
            yield
        finally:
            live.transient = screen.progress is None


class _Screen:
    """The frames. Taking a progress draws nothing: a terminal that hangs must not hold a run up."""

    def __init__(self, console: Console, file: TextIO) -> None:
        self._console = console
        self._file = file
        self.progress: Progress | None = None

    def take(self, progress: Progress) -> None:
        self.progress = progress

    def frame(self) -> RenderableType:
        # Rich would ask the descriptors 0 to 2, which are Dagster's during a step.
        with suppress(OSError):
            columns, lines = os.get_terminal_size(self._file.fileno())
            self._console.size = ConsoleDimensions(columns or 80, lines or 24)
        progress = self.progress
        if progress is None:
            return Text("Reading the accounts")
        line = Table.grid(padding=(0, 1), expand=True)
        line.add_column(no_wrap=True)
        line.add_column(ratio=1)
        line.add_column(no_wrap=True, justify="right")
        line.add_row(
            "Rated",
            ProgressBar(total=progress.total, completed=progress.answered),
            f"{progress.answered:,}/{progress.total:,}",
        )
        return Group(line, Text(words_of(progress)))


class _LineWriter:
    """Writes a line at most every `LINE_EVERY_S` seconds, and at the end."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._next = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now < self._next and progress.answered < progress.total:
            return
        self._next = now + LINE_EVERY_S
        line = f"{progress.answered:,}/{progress.total:,} rated, {words_of(progress)}"
        print(line, file=self._file, flush=True)
