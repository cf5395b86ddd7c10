"""The Grafana dashboard shows metrics that exist; that its queries run is proved end to end."""

from itertools import combinations

from esg_pipeline.observability.metrics import METRICS
from esg_pipeline_tests.observability.deployed import DASHBOARD, dashboard_queries, metrics_in

NOT_SHOWN = {
    "esg_pipeline_delivery_deadline_timestamp_seconds",  # for the rule about the first report
    "esg_pipeline_failure_threshold_ratio",
}


def test_it_shows_every_metric_and_none_that_does_not_exist():
    shown = set().union(*(metrics_in(promql) for _, promql in dashboard_queries()))
    assert shown == set(METRICS) - NOT_SHOWN


def test_it_can_be_imported_anywhere():
    """No id of another Grafana; the data source is chosen at the top."""
    assert "id" not in DASHBOARD
    variables = {each["name"]: each["type"] for each in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource": "datasource"}
    for panel in DASHBOARD["panels"]:
        used = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(each == {"type": "prometheus", "uid": "${datasource}"} for each in used)
        assert panel["title"]
        assert panel["description"]


def test_no_panel_hides_another():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for first, second in combinations((panel["gridPos"] for panel in panels), 2):
        assert (
            first["x"] + first["w"] <= second["x"]
            or second["x"] + second["w"] <= first["x"]
            or first["y"] + first["h"] <= second["y"]
            or second["y"] + second["h"] <= first["y"]
        )
    assert all(each["gridPos"]["x"] + each["gridPos"]["w"] <= 24 for each in panels)
