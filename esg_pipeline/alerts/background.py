"""Sends alerts while the run works, so that a page at 05:20 does not wait for its end.

It never delays the run: a thread of its own, and at the end one last round of a few seconds.
"""

import logging
import threading
from types import TracebackType
from typing import Self

from esg_pipeline import clock
from esg_pipeline.alerts.sender import send_due
from esg_pipeline.ledger import Ledger, LedgerUnavailable
from esg_pipeline.settings import Settings

INTERVAL_S = 5.0
ROUND_S = 2.5
"""How long a round waits for its channels; a slow one goes on alone."""
LAST_ROUND_S = 5.0
"""The same for the round at the end of the run: what the process ends with is sent again."""

log = logging.getLogger(__name__)


class OutboxSender:
    """Sends what is due every few seconds, in the background.

    with OutboxSender(ledger, settings):
        …   # the run
    """

    def __init__(
        self,
        ledger: Ledger,
        settings: Settings,
        *,
        dagster_url: str | None = None,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._ledger = ledger
        self._settings = settings
        self._dagster_url = dagster_url
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="alert sender", daemon=True)

    def _work(self) -> None:
        while not self._stop.wait(self._interval_s):
            self._send(ROUND_S)
        self._send(LAST_ROUND_S)

    def _send(self, wait_s: float) -> None:
        try:
            send_due(
                self._ledger,
                self._settings,
                clock.now_utc(),
                dagster_url=self._dagster_url,
                wait_s=wait_s,
            )
        except LedgerUnavailable as error:
            log.warning("Alerts wait: %s", error)
        except Exception:
            log.exception("A round of alerts failed; the next one tries again.")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(ROUND_S + LAST_ROUND_S)
        if self._thread.is_alive():
            log.warning("The last round of alerts did not end; the next sender takes them over.")
