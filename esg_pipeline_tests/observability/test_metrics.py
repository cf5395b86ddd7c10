"""What a run pushes to a real Pushgateway, and that a gateway's troubles are not the job's."""

import base64
import platform
import socket
import threading
import time
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import time_machine

from esg_pipeline import __version__, clock
from esg_pipeline.observability import metrics
from esg_pipeline.observability.metrics import (
    METRICS,
    OUTCOMES,
    MetricsPusher,
    push_outbox_depth,
)
from esg_pipeline.ratings import ProcessingStatus
from esg_pipeline.scoring import Progress
from esg_pipeline.scoring.tally import LATENCY_BOUNDS_S, Latency
from esg_pipeline_tests.observability.prometheus_servers import free_port, run_pushgateway

TODAY = clock.business_date(datetime.now(UTC))
DEADLINE = datetime.now(UTC) + timedelta(hours=4)
COUNTS = {
    ProcessingStatus.SUCCESSFUL: 900,
    ProcessingStatus.PARTIAL: 60,
    ProcessingStatus.FAILED: 40,
}


def progress(**given):
    """The engine's progress, with what matters to a test."""
    nothing = dict.fromkeys(("answered", "failed", "calls", "throttled", "retries_waiting"), 0)
    return Progress(
        **(
            {"total": 1000, "rate": 0.0, "pace": 50.0, "paused": None, "eta": None}
            | {"outcomes": {}, "latency": Latency()}
            | nothing
            | given
        )
    )


@pytest.fixture(scope="module")
def shared_gateway(servers, tmp_path_factory):
    with run_pushgateway(tmp_path_factory.mktemp("pushgateway")) as running:
        yield running


@pytest.fixture
def gateway(shared_gateway):
    """A Pushgateway that holds nothing yet."""
    shared_gateway.forget()
    return shared_gateway


@pytest.fixture(autouse=True)
def _no_pusher_outlives_its_test():
    """One that still waits for its gateway would speak in the next test's log."""
    yield
    for thread in threading.enumerate():
        if thread.name == "metrics":
            thread.join(10)


@pytest.fixture
def settings(make_settings, gateway):
    return make_settings(pushgateway_url=gateway.url)


def values_of(pusher):
    """What the pusher would push now: name (and label) to value."""
    return {
        (sample.name.removeprefix("esg_pipeline_"), *sample.labels.values()): sample.value
        for family in pusher.collect()
        for sample in family.samples
    }


def pusher_of(make_settings, day=TODAY, *, deadline_at=DEADLINE, **given):
    return MetricsPusher(make_settings(**given), day, deadline_at=deadline_at)


def group_of_today(gateway):
    """All samples of today's group, as text, since NaN is not equal to itself."""
    samples = gateway.samples().items()
    return {key: str(value) for key, value in samples if ("job", "esg_pipeline") in key[1]}


def eventually(read, expected):
    give_up_at = time.monotonic() + 10
    while (value := read()) != expected:
        assert time.monotonic() < give_up_at, f"{value} is not {expected}"
        time.sleep(0.02)


def test_no_label_can_hold_a_text_from_outside(make_settings):
    pusher = pusher_of(make_settings)
    pusher.observe(progress(outcomes={"answered": 5, "timeout": 1}))
    labels = {label for _, *labels in values_of(pusher) for label in labels}
    bounds = {"+Inf", *map(str, LATENCY_BOUNDS_S)}
    versions = {__version__, platform.python_version()}
    words = {*OUTCOMES, "pending", "rated", *(status.lower() for status in ProcessingStatus)}
    assert labels == words | bounds | versions


@pytest.mark.needs("prometheus-pushgateway")
def test_a_run_is_seen_from_its_start_to_its_end(gateway, settings):
    before = time.time()
    pusher = MetricsPusher(settings, TODAY, deadline_at=DEADLINE)
    eventually(lambda: gateway.value("esg_pipeline_running"), 1)
    assert before <= gateway.value("esg_pipeline_last_start_timestamp_seconds") <= time.time()
    assert gateway.value("esg_pipeline_last_success_timestamp_seconds") is None
    pusher.delivered(1000, 120_000, COUNTS)
    eventually(lambda: gateway.value("esg_pipeline_report_rows"), 1000)
    assert gateway.value("esg_pipeline_running") == 1
    pusher.ended(ok=True)
    assert gateway.value("esg_pipeline_running") == 0
    assert gateway.value("esg_pipeline_last_run_failed") == 0
    assert gateway.value("esg_pipeline_accounts", status="successful") == 900
    assert gateway.value("esg_pipeline_failure_share_ratio") == 0.04
    assert gateway.value("esg_pipeline_report_size_bytes") == 120_000


