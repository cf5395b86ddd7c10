"""How a run ends: known endings as one clear line, and whether people must hear of them.

Nothing here decides that a run must end; the stages raise, and the assets run inside
`ends_clearly`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import dagster as dg

from esg_pipeline.accounts import AccountSourceError
from esg_pipeline.clock import WindowHasPassed
from esg_pipeline.daily_run import (
    AccountListHeld,
    AlreadyDelivered,
    DeadlineExceeded,
    NotBegun,
    NothingToAskAgain,
)
from esg_pipeline.defs.resources import LedgerResource
from esg_pipeline.delivery import DeliveryError
from esg_pipeline.ledger import LeaseHeld, LeaseLost, LedgerUnavailable
from esg_pipeline.report import ReportInvalid
from esg_pipeline.safe_text import mask, without_secrets
from esg_pipeline.scoring import ApiUnauthorized, ApiUntrusted
from esg_pipeline.settings import SettingsError

OUTCOME_TAG = "esg/outcome"
"""Run tag with the class name of the known ending, for the command line and the sensors."""


class OutOfMemory(Exception):
    """The run was refused memory; one that the kernel kills for it ends as any killed run."""


KNOWN_ENDINGS = (
    AccountListHeld,
    AccountSourceError,
    AlreadyDelivered,
    ApiUnauthorized,
    ApiUntrusted,
    DeadlineExceeded,
    DeliveryError,
    LeaseHeld,
    LeaseLost,
    LedgerUnavailable,
    NotBegun,
    NothingToAskAgain,
    ReportInvalid,
    SettingsError,
    WindowHasPassed,
)
NOBODY_NEEDS_TO_HEAR = (AlreadyDelivered, LeaseHeld, LeaseLost, NotBegun, NothingToAskAgain)
"""Another run works or has delivered, and the person who asked sees it."""


@contextmanager
def ends_clearly(context: dg.AssetExecutionContext, ledger: LedgerResource) -> Iterator[None]:
    """Turn a known ending into a failed step that says its one line; no retry helps it.

    People hear of every bad ending, known or not, except those that a person or another run
    brought about.
    """
    try:
        yield
    except dg.DagsterExecutionInterruptedError:
        # A worker that is told to go (a drained pod) fails, and the daemon starts it again. A run
        # of the command line has no daemon behind it: a person stopped it.
        if context.run.remote_job_origin is None:
            context.instance.report_run_canceling(context.run)
        raise
    except KNOWN_ENDINGS as ending:
        name = type(ending).__name__
        context.instance.add_run_tags(context.run_id, {OUTCOME_TAG: name})
        if not isinstance(ending, NOBODY_NEEDS_TO_HEAR):
            ledger.alert(context.run, partition_date(context), ending)
        raise dg.Failure(mask(str(ending)), allow_retries=False) from None
    except dg.Failure:
        raise
    except MemoryError:
        starved = OutOfMemory(
            "out of memory: give the run more, or lower ESG_API_MAX_CONCURRENCY; then run the date "
            "again, only what is missing is asked, with half as many calls at once"
        )
        ledger.alert(context.run, partition_date(context), starved)
        ledger.ran_out_of_memory()
        raise dg.Failure(str(starved), allow_retries=False) from None
    except Exception as unexpected:
        ledger.alert(context.run, partition_date(context), unexpected)
        with without_secrets():  # Dagster keeps it, with all that is behind it
            raise


def partition_date(context: dg.AssetExecutionContext) -> date:
    """The business date this run is for."""
    return date.fromisoformat(context.partition_key)
