"""The files of `deploy/` that watch the job, and what is named in them."""

import json
import re
from pathlib import Path

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
RULES = PROMETHEUS / "esg_pipeline.rules.yml"
RULE_TESTS = PROMETHEUS / "esg_pipeline.rules.test.yml"
DASHBOARD = json.loads((DEPLOY / "grafana" / "esg_pipeline.json").read_text("utf-8"))

HISTOGRAM = "esg_pipeline_call_duration_seconds"


def alert_rules():
    """The alert rules, in their order."""
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard_queries():
    """Title of the panel and PromQL, each."""
    queries = [
        (panel["title"], target["expr"])
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    ]
    annotations = DASHBOARD["annotations"]["list"]
    return queries + [(each["name"], each["expr"]) for each in annotations]


def metrics_in(promql):
    """Our metrics that an expression names, the parts of the histogram as its own name."""
    names = set(re.findall(r"\besg_pipeline_\w+", re.sub(r'"[^"]*"', "", promql)))
    return {re.sub(f"^{HISTOGRAM}_(bucket|sum|count)$", HISTOGRAM, name) for name in names}
