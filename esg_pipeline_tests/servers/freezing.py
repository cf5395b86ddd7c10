"""A process that is frozen where a test wants it: between two writes to the ledger."""

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

TRIES = 20


def freeze_between_two_writes(pid: int, ledger_path: Path) -> None:
    """Stop a run. Inside a write it would keep everybody out of a SQLite ledger."""
    for _ in range(TRIES):
        os.kill(pid, signal.SIGSTOP)
        with closing(sqlite3.connect(ledger_path, timeout=0.5, isolation_level=None)) as ledger:
            try:
                ledger.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError:
                os.kill(pid, signal.SIGCONT)
    raise AssertionError(f"process {pid} never lets go of {ledger_path}")
