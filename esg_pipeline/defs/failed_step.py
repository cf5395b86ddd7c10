"""How an ending looks in Dagster: a failed step that says its one line, and a tag of the run.

Nothing here decides that a run must end or who hears of it: the stages raise, the assets run inside
`ends_clearly`, and `daily_run.endings` says what an ending means.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import dagster as dg

from esg_pipeline.daily_run.endings import KNOWN
from esg_pipeline.daily_run.errors import OutOfMemory
from esg_pipeline.defs.this_run import RunResource
from esg_pipeline.safe_text import mask, without_secrets

OUTCOME_TAG = "esg/outcome"
"""Run tag with the class name of the known ending, for the command line and the sensors."""


@contextmanager
def ends_clearly(context: dg.AssetExecutionContext, this_run: RunResource) -> Iterator[None]:
    """Turn a known ending into a failed step that says its one line; no retry helps it.

    People hear of every bad ending, known or not, that has a condition.
    """
    try:
        yield
    except dg.DagsterExecutionInterruptedError:
        # A worker that is told to go (a drained pod) fails, and the daemon starts it again. A run
        # of the command line has no daemon behind it: a person stopped it.
        if context.run.remote_job_origin is None:
            context.instance.report_run_canceling(context.run)
        raise
    except dg.Failure:
        raise
    except KNOWN as ending:
        raise _failed_step(context, this_run, ending) from None
    except MemoryError:
        failed = _failed_step(context, this_run, OutOfMemory())
        this_run.ran_out_of_memory()
        raise failed from None
    except Exception as unexpected:
        this_run.alert(context.run, partition_date(context), unexpected)
        with without_secrets():  # Dagster keeps it, with all that is behind it
            raise


def _failed_step(
    context: dg.AssetExecutionContext, this_run: RunResource, ending: Exception
) -> dg.Failure:
    tag_outcome(context, ending)
    this_run.alert(context.run, partition_date(context), ending)
    return dg.Failure(mask(str(ending)), allow_retries=False)


def tag_outcome(context: dg.AssetExecutionContext, ending: Exception) -> None:
    """Note with the run how it ends."""
    context.instance.add_run_tags(context.run_id, {OUTCOME_TAG: type(ending).__name__})


def partition_date(context: dg.AssetExecutionContext) -> date:
    """The business date this run is for."""
    return date.fromisoformat(context.partition_key)
