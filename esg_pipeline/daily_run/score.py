"""Scoring an edition: what it still misses is asked, the rest is written off at the end."""

import logging
from collections.abc import Callable
from contextlib import suppress

import pyarrow as pa

from esg_pipeline import clock
from esg_pipeline.daily_run.claim import Claim
from esg_pipeline.daily_run.frozen_list import check_frozen
from esg_pipeline.ledger import LeaseLost, LedgerUnavailable
from esg_pipeline.ratings import Reason
from esg_pipeline.scoring import Progress, ScoringOutcome, score_accounts
from esg_pipeline.settings import Settings

OUT_OF_MEMORY = "runs_out_of_memory"
"""Number kept with the edition."""

log = logging.getLogger(__name__)


def score_edition(
    claim: Claim,
    settings: Settings,
    accounts: pa.Table,
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[pa.Table, ScoringOutcome]:
    """Ask for what the edition still misses; give every account's rating (RATINGS_SCHEMA).

    Accounts that were not reached in time become Failed with reason `deadline`. After each run of
    the edition that was out of memory, half as many calls are made at once (docs/faults.md#f4).

    Raises:
        NotBegun: the accounts are not the frozen list of the edition.
        ApiUnauthorized, ApiUntrusted, LeaseLost, LedgerUnavailable: the run must stop.
    """
    check_frozen(claim, accounts)
    outcome = score_accounts(
        accounts,
        settings=_within_memory(claim, settings),
        day=claim.day,
        writer=claim.ledger.results.writer(claim.lease, claim.edition),
        rate_limit=claim.ledger.shared_rate_limit(claim.lease),
        resume=claim.ledger.results.resume_state(claim.edition),
        calls_end_at=claim.window.calls_end_at,
        deadline_at=claim.window.deadline_at,
        on_progress=on_progress,
    )
    claim.ledger.results.fail_unanswered(
        claim.lease,
        claim.edition,
        accounts["account_id"].to_pylist(),
        reason=Reason.DEADLINE,
        message="not reached before the calls had to end",
        now=clock.now_utc(),
    )
    return claim.ledger.results.ratings(claim.edition), outcome


def note_out_of_memory(claim: Claim) -> None:
    """Count a run of the edition that was refused memory; quiet if the ledger is away."""
    times = claim.edition.metrics.get(OUT_OF_MEMORY, 0) + 1
    with suppress(LedgerUnavailable, LeaseLost):
        claim.ledger.editions.set_metrics(claim.lease, claim.edition, {OUT_OF_MEMORY: times})


def _within_memory(claim: Claim, settings: Settings) -> Settings:
    times = claim.edition.metrics.get(OUT_OF_MEMORY, 0)
    if not times:
        return settings
    at_once = max(1, settings.api_max_concurrency >> times)
    log.warning("%s: a run was out of memory; %d calls at once from now", claim.day, at_once)
    return settings.model_copy(update={"api_max_concurrency": at_once})
