"""Assets that a person materializes on Dagster's page: all together as the job, or not at all."""

import os
import subprocess
import sys

import dagster as dg
import pytest

from esg_pipeline.ledger import EditionState, Ledger
from esg_pipeline_tests.end_to_end.conftest import ACCOUNTS
from esg_pipeline_tests.end_to_end.job import DAY, Job, check_invariants

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",  # Dagster uses much that is deprecated, its own too
)

WITHOUT_THE_LIST = ["esg_scores", "firm_esg_report"]


def materialize(job: Job, *assets: str) -> str:
    """Materialize some assets of the day by Dagster's own command; what it says."""
    command = [sys.executable, "-m", "dagster", "asset", "materialize"]
    command += ["--select", ",".join(assets), "--partition", DAY.isoformat()]
    done = subprocess.run(
        [*command, "-m", "esg_pipeline.definitions"],
        env=job.environment(),
        cwd=job.work,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr


def editions(job: Job) -> list[tuple[int, EditionState]]:
    ledger = Ledger.open(f"sqlite:///{job.home / 'ledger.db'}")
    try:
        return [(each.number, each.state) for each in ledger.editions.of_day(DAY)]
    finally:
        ledger.close()


def test_all_assets_run_in_one_process_as_in_the_job():
    """In a process each they would take the date, and give it back, one after the other."""
    from esg_pipeline.definitions import defs  # noqa: PLC0415 - warns on import

    assert defs.resolve_implicit_global_asset_job_def().executor_def is dg.in_process_executor


def test_all_assets_together_deliver_the_day(job, firm):
    assert job("status").returncode == 0  # makes the Dagster home
    assert "RUN_SUCCESS" in materialize(job, "*")
    check_invariants(job.delivered(), ACCOUNTS, firm)


@pytest.mark.parametrize("asset", WITHOUT_THE_LIST)
def test_one_asset_alone_opens_no_edition_calls_nobody_and_says_what_to_do(job, firm, asset):
    assert job.run().returncode == 0
    firm.reset()
    said = materialize(job, asset)
    assert "no edition is open. Materialize all assets of the date together" in said
    assert editions(job) == [(1, EditionState.DELIVERED)]
    assert firm.counts().total == 0
    ledger = Ledger.open(f"sqlite:///{job.home / 'ledger.db'}")
    assert ledger.outbox.open_alerts() == []
    ledger.close()


def test_the_pages_can_be_made_again_alone(job, firm):
    assert job.run().returncode == 0
    said = materialize(job, "failed_accounts", "daily_summary", "esg_trend")
    assert "RUN_SUCCESS" in said
    assert editions(job) == [(1, EditionState.DELIVERED)]


def test_a_report_is_not_made_of_the_scores_of_an_earlier_edition(job, firm):
    assert job.run().returncode == 0
    before = {path: path.read_bytes() for path in job.store.glob("FirmESGRatings_2*")}
    running = job.start("run", "--date", DAY.isoformat(), ESG_API_RATE_LIMIT="20")
    firm.wait_for_calls(ACCOUNTS + 20)
    running.kill()
    running.communicate()
    said = materialize(job, "firm_esg_report")
    assert "esg_scores is not what edition 2 was rated with" in said
    assert {path: path.read_bytes() for path in before} == before
    assert job.run().returncode == 0
    assert editions(job) == [(1, EditionState.DELIVERED), (2, EditionState.DELIVERED)]


def test_a_report_that_failed_is_made_again_from_where_it_failed(job, firm):
    in_the_way = job.store / "FirmESGRatings_20260310.csv.age"
    in_the_way.mkdir(parents=True)
    assert job.run().returncode == 1
    in_the_way.rmdir()
    calls = firm.counts().total
    assert "RUN_SUCCESS" in materialize(job, "firm_esg_report", "daily_summary", "esg_trend")
    assert firm.counts().total == calls
    check_invariants(job.delivered(), ACCOUNTS, firm)
    assert os.path.exists(job.store / "FirmESGRatings_20260310_summary.html.age")
