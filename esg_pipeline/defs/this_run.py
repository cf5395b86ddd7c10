"""What one run has for itself: its claim on the date, its log, its alerts and its metrics.

It joins the resources with `daily_run` and keeps what lives as long as the run's process.
"""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from datetime import date

import dagster as dg
from pydantic import PrivateAttr

from esg_pipeline.alerts import OutboxSender
from esg_pipeline.daily_run import Claim, Delivered, RunOrder, claim_day, note_out_of_memory
from esg_pipeline.daily_run.when_to_alert import alert_ending, alert_started
from esg_pipeline.defs.resources import LedgerResource, SettingsResource
from esg_pipeline.delivery import Store
from esg_pipeline.ledger import Ledger
from esg_pipeline.observability.logs import log_to
from esg_pipeline.observability.metrics import MetricsPusher
from esg_pipeline.scoring import Progress
from esg_pipeline.settings import SettingsError

log = logging.getLogger(__name__)

SCHEDULED_TAG = "esg/scheduled"
"""Run tag of the 05:00 schedule's runs and of their automatic retries."""


def is_by_hand(run: dg.DagsterRun) -> bool:
    """Whether a person started the run again, on Dagster's page.

    Such a run has the tags of the first one, but no retry number.
    """
    return run.parent_run_id is not None and "dagster/retry_number" not in run.tags


def is_scheduled(run: dg.DagsterRun) -> bool:
    """Whether the schedule stands behind the run, so that the deadline binds it."""
    return run.tags.get(SCHEDULED_TAG) == "true" and not is_by_hand(run)


class RunResource(dg.ConfigurableResource[None]):
    """This run: its claim on the date in the ledger, its alerts, its log and its metrics.

    The date is claimed by the first asset of a run. Everything is given back when the run's process
    ends, whatever way it ends; a killed process is found by its missing heartbeat.
    """

    settings: dg.ResourceDependency[SettingsResource]
    ledger: dg.ResourceDependency[LedgerResource]

    _ledger: Ledger | None = PrivateAttr(default=None)
    _claim: Claim | None = PrivateAttr(default=None)
    _metrics: MetricsPusher | None = PrivateAttr(default=None)
    _is_delivered: bool = PrivateAttr(default=False)
    _to_close: ExitStack = PrivateAttr(default_factory=ExitStack)

    def claim(
        self,
        run: dg.DagsterRun,
        day: date,
        order: RunOrder | None = None,
        open_store: Callable[[], Store] | None = None,
    ) -> Claim:
        """Claim the date for this run, or give the claim it has; see `daily_run.claim_day`."""
        if self._claim is None:
            settings = self.settings.load()
            self._claim = claim_day(
                self.begin(run, day),
                day,
                order,
                run_id=run.run_id,
                root_run_id=run.run_id if is_by_hand(run) else run.root_run_id or run.run_id,
                scheduled=is_scheduled(run),
                settings=settings,
                open_store=open_store,
            )
            self._to_close.callback(self._claim.lease.release)
            alert_started(self._claim)
            deadline_at = self._claim.window.deadline_at
            self._metrics = MetricsPusher(settings, day, deadline_at=deadline_at)
        return self._claim

    def alert(self, run: dg.DagsterRun, day: date, ending: Exception) -> None:
        """Note that the run ends badly, and let people hear it if somebody needs to."""
        log.error("%s: %s", type(ending).__name__, ending)
        try:
            settings = self.settings.load()
        except SettingsError:
            return  # nothing can be sent without settings; the watchdog has its own
        alert_ending(self._ledger, settings, day, ending, run_id=run.run_id)

    def ran_out_of_memory(self) -> None:
        """Let the next run of the edition be content with less; see `daily_run.score_edition`."""
        if self._claim is not None:
            note_out_of_memory(self._claim)

    def observe(self, progress: Progress) -> None:
        """Let the metrics know how far the scoring is."""
        if self._metrics is not None:
            self._metrics.observe(progress)

    def delivered(self, delivered: Delivered) -> None:
        """Let the metrics know what was delivered."""
        self._is_delivered = True
        if self._metrics is not None:
            report = delivered.manifest["files"][0]
            rows = delivered.manifest["rows"]
            self._metrics.delivered(rows, report["size_bytes"], delivered.counts)

    def begin(self, run: dg.DagsterRun, day: date) -> Ledger:
        """Give the ledger, and begin the run's log and the sending of its alerts."""
        if self._ledger is None:
            settings = self.settings.load()
            self._to_close.enter_context(log_to(settings, run_id=run.run_id, day=day))
            self._ledger = self.ledger.open()
            self._to_close.callback(self._ledger.close)
            self._to_close.enter_context(
                OutboxSender(self._ledger, settings, dagster_url=settings.dagster_url)
            )
        return self._ledger

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Send what is still due, give the date back, close ledger and log."""
        if self._metrics is not None:
            self._metrics.ended(self._is_delivered)
        self._to_close.close()
        self._ledger = self._claim = self._metrics = None
