"""The run's numbers, pushed to a Prometheus Pushgateway, so that rules and dashboards see the day.

A thread of its own pushes; a gateway that is slow or gone costs the job nothing. No label has
more than a handful of values: no account, no run id.

All of a day goes to one group, job="esg_pipeline", by POST, which replaces only the metrics that
are in it. So what is pushed only on delivery stays through the next run's start, and one query
joins all. The times by which things must have happened are pushed as timestamps, computed in
Central Time: PromQL has no time zones, and yesterday's push still tells when today's is due.
"""

import logging
import math
import platform
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from pydantic import SecretStr

from esg_pipeline import __version__, clock
from esg_pipeline.failure_share import failure_share
from esg_pipeline.observability.pushgateway import push
from esg_pipeline.ratings import ProcessingStatus, Reason
from esg_pipeline.scoring import Progress
from esg_pipeline.scoring.tally import ANSWERED, LATENCY_BOUNDS_S, Latency
from esg_pipeline.settings import Settings

log = logging.getLogger("esg_pipeline.observability")

JOB = "esg_pipeline"
OTHER_DATE_JOB = "esg_pipeline_other_date"
"""A run that makes up an earlier date must not look like today's."""
ALERTS_JOB = "esg_pipeline_alerts"

PUSH_EVERY_S = 15.0
LAST_PUSH_WAIT_S = 3.0

METRICS = {
    "esg_pipeline_build_info": "Version of the code; always 1.",
    "esg_pipeline_running": "1 while a run is on, else 0.",
    "esg_pipeline_last_run_failed": "1 when the last run ended badly, else 0.",
    "esg_pipeline_last_start_timestamp_seconds": "When the last run started.",
    "esg_pipeline_last_success_timestamp_seconds": "When a report was last delivered.",
    "esg_pipeline_next_start_deadline_timestamp_seconds": "When the next day's run must be on.",
    "esg_pipeline_run_deadline_timestamp_seconds": "When the last run must be over.",
    "esg_pipeline_delivery_deadline_timestamp_seconds": "When the report of the last run's date "
    "must be there.",
    "esg_pipeline_next_delivery_deadline_timestamp_seconds": "When the report after the last "
    "delivered one must be there.",
    "esg_pipeline_estimated_finish_timestamp_seconds": "When all calls will be made; NaN unknown.",
    "esg_pipeline_run_duration_seconds": "How long the run takes, or took.",
    "esg_pipeline_accounts": "Accounts by status; rated: successful or partial, not yet known.",
    "esg_pipeline_failure_share_ratio": "Failed accounts of all active ones.",
    "esg_pipeline_failure_threshold_ratio": "Share above which it is an alert.",
    "esg_pipeline_calls_total": "API calls of the run by outcome.",
    "esg_pipeline_call_duration_seconds": "How long API calls took.",
    "esg_pipeline_throttles_total": "API calls that were told to slow down.",
    "esg_pipeline_retries_waiting": "Accounts that wait for another attempt.",
    "esg_pipeline_pace_calls_per_second": "Calls a second that are allowed now.",
    "esg_pipeline_report_rows": "Rows of the last delivered report.",
    "esg_pipeline_report_size_bytes": "Size of the last delivered report, before encryption.",
    "esg_pipeline_alert_outbox_depth": "Alerts that are raised and not yet sent.",
}
"""Every metric and its help text; nothing else is pushed."""

OUTCOMES = (ANSWERED, *(each for each in Reason if each is not Reason.DEADLINE))


_NOT_BEGUN = Progress(
    total=0,
    answered=0,
    failed=0,
    calls=0,
    rate=0.0,
    throttled=0,
    pace=0.0,
    retries_waiting=0,
    paused=None,
    eta=None,
    outcomes={},
    latency=Latency(),
)


@dataclass(frozen=True, slots=True)
class _Delivery:
    at: datetime
    rows: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Facts:
    """All that changes while a run is on; replaced as a whole, so that no push sees half of it."""

    accounts: Mapping[str, int]
    progress: Progress = _NOT_BEGUN
    delivery: _Delivery | None = None
    duration_s: float | None = None
    """None while the run is on."""
    has_failed: bool = False


