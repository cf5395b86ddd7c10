"""An account list that shrank too much waits for a person, and a named person releases it.

Before any call: a part of a list looks like a whole one, and the accounts it lacks would get no
rating.
"""

from datetime import date

from esg_pipeline.daily_run.claim import Claim
from esg_pipeline.daily_run.errors import AccountListHeld
from esg_pipeline.settings import Settings


def shrank_too_much(count: int, previous: tuple[date, int] | None, max_drop: float) -> bool:
    """Whether the list lost more than the share `max_drop` of its accounts.

    Args:
        previous: Date and size of the list it is compared with, if any.
    """
    return previous is not None and count < previous[1] * (1 - max_drop)


def release_or_wait(
    claim: Claim, settings: Settings, count: int, previous: tuple[date, int] | None
) -> None:
    """Let the list pass if it is long enough, or if the run was started by name and with a reason.

    Args:
        count: Accounts of the new list.

    Raises:
        AccountListHeld: it waits; the next run of the date reads the list again.
    """
    if previous is None or not shrank_too_much(count, previous, settings.accounts_max_drop):
        return
    facts = f"{count} active accounts, {previous[1]} on {previous[0]}"
    if claim.order.by and claim.order.reason:
        claim.ledger.audit.append(
            claim.order.by,
            "release_account_list",
            day=claim.day,
            edition=claim.edition.number,
            outcome="released",
            details={"reason": claim.order.reason, "count": count, "previous": previous[1]},
        )
        return
    claim.ledger.editions.mark_held(claim.lease, claim.edition, facts)
    raise AccountListHeld(
        f"{claim.day}: held before any call: {facts}, a drop of more than "
        f"{settings.accounts_max_drop:.0%} (ESG_ACCOUNTS_MAX_DROP). If the list is right, release "
        f"it: esg-pipeline run --date {claim.day} --by NAME --reason TEXT"
    )
