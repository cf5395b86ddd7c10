"""A vendor's bad day is seen: in the checks, in the summary, and not taken for a new normal."""

import json

import dagster as dg
import pytest

from esg_pipeline.delivery import fetch, open_store, trusted_keys
from esg_pipeline.settings import Settings
from esg_pipeline_tests.end_to_end.job import DAY


def failed_checks(job, monkeypatch) -> set[str]:
    monkeypatch.setenv("DAGSTER_HOME", str(job.home))
    with dg.DagsterInstance.get() as instance:
        (newest,) = instance.get_runs(limit=1)
        events = instance.all_logs(
            newest.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
        )
        results = [each.dagster_event.event_specific_data for each in events]
    assert len(results) == len({each.check_name for each in results}) == 12
    return {each.check_name for each in results if not each.passed}


def summary_of(job) -> dict:
    settings = Settings(DAGSTER_HOME=job.home, _env_file=None)
    out = job.work / "summary"
    fetch(open_store(settings), DAY, out, trusted=trusted_keys(settings.keys_folder))
    page = (out / "FirmESGRatings_20260310_summary.html").read_text("utf-8")
    assert "<script" not in page
    return json.loads((out / "FirmESGRatings_20260310_summary.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("same_scores", "constant_score"),
        ("direction_flipped", "reversed_direction"),
        ("scale_of_ten", "changed_scale"),
    ],
)
def test_a_fault_of_all_scores_fails_its_check_and_is_in_the_summary(
    job, firm, monkeypatch, fault, check
):
    assert job.run(day=DAY.replace(day=9)).returncode == 0
    assert failed_checks(job, monkeypatch) == set()
    firm.set_faults(outage=fault)
    assert job.run().returncode == 0
    assert check in failed_checks(job, monkeypatch)
    findings = {each["name"]: each for each in summary_of(job)["drift"]["findings"]}
    assert findings[check]["passed"] is False


def test_an_ordinary_day_after_another_passes_every_check(job, monkeypatch):
    assert job.run(day=DAY.replace(day=9)).returncode == 0
    assert job.run().returncode == 0
    assert failed_checks(job, monkeypatch) == set()
    assert summary_of(job)["comparison"] is not None