class MetricsPusher(Collector):
    """Pushes one run's metrics at its start, every 15 s, on delivery and at its end.

    To be made when the run holds its date, not before: a run that ends because another one works
    on the date must leave no trace here. Without `ESG_PUSHGATEWAY_URL` it does nothing.

    Args:
        settings: The gateway, the failure threshold and the report's deadline.
        day: The business date.
        deadline_at: When this run must be over.
    """

    def __init__(self, settings: Settings, day: date, *, deadline_at: datetime) -> None:
        self._settings = settings
        self._day = day
        self._deadline_at = deadline_at
        self._started_at = clock.now_utc()
        self._started = time.monotonic()
        self._facts = _Facts(accounts=_accounts())
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        if settings.pushgateway_url is not None:
            self._thread = threading.Thread(
                target=self._push_until_ended,
                args=(settings.pushgateway_url,),
                name="metrics",
                daemon=True,
            )
            self._thread.start()

    def observe(self, progress: Progress) -> None:
        """Note how far the scoring is; the next push tells."""
        accounts = _accounts(
            pending=progress.total - progress.answered,
            rated=progress.answered - progress.failed,
            failed=progress.failed,
        )
        # The engine goes on counting in its own thread; what is pushed is of one moment.
        latency = Latency(list(progress.latency.counts), progress.latency.sum_s)
        self._facts = replace(
            self._facts, accounts=accounts, progress=replace(progress, latency=latency)
        )

    def delivered(self, rows: int, size_bytes: int, counts: Mapping[ProcessingStatus, int]) -> None:
        """Note that the report is before its readers, and tell at once."""
        self._facts = replace(
            self._facts,
            accounts=_accounts(**{status.lower(): count for status, count in counts.items()}),
            delivery=_Delivery(clock.now_utc(), rows, size_bytes),
        )
        self._wake.set()

    def ended(self, ok: bool) -> None:
        """Note the end, good or bad, and wait for its push, a bounded time."""
        duration_s = time.monotonic() - self._started
        self._facts = replace(self._facts, duration_s=duration_s, has_failed=not ok)
        self._wake.set()
        if self._thread is not None:
            self._thread.join(LAST_PUSH_WAIT_S)

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now; each is there each time, as its old value would stay."""
        facts = self._facts
        yield from self._day_metrics(facts)
        yield from _scoring_metrics(facts, self._settings.failure_threshold)
        if facts.delivery is not None:
            next_deadline = clock.central_time(self._next_day, self._settings.report_deadline)
            yield _gauge("last_success_timestamp_seconds", facts.delivery.at)
            yield _gauge("next_delivery_deadline_timestamp_seconds", next_deadline)
            yield _gauge("report_rows", facts.delivery.rows)
            yield _gauge("report_size_bytes", facts.delivery.size_bytes)

    def _day_metrics(self, facts: _Facts) -> Iterator[Metric]:
        version = {"version": __version__, "python": platform.python_version()}
        build = GaugeMetricFamily(*_named("build_info"), labels=list(version))
        build.add_metric(list(version.values()), 1)
        yield build
        duration_s = facts.duration_s
        if duration_s is None:
            duration_s = time.monotonic() - self._started
        yield _gauge("running", facts.duration_s is None)
        yield _gauge("last_run_failed", facts.has_failed)
        yield _gauge("run_duration_seconds", duration_s)
        yield _gauge("last_start_timestamp_seconds", self._started_at)
        yield _gauge("run_deadline_timestamp_seconds", self._deadline_at)
        next_start = clock.central_time(self._next_day, clock.START_WATCH)
        yield _gauge("next_start_deadline_timestamp_seconds", next_start)
        delivery = clock.central_time(self._day, self._settings.report_deadline)
        yield _gauge("delivery_deadline_timestamp_seconds", delivery)

    @property
    def _next_day(self) -> date:
        return self._day + timedelta(days=1)

    def _job(self) -> str:
        """Today's group until the next day's run is due; what runs then is about a past date."""
        is_past = clock.now_utc() >= clock.central_time(self._next_day, clock.SCHEDULED_START)
        return OTHER_DATE_JOB if is_past else JOB

    def _push_until_ended(self, gateway: SecretStr) -> None:
        works = True
        is_last = False
        while not is_last:
            self._wake.clear()
            is_last = self._facts.duration_s is not None
            try:
                push(gateway, self._job(), self._registry)
            except Exception as error:  # whatever it is, the next push may work
                if works:
                    log.warning(
                        "metrics: ESG_PUSHGATEWAY_URL takes no push (%s); the job goes on",
                        type(error).__name__,
                    )
                works = False
            else:
                if not works:
                    log.info("metrics: ESG_PUSHGATEWAY_URL works again")
                works = True
            if not is_last:
                self._wake.wait(PUSH_EVERY_S)


def push_outbox_depth(settings: Settings, depth: int) -> bool:
    """Push how many alerts wait to be sent; for whoever sends them, each time it has tried.

    Has a group of its own, so that it is no sign of life of a run. Waits some seconds at most.

    Returns:
        Whether the gateway, if there is one, took it.
    """
    if settings.pushgateway_url is None:
        return True
    registry = CollectorRegistry()
    registry.register(_Only(_gauge("alert_outbox_depth", depth)))
    try:
        push(settings.pushgateway_url, ALERTS_JOB, registry)
    except OSError:
        return False
    return True


class _Only(Collector):
    """A collector of one metric."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterator[Metric]:
        yield self._metric


def _accounts(**counts: int) -> dict[str, int]:
    statuses = ("pending", "rated", *(status.lower() for status in ProcessingStatus))
    return {status: counts.get(status, 0) for status in statuses}


def _scoring_metrics(facts: _Facts, threshold: float) -> Iterator[Metric]:
    accounts = GaugeMetricFamily(*_named("accounts"), labels=["status"])
    for status, count in facts.accounts.items():
        accounts.add_metric([status], count)
    yield accounts
    total = sum(facts.accounts.values())
    yield _gauge("failure_share_ratio", failure_share(facts.accounts["failed"], total))
    yield _gauge("failure_threshold_ratio", threshold)
    progress = facts.progress
    by_outcome = CounterMetricFamily(*_named("calls_total"), labels=["outcome"])
    for outcome, count in {**dict.fromkeys(OUTCOMES, 0), **progress.outcomes}.items():
        by_outcome.add_metric([str(outcome)], count)
    yield by_outcome
    yield CounterMetricFamily(*_named("throttles_total"), value=progress.throttled)
    bounds = [*map(str, LATENCY_BOUNDS_S), "+Inf"]
    buckets = list(zip(bounds, accumulate(progress.latency.counts), strict=True))
    yield HistogramMetricFamily(
        *_named("call_duration_seconds"), buckets=buckets, sum_value=progress.latency.sum_s
    )
    yield _gauge("pace_calls_per_second", progress.pace)
    yield _gauge("retries_waiting", progress.retries_waiting)
    yield _gauge("estimated_finish_timestamp_seconds", progress.eta or math.nan)


def _named(name: str) -> tuple[str, str]:
    full = f"esg_pipeline_{name}"
    return full, METRICS[full]


def _gauge(name: str, value: float | datetime) -> Metric:
    number = value.timestamp() if isinstance(value, datetime) else float(value)
    return GaugeMetricFamily(*_named(name), value=number)
