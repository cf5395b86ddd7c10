"""A limit on the whole time of a read, whatever it hangs in.

Timeouts of drivers bound single steps: a connect, a statement, a packet. A frozen server, a dead
network share or an answer of one byte a second passes them all.
"""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

from esg_pipeline.accounts.errors import AccountSourceError

CHECK_LIMIT_S = 60.0
"""For one round trip that only shows whether a source works."""

T = TypeVar("T")


def within(limit_s: float, read: Callable[[], T], *, where: str) -> T:
    """Call `read` in a thread and wait for it; whatever it raises is raised here.

    A read that is over its limit is left alone, as no thread can be ended from outside; it does
    not keep the process alive.

    Raises:
        AccountSourceError: retryable, when there is no result after `limit_s` seconds.
    """
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(read())
        except BaseException as error:  # handed to the waiting thread
            result.set_exception(error)

    Thread(target=run, name="account source", daemon=True).start()
    try:
        return result.result(timeout=limit_s)
    except TimeoutError:
        if result.done():  # just now, or with a TimeoutError of its own
            return result.result()
        raise AccountSourceError(
            f"{where}: no whole answer within {limit_s:g} s; see whether the source hangs",
            retryable=True,
        ) from None
