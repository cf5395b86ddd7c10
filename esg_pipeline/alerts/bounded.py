"""Work that may hang, each piece in a thread of its own that nobody has to wait for.

A piece that outlives its time is left behind: it goes on, but keeps neither the others waiting
nor the process from ending.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

Result = TypeVar("Result")


def run_bounded(work: Mapping[str, Callable[[], Result]], *, timeout_s: float) -> dict[str, Result]:
    """Run all pieces at once and return, by name, what came back in time.

    Args:
        work: Pieces that do not raise.
        timeout_s: For all of them together.
    """
    finished: queue.SimpleQueue[tuple[str, Result]] = queue.SimpleQueue()

    def run(name: str, piece: Callable[[], Result]) -> None:
        finished.put((name, piece()))

    for name, piece in work.items():
        threading.Thread(target=run, args=(name, piece), name=f"alert {name}", daemon=True).start()
    end = time.monotonic() + timeout_s
    results: dict[str, Result] = {}
    while len(results) < len(work):
        try:
            name, result = finished.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            break
        results[name] = result
    return results