@pytest.mark.needs("prometheus-pushgateway")
def test_the_last_success_survives_the_next_run_and_its_failure(gateway, settings):
    first = MetricsPusher(settings, TODAY, deadline_at=DEADLINE)
    first.delivered(1000, 120_000, COUNTS)
    first.ended(ok=True)
    success = gateway.value("esg_pipeline_last_success_timestamp_seconds")
    due = gateway.value("esg_pipeline_next_delivery_deadline_timestamp_seconds")
    second = MetricsPusher(settings, TODAY, deadline_at=DEADLINE)
    second.observe(progress(answered=10, failed=10))
    second.ended(ok=False)
    assert gateway.value("esg_pipeline_last_run_failed") == 1
    assert gateway.value("esg_pipeline_accounts", status="successful") == 0
    assert gateway.value("esg_pipeline_accounts", status="pending") == 990
    assert gateway.value("esg_pipeline_last_success_timestamp_seconds") == success
    assert gateway.value("esg_pipeline_next_delivery_deadline_timestamp_seconds") == due
    assert gateway.value("esg_pipeline_report_rows") == 1000


@pytest.mark.needs("prometheus-pushgateway")
def test_a_run_for_a_past_date_leaves_today_alone(gateway, settings):
    today = MetricsPusher(settings, TODAY, deadline_at=DEADLINE)
    today.ended(ok=False)
    before = group_of_today(gateway)
    past = MetricsPusher(settings, TODAY - timedelta(days=3), deadline_at=DEADLINE)
    past.delivered(5, 500, {ProcessingStatus.SUCCESSFUL: 5})
    past.ended(ok=True)
    assert gateway.value("esg_pipeline_report_rows", job="esg_pipeline_other_date") == 5
    assert group_of_today(gateway) == before


@pytest.mark.needs("prometheus-pushgateway")
def test_the_outbox_is_no_sign_of_life_of_a_run(gateway, settings):
    MetricsPusher(settings, TODAY, deadline_at=DEADLINE).ended(ok=True)
    pushed_at = gateway.value("push_time_seconds")
    assert push_outbox_depth(settings, 3)
    assert gateway.value("esg_pipeline_alert_outbox_depth", job="esg_pipeline_alerts") == 3
    assert push_outbox_depth(settings, 0)
    assert gateway.value("esg_pipeline_alert_outbox_depth", job="esg_pipeline_alerts") == 0
    assert gateway.value("push_time_seconds") == pushed_at


@pytest.mark.parametrize(
    ("day", "expected"),
    [  # UTC: the next 05:15, this day's 09:00, the next 09:00
        ("2026-03-07", ("2026-03-08T10:15", "2026-03-07T15:00", "2026-03-08T14:00")),
        ("2026-03-08", ("2026-03-09T10:15", "2026-03-08T14:00", "2026-03-09T14:00")),
        ("2026-10-31", ("2026-11-01T11:15", "2026-10-31T14:00", "2026-11-01T15:00")),
        ("2026-11-01", ("2026-11-02T11:15", "2026-11-01T15:00", "2026-11-02T15:00")),
        ("2026-12-31", ("2027-01-01T11:15", "2026-12-31T15:00", "2027-01-01T15:00")),
    ],
)
def test_deadlines_are_central_time_on_every_date(day, expected, make_settings):
    pusher = pusher_of(make_settings, date.fromisoformat(day))
    pusher.delivered(1, 1, {})
    values = values_of(pusher)
    names = ("next_start_deadline", "delivery_deadline", "next_delivery_deadline")
    assert [values[f"{name}_timestamp_seconds",] for name in names] == [
        datetime.fromisoformat(f"{each}+00:00").timestamp() for each in expected
    ]


@pytest.mark.needs("prometheus-pushgateway")
@pytest.mark.parametrize(
    ("now", "job"),
    [
        ("2026-11-24T11:00:00Z", "esg_pipeline"),  # 05:00 Central, the schedule
        ("2026-11-24T08:00:00Z", "esg_pipeline"),  # 02:00, by hand
        ("2026-11-25T10:59:00Z", "esg_pipeline"),  # 04:59 the next day, made up in time
        ("2026-11-25T11:00:00Z", "esg_pipeline_other_date"),
    ],
)
def test_a_date_is_todays_until_the_next_ones_run_is_due(now, job, gateway, settings):
    with time_machine.travel(now):
        MetricsPusher(settings, date(2026, 11, 24), deadline_at=DEADLINE).ended(ok=True)
    assert {dict(labels)["job"] for _, labels in gateway.samples()} == {job}


