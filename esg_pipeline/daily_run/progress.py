"""The scoring's progress, from the asset to whoever watches in the same process.

The command line draws its bar from here. The asset reports and does not know who listens.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from esg_pipeline.scoring import Progress

Watcher = Callable[[Progress], None]

_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watch_progress(watcher: Watcher) -> Iterator[None]:
    """Call `watcher` with each progress of runs made inside the block; it must return quickly."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def current_watcher() -> Watcher | None:
    """The watcher of this context, if anyone watches."""
    return _watcher.get()
