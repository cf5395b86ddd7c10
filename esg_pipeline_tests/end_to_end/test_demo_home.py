"""The demo's invented reports and real ones never share a home."""

from esg_pipeline.sandbox import Sandbox
from esg_pipeline_tests.end_to_end.command_here import command_here, run_here
from esg_pipeline_tests.end_to_end.job import Job


def test_a_real_run_refuses_the_home_of_the_demo(job: Job, firm: Sandbox) -> None:
    (job.home / "sandbox").mkdir(parents=True)
    refused = run_here(job)
    assert refused.exit_code == 2
    assert refused.stderr == (
        f"DAGSTER_HOME: {job.home} holds the demo's invented reports; set another folder for real "
        "accounts, or delete this one\n"
    )
    assert firm.counts().total == 0


def test_the_demo_refuses_a_home_that_is_in_use(job: Job) -> None:
    assert command_here(job, "status").exit_code == 0
    before = {path.name for path in job.home.iterdir()}
    for words in (["demo"], ["demo", "--ui"], ["sandbox"]):
        refused = command_here(job, *words)
        assert refused.exit_code == 2
        assert refused.stderr.startswith(f"DAGSTER_HOME: {job.home} is in use")
        assert refused.stderr.count("\n") == 1
    assert {path.name for path in job.home.iterdir()} == before


def test_the_demo_does_not_take_the_home_that_a_real_installation_names(job: Job) -> None:
    """A `.env` in the folder is a real installation's; nothing of it is obeyed."""
    real = job.home.parent / "real"
    (job.work / ".env").write_text(f"DAGSTER_HOME={real}\nESG_STORE_URL=file:///nowhere\n")
    done = job("demo", "--accounts", "5", DAGSTER_HOME="")
    assert done.returncode in (0, 3), done.stderr
    assert f"DAGSTER_HOME is not set: using {job.work / '.demo_home'}" in done.stderr
    assert not real.exists()
    assert list((job.work / ".demo_home/store").glob("FirmESGRatings_*.csv.age"))