def test_progress_becomes_numbers(make_settings):
    pusher = pusher_of(make_settings)
    latency = Latency()
    for seconds in (0.005, 0.02, 0.02, 70):
        latency.add(seconds)
    eta = datetime(2026, 11, 24, 12, tzinfo=UTC)
    pusher.observe(
        progress(
            answered=310, failed=10, throttled=2, pace=48.5, retries_waiting=7, eta=eta,
            outcomes={"answered": 300, "timeout": 4, "rate_limited": 2}, latency=latency,
        )
    )  # fmt: skip
    latency.add(1)  # the engine goes on counting; what is pushed is of one moment
    values = values_of(pusher)
    expected = {
        ("accounts", "pending"): 690,
        ("accounts", "rated"): 300,
        ("accounts", "failed"): 10,
        ("failure_share_ratio",): 0.01,
        ("calls_total", "answered"): 300,
        ("calls_total", "timeout"): 4,
        ("calls_total", "connection"): 0,
        ("throttles_total",): 2,
        ("retries_waiting",): 7,
        ("pace_calls_per_second",): 48.5,
        ("estimated_finish_timestamp_seconds",): eta.timestamp(),
        ("call_duration_seconds_bucket", "0.01"): 1,
        ("call_duration_seconds_bucket", "0.025"): 3,
        ("call_duration_seconds_bucket", "60.0"): 3,
        ("call_duration_seconds_bucket", "+Inf"): 4,
        ("call_duration_seconds_count",): 4,
        ("call_duration_seconds_sum",): pytest.approx(70.045),
        ("run_deadline_timestamp_seconds",): DEADLINE.timestamp(),
    }
    assert {key: values[key] for key in expected} == expected


@pytest.mark.parametrize(("failed", "alerts"), [(499, False), (500, False), (501, True)])
def test_the_failure_share_is_exact_at_the_threshold(failed, alerts, make_settings):
    pusher = pusher_of(make_settings)
    pusher.observe(progress(total=10_000, answered=10_000, failed=failed))
    values = values_of(pusher)
    assert (values["failure_share_ratio",] > values["failure_threshold_ratio",]) is alerts


def test_exactly_the_documented_metrics_are_pushed_each_time(make_settings):
    pusher = pusher_of(make_settings)
    only_on_delivery = {
        "esg_pipeline_last_success_timestamp_seconds",
        "esg_pipeline_next_delivery_deadline_timestamp_seconds",
        "esg_pipeline_report_rows",
        "esg_pipeline_report_size_bytes",
    }

    def pushed():
        families = list(pusher.collect())
        assert all(family.samples for family in families)
        return {f"{each.name}_total" if each.type == "counter" else each.name for each in families}

    always = set(METRICS) - only_on_delivery - {"esg_pipeline_alert_outbox_depth"}
    assert pushed() == always
    pusher.delivered(1, 1, COUNTS)
    assert pushed() == always | only_on_delivery


def test_a_million_accounts_make_no_more_series_than_ten(make_settings):
    pusher = pusher_of(make_settings)
    pusher.observe(progress(total=1_000_000, answered=900_000, failed=40_000))
    assert sum(len(family.samples) for family in pusher.collect()) < 70


def test_without_a_gateway_there_is_no_thread(make_settings):
    pusher = pusher_of(make_settings)
    pusher.ended(ok=True)
    assert "metrics" not in {thread.name for thread in threading.enumerate()}
    assert push_outbox_depth(make_settings(), 3)


@pytest.mark.servers
def test_a_gateway_that_hangs_delays_nothing(make_settings, monkeypatch):
    """Nothing here comes back before the test's end if it waits for the gateway."""
    monkeypatch.setattr("esg_pipeline.observability.pushgateway.TIMEOUT_S", 3600.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        pusher = pusher_of(make_settings, pushgateway_url=url)
        pusher.observe(progress())
        pusher.delivered(1, 1, COUNTS)
        pusher.ended(ok=True)
        assert "metrics" in {thread.name for thread in threading.enumerate()}


@pytest.mark.servers
@pytest.mark.needs("prometheus-pushgateway")
def test_a_gateway_that_comes_back_gets_the_numbers(make_settings, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(metrics, "PUSH_EVERY_S", 0.05)
    caplog.set_level("INFO", "esg_pipeline.observability")
    port = free_port()
    pusher = pusher_of(make_settings, pushgateway_url=f"http://127.0.0.1:{port}")
    eventually(lambda: len(caplog.messages), 1)
    with run_pushgateway(tmp_path, port) as gateway:
        eventually(lambda: gateway.value("esg_pipeline_running"), 1)
        pusher.ended(ok=True)
    assert caplog.messages == [
        "metrics: ESG_PUSHGATEWAY_URL takes no push (ConnectionError); the job goes on",
        "metrics: ESG_PUSHGATEWAY_URL works again",
    ]


class Elsewhere(BaseHTTPRequestHandler):
    """A gateway behind a login that has moved."""

    seen: list[tuple[str, str | None]] = []  # noqa: RUF012 - one per test, set there

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, self.headers["Authorization"]))
        self.send_response(307)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.mark.servers
def test_a_password_goes_to_the_gateway_only_and_never_into_the_log(make_settings, caplog):
    Elsewhere.seen = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"http://push:p%40ss@127.0.0.1:{server.server_port}/prefix/"
        MetricsPusher(make_settings(pushgateway_url=url), TODAY, deadline_at=DEADLINE).ended(
            ok=True
        )
        server.shutdown()
    expected = f"Basic {base64.b64encode(b'push:p@ss').decode()}"
    assert set(Elsewhere.seen) == {("/prefix/metrics/job/esg_pipeline", expected)}
    assert caplog.messages == [
        "metrics: ESG_PUSHGATEWAY_URL takes no push (HTTPError); the job goes on"
    ]
