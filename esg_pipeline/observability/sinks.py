"""Takes finished log lines to a place that may be slow, full or gone, without anyone waiting.

Each sink has its own thread and a bounded queue: what does not fit is dropped, counted and
reported. Nothing here formats a record, and no error leaves it.
"""

import logging
import os
import threading
import time
from contextlib import suppress
from datetime import date
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

log = logging.getLogger("esg_pipeline.observability")

QUEUE_RECORDS = 10_000
TRIES = 7
"""Tries for one record, over about a minute; one that cannot be taken must not stop those behind
it for ever."""
FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 30.0
DAY_S = 86_400


class Writer(Protocol):
    """Where a sink's records go; it may block and may raise, a sink's thread bears both."""

    def write(self, record: logging.LogRecord) -> None: ...

    def close(self) -> None: ...


class Sink:
    """One destination of log records.

    Attributes:
        name: For people.
        dropped: Records that were not written, so far.
    """

    def __init__(self, name: str, writer: Writer) -> None:
        self.name = name
        self.dropped = 0
        self._told = 0
        self._is_failing = False
        self._writer = writer
        # Its `put` may interrupt itself, as a signal handler that logs would.
        self._queue: SimpleQueue[logging.LogRecord | None] = SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"log to {name}", daemon=True)
        self._thread.start()

    def put(self, record: logging.LogRecord) -> None:
        """Hand over a record that is ready to be written; never waits."""
        if self._closing.is_set() or self._queue.qsize() >= QUEUE_RECORDS:
            self.dropped += 1
        else:
            self._queue.put(record)

    def begin_close(self) -> None:
        """Write what is queued, without retries, and end."""
        self._closing.set()
        self._queue.put(None)

    def wait_closed(self, timeout_s: float) -> None:
        """Wait for the end a bounded time; what is not written then is lost and counted."""
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            # The end mark in the queue stands for the record in hand.
            self.dropped += max(1, self._queue.qsize())

    @property
    def untold_drops(self) -> int:
        """Dropped records that nobody was told about; asking is being told."""
        untold, self._told = self.dropped - self._told, self.dropped
        return untold

    def _run(self) -> None:
        while (record := self._queue.get()) is not None:
            self._deliver(record)
        try:
            self._writer.close()
        except Exception as error:
            log.debug("log sink %s: not closed cleanly (%s)", self.name, type(error).__name__)

    def _deliver(self, record: logging.LogRecord) -> None:
        delay_s = FIRST_RETRY_S
        for number in range(TRIES):
            try:
                self._writer.write(record)
            except Exception as error:
                if number == 0:
                    self._say_failing(error)
                if self._closing.wait(delay_s):
                    break
                delay_s = min(delay_s * 2, LONGEST_RETRY_S)
            else:
                self._say_working()
                return
        self.dropped += 1

    def _say_failing(self, error: Exception) -> None:
        if not self._is_failing:
            self._is_failing = True
            log.warning(
                "log sink %s takes no records (%s); the job goes on, up to %d records wait",
                self.name,
                _why(error),
                QUEUE_RECORDS,
            )

    def _say_working(self) -> None:
        # Drops by overflow are told once it has caught up, or telling would add to the flood.
        if self._is_failing or (self.dropped > self._told and self._queue.empty()):
            self._is_failing = False
            log.warning("log sink %s works; %d records were dropped", self.name, self.untold_drops)


def close_all(sinks: list[Sink], timeout_s: float) -> None:
    """Close the sinks side by side, within one bounded time."""
    for sink in sinks:
        sink.begin_close()
    give_up_at = time.monotonic() + timeout_s
    for sink in sinks:
        sink.wait_closed(max(0.0, give_up_at - time.monotonic()))


def _why(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or getattr(error, "reason", None)
    return f"{type(error).__name__}: {reason}" if reason else type(error).__name__


class StandardOutput:
    """Lines to standard output, past Python's buffer: a hanging reader must not lock our exit."""

    def write(self, record: logging.LogRecord) -> None:
        line = _line(record)
        while line:
            line = line[os.write(1, line) :]

    def close(self) -> None:
        pass


class DailyFile:
    """Lines appended to one file for a business date, mode 0600; old files are removed.

    Args:
        folder: Made if need be, mode 0700.
        day: The business date, part of the file's name.
        keep_days: Files of this kind that were last written earlier are deleted.
    """

    def __init__(self, folder: Path, day: date, keep_days: int) -> None:
        self._path = folder / f"esg_pipeline_{day:%Y%m%d}.jsonl"
        self._keep_s = keep_days * DAY_S
        self._file: int | None = None
        self._latest: logging.LogRecord | None = None
        self._rest = b""

    def write(self, record: logging.LogRecord) -> None:
        """Append the record; called again with it after an error, write only what is missing.

        A full disk takes half a line; the other half must not follow the same half again.
        """
        if record is not self._latest:
            self._latest, self._rest = record, self._rest + _line(record)
        if self._file is None:
            self._file = self._open()
        try:
            while self._rest:
                self._rest = self._rest[os.write(self._file, self._rest) :]
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._remove_old()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(self._path, flags, 0o600)
        os.fchmod(file, 0o600)
        return file

    def _remove_old(self) -> None:
        for old in self._path.parent.glob("esg_pipeline_*.jsonl"):
            with suppress(FileNotFoundError):
                if old.stat().st_mtime < time.time() - self._keep_s:
                    old.unlink()


def _line(record: logging.LogRecord) -> bytes:
    return f"{record.msg}\n".encode()
