"""The progress of a run in the terminal: a bar for people, a line every ten seconds for logs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from esg_pipeline import clock
from esg_pipeline.daily_run.progress import watch_progress
from esg_pipeline.scoring import Progress

LINE_EVERY_S = 10.0


def _facts(progress: Progress) -> str:
    parts = [f"{progress.failed} failed"]
    if progress.rate:
        parts.insert(0, f"{progress.rate:.0f}/s")
    if progress.paused:
        parts.append(f"paused: {progress.paused}")
    if progress.eta is not None and progress.answered < progress.total:
        parts.append(f"ends {progress.eta.astimezone(clock.CENTRAL):%H:%M:%S} CT")
    return ", ".join(parts)


@contextmanager
def show_progress() -> Iterator[None]:
    """Show the scoring's progress on standard error for as long as the block runs."""
    console = Console(stderr=True)
    if not console.is_terminal:
        with watch_progress(_LineWriter()):
            yield
        return
    columns = (
        TextColumn("Rating accounts"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
    )
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("", total=None)

        def draw(progress: Progress) -> None:
            bar.update(
                task,
                total=progress.total,
                completed=progress.answered,
                description=_facts(progress),
            )

        with watch_progress(draw):
            yield


class _LineWriter:
    """Writes a line at most every `LINE_EVERY_S` seconds, and at the end."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now < self._next and progress.answered < progress.total:
            return
        self._next = now + LINE_EVERY_S
        click.echo(f"{progress.answered}/{progress.total} rated, {_facts(progress)}", err=True)
