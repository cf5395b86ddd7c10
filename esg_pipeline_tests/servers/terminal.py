"""A command in a terminal of its own, and what a person sees on its screen."""

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import pyte

SILENCE_S = 300.0
"""Longer than anything that a test waits for; only a command that hangs is silent for so long."""
TAKE_THE_TERMINAL = (
    "import fcntl, os, sys, termios; "
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execvp(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """The terminal; a context manager that ends the command if it has not ended.

    Attributes:
        process: The command.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        columns: int = 80,
        lines: int = 24,
    ) -> None:
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._own, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKE_THE_TERMINAL, *command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**env, "TERM": "xterm-256color"},
            cwd=cwd,
            start_new_session=True,
        )
        os.close(theirs)

    @property
    def lines(self) -> list[str]:
        """What stands on the screen, without empty lines."""
        return [line.rstrip() for line in self._screen.display if line.strip()]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def look_until(self, is_so: Callable[[], object]) -> None:
        """Look at each change of the screen until it is so.

        Raises:
            AssertionError: the command ended, or hangs, and it is not so.
        """
        while not is_so():
            assert self._read(), self.text

    def wait(self) -> int:
        """Look until the command ends; its exit code."""
        while self._read():
            pass
        return self.process.wait()

    def press_ctrl_c(self) -> None:
        os.write(self._own, b"\x03")

    def _read(self) -> bool:
        ready, _, _ = select.select([self._own], [], [], SILENCE_S)
        assert ready, f"silent for {SILENCE_S:.0f} s: {self.text}"
        try:
            content = os.read(self._own, 65536)
        except OSError:  # the last one has closed it
            return False
        self._stream.feed(content)
        return bool(content)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(ProcessLookupError):
            self.process.terminate()
        self.process.wait()
        os.close(self._own)
