"""The command line in the test's own process: the same command, without the start of Python."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from click.testing import CliRunner, Result

from esg_pipeline.cli import main
from esg_pipeline_tests.end_to_end.job import DAY, Job


def command_here(job: Job, *words: str, **changes: str) -> Result:
    """Give the command; its settings come from the job and the changes only."""
    ours = {"DAGSTER_HOME": str(job.home), "ESG_LOG_STDOUT": "false", **job.env, **changes}
    with _in_folder(job):
        others = {name: None for name in os.environ if name.startswith("ESG_")}
        return CliRunner().invoke(main, words, env={**others, **ours})


def run_here(job: Job, *words: str, **changes: str) -> Result:
    """`esg-pipeline run` of the day."""
    return command_here(job, "run", "--date", DAY.isoformat(), *words, **changes)


@contextmanager
def _in_folder(job: Job) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(job.work)
    try:
        yield
    finally:
        os.chdir(before)
