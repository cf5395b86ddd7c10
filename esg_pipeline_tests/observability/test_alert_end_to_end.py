"""From the job's push to the person: Pushgateway, Prometheus with our rules, Alertmanager, webhook.

The shipped files are used as they are, but for addresses and for waiting times made short.
"""

import json
import queue
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
import time_machine
import yaml

from esg_pipeline import clock
from esg_pipeline.observability.metrics import MetricsPusher, push_outbox_depth
from esg_pipeline.ratings import ProcessingStatus
from esg_pipeline_tests.observability.deployed import PROMETHEUS, RULES, dashboard_queries
from esg_pipeline_tests.observability.prometheus_servers import (
    run_alertmanager,
    run_prometheus,
    run_pushgateway,
)
from esg_pipeline_tests.observability.test_metrics import eventually, progress

EMPTY_IS_FINE = {"Alerts", "Deliveries", "Calls a second by outcome"}
"""Panels whose query selects what is worth showing, which may be nothing."""


class Webhook(ThreadingHTTPServer):
    """Receives what Alertmanager sends to people.

    Attributes:
        heard: (alert name, "firing" or "resolved"), one for each alert of each notification.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Listener)
        self.heard: queue.Queue[tuple[str, str]] = queue.Queue()

    def next(self, count):
        """The next so many alerts, in any order."""
        return sorted(self.heard.get(timeout=30) for _ in range(count))


class _Listener(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for alert in body["alerts"]:
            self.server.heard.put((alert["labels"]["alertname"], alert["status"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def webhook():
    with Webhook() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def gateway(servers, tmp_path):
    with run_pushgateway(tmp_path) as running:
        yield running


@pytest.fixture
def alertmanager(tmp_path, webhook):
    """The shipped routes; all receivers are the webhook."""
    config = yaml.safe_load((PROMETHEUS / "alertmanager.example.yml").read_text("utf-8"))
    config["global"] = {}
    config["route"] |= {"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"}
    url = f"http://127.0.0.1:{webhook.server_port}/"
    config["receivers"] = [
        {"name": each["name"], "webhook_configs": [{"url": url, "send_resolved": True}]}
        for each in config["receivers"]
    ]
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump(config))
    with run_alertmanager(tmp_path, file) as address:
        yield address


@pytest.fixture
def prometheus(tmp_path, gateway, alertmanager):
    """The shipped configuration and rules, looking every second; one second for a minute."""
    rules = RULES.read_text("utf-8")
    (tmp_path / "esg_pipeline.rules.yml").write_text(rules.replace("for: 1m", "for: 1s"))
    config = (PROMETHEUS / "prometheus.example.yml").read_text("utf-8")
    for shipped, here in (
        ("15s", "1s"),
        ("localhost:9093", alertmanager),
        ("localhost:9091", gateway.url.removeprefix("http://")),
    ):
        assert shipped in config
        config = config.replace(shipped, here)
    file = tmp_path / "prometheus.yml"
    file.write_text(config)
    with run_prometheus(tmp_path, file) as url:
        yield url


def query(prometheus, promql):
    answer = requests.get(f"{prometheus}/api/v1/query", {"query": promql}, timeout=10).json()
    assert answer["status"] == "success", answer
    return answer["data"]["result"]


@pytest.mark.needs("prometheus", "prometheus-pushgateway", "prometheus-alertmanager")
def test_a_missed_day_reaches_a_person_once_and_is_over_with_the_next_delivery(
    gateway, webhook, prometheus, make_settings
):
    settings = make_settings(pushgateway_url=gateway.url)
    now = datetime.now(UTC)
    today = clock.business_date(now)
    counts = {ProcessingStatus.SUCCESSFUL: 900, ProcessingStatus.FAILED: 40}

    with time_machine.travel(now - timedelta(days=2)):
        two_days_ago = MetricsPusher(settings, today - timedelta(days=2), deadline_at=now)
        two_days_ago.delivered(940, 90_000, counts)
        two_days_ago.ended(ok=True)
    assert webhook.next(2) == [
        ("EsgPipelineNotDelivered", "firing"),
        ("EsgPipelineNotStarted", "firing"),
    ]

    run = MetricsPusher(settings, today, deadline_at=now + timedelta(hours=4))
    assert webhook.next(1) == [("EsgPipelineNotStarted", "resolved")]

    run.observe(progress(total=940, answered=500, failed=48, eta=now + timedelta(hours=1)))
    run.delivered(940, 90_000, {ProcessingStatus.SUCCESSFUL: 892, ProcessingStatus.FAILED: 48})
    assert webhook.next(2) == [
        ("EsgPipelineFailureShare", "firing"),
        ("EsgPipelineNotDelivered", "resolved"),
    ]

    push_outbox_depth(settings, 0)
    eventually(lambda: len(query(prometheus, "esg_pipeline_alert_outbox_depth")), 1)
    for title, promql in dashboard_queries():
        result = query(prometheus, promql.replace("$__rate_interval", "1m"))
        assert result or title in EMPTY_IS_FINE, (title, promql)
    run.ended(ok=True)

    again = MetricsPusher(settings, today, deadline_at=now + timedelta(hours=4))
    again.delivered(940, 90_000, counts)
    again.ended(ok=True)
    assert webhook.next(1) == [("EsgPipelineFailureShare", "resolved")]
    assert webhook.heard.empty()
