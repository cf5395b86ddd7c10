"""Scoring an edition: what it still misses is asked, the rest is written off at the end."""

from collections.abc import Callable

import pyarrow as pa

from esg_pipeline import clock
from esg_pipeline.day.accounts import check_frozen
from esg_pipeline.day.hold import DayHold
from esg_pipeline.ratings import Reason
from esg_pipeline.scoring import Progress, ScoringOutcome, score_accounts
from esg_pipeline.settings import Settings


def score_edition(
    hold: DayHold,
    settings: Settings,
    accounts: pa.Table,
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[pa.Table, ScoringOutcome]:
    """Ask for what the edition still misses; give every account's rating (RATINGS_SCHEMA).

    Accounts that were not reached in time become Failed with reason `deadline`.

    Raises:
        NotBegun: the accounts are not the frozen list of the edition.
        ApiUnauthorized, ApiUntrusted, LeaseLost, LedgerUnavailable: the run must stop.
    """
    check_frozen(hold, accounts)
    outcome = score_accounts(
        accounts,
        settings=settings,
        day=hold.day,
        writer=hold.ledger.writer(hold.lease, hold.edition),
        resume=hold.ledger.resume_state(hold.edition),
        calls_end_at=hold.window.calls_end_at,
        deadline_at=hold.window.deadline_at,
        on_progress=on_progress,
    )
    hold.ledger.fail_unanswered(
        hold.lease,
        hold.edition,
        accounts["account_id"].to_pylist(),
        reason=Reason.DEADLINE,
        message="not reached before the calls had to end",
        now=clock.now_utc(),
    )
    return hold.ledger.ratings(hold.edition), outcome
