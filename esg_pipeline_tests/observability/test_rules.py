"""The alert rules, judged by Prometheus's own tools, with the timestamps the job really pushes."""

import re
import subprocess
from datetime import date, time, timedelta

import pytest
import yaml

from esg_pipeline import clock
from esg_pipeline.observability.metrics import METRICS, MetricsPusher
from esg_pipeline_tests.observability.deployed import (
    PROMETHEUS,
    RULE_TESTS,
    RULES,
    alert_rules,
    metrics_in,
)


def tool(*command):
    done = subprocess.run(command, cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.servers
@pytest.mark.needs("promtool")
def test_prometheus_accepts_the_rules_and_the_example_configuration():
    tool("promtool", "check", "rules", "--lint-fatal", RULES.name)
    tool("promtool", "check", "config", "--lint-fatal", "prometheus.example.yml")


@pytest.mark.servers
@pytest.mark.needs("amtool")
def test_alertmanager_accepts_the_example_configuration():
    tool("amtool", "check-config", "alertmanager.example.yml")


@pytest.mark.servers
@pytest.mark.needs("promtool")
def test_alerts_fire_when_they_should_and_not_else():
    """Normal, both DST days, missed, late, slow, killed, failed; see the file."""
    tool("promtool", "test", "rules", RULE_TESTS.name)


def test_each_alert_is_tested_firing_and_silent():
    tests = yaml.safe_load(RULE_TESTS.read_text("utf-8"))["tests"]
    judged = {
        (each["alertname"], bool(each["exp_alerts"]))
        for test in tests
        for each in test.get("alert_rule_test", [])
    }
    names = {rule["alert"] for rule in alert_rules()}
    assert judged == {(name, fires) for name in names for fires in (True, False)}


def test_each_rule_uses_metrics_that_exist_and_says_what_to_do():
    for rule in alert_rules():
        assert metrics_in(rule["expr"])
        assert metrics_in(rule["expr"]) <= set(METRICS)
        assert rule["labels"]["severity"] in {"page", "warning"}
        assert "`" in rule["annotations"]["description"], "no command for the reader"


def pushed(make_settings, day):
    pusher = MetricsPusher(make_settings(), day, deadline_at=clock.central_time(day, time(9, 0)))
    pusher.delivered(1, 1, {})
    return {sample.name: sample.value for family in pusher.collect() for sample in family.samples}


DATED = [
    test
    for test in yaml.safe_load(RULE_TESTS.read_text("utf-8"))["tests"]
    if re.match(r"\d{4}-", test["name"])
]


@pytest.mark.parametrize("test", DATED, ids=[test["name"] for test in DATED])
def test_the_rule_tests_use_the_timestamps_that_the_job_pushes(test, make_settings):
    """Each deadline in them is what the run of the date, or of the day before, pushes."""
    day = date.fromisoformat(test["name"][:10])
    midnight = clock.central_time(day, time(0)).timestamp()
    runs = [pushed(make_settings, day - timedelta(days=1)), pushed(make_settings, day)]
    compared = 0
    for series in test["input_series"]:
        name = series["series"].partition("{")[0]
        if name.endswith("deadline_timestamp_seconds"):
            values = [float(each) for each in re.findall(r"(-?\d+)x", series["values"])]
            real = [run[name] - midnight for run in runs]
            assert values in (real, real[:1], real[1:]), series
            compared += len(values)
    assert compared or "killed" in test["name"]


def test_a_day_that_is_not_24_hours_long_is_in_the_rule_tests():
    lengths = set()
    for test in DATED:
        day = date.fromisoformat(test["name"][:10])
        start, end = (clock.central_time(day + timedelta(days=d), time(0)) for d in (0, 1))
        lengths.add((end - start) / timedelta(hours=1))
    assert lengths == {23, 24, 25}
