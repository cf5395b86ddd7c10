"""What goes into the outbox: conditions raised, cured, recovered from (docs/design.md#alerts).

One row a date and condition in the ledger, written in the caller's transaction if there is one,
so that the fact and its alert exist together or not at all. Nothing here sends.
"""

from datetime import date

from esg_pipeline.alerts.conditions import DELIVERY_NOTE, RULES, Condition, Cure
from esg_pipeline.alerts.facts import AlertFacts
from esg_pipeline.ledger import Ledger

CURABLE = {condition for condition in Condition if RULES[condition].cured_by is not None}


def raise_alert(ledger: Ledger, day: date, condition: Condition, facts: AlertFacts) -> bool:
    """Note that a condition is met; True if this is news, to be sent once by each channel.

    Call it inside `ledger.transaction()` or the lease's fence, beside the fact it reports.

    Raises:
        LedgerUnavailable: nothing is noted; see `send_without_ledger`.
    """
    return ledger.outbox.raise_alert(day, condition, facts.to_details())


def resolve(ledger: Ledger, day: date, condition: Condition, facts: AlertFacts) -> bool:
    """Note that one condition is over; True if it was there. Incidents of it are resolved."""
    return ledger.outbox.resolve_alert(day, condition, facts.to_details())


def recover(ledger: Ledger, day: date, cure: Cure, facts: AlertFacts) -> tuple[Condition, ...]:
    """Note how far a run has come: what that cures is resolved, and a good end is told once.

    `recovered` goes out when the day is good (`Cure.GOOD`) and people had heard otherwise since
    they last heard that it was.

    Args:
        facts: Of the run that cures.

    Returns:
        The conditions that this call resolved.
    """
    with ledger.transaction():
        known = ledger.outbox.alerts(day)
        troubles = [alert for alert in known if alert.condition in CURABLE]
        cured = tuple(
            Condition(alert.condition)
            for alert in troubles
            if alert.resolved_at is None and _is_cured(alert.condition, cure)
        )
        for condition in cured:
            resolve(ledger, day, condition, facts)
        if cure is not Cure.GOOD:
            return cured
        told = next((alert for alert in known if alert.condition == Condition.RECOVERED), None)
        news = tuple(
            Condition(alert.condition)
            for alert in troubles
            if told is None or alert.raised_at > told.raised_at
        )
        if news:
            resolve(ledger, day, Condition.RECOVERED, facts)  # an earlier one, so that this is new
            raise_alert(ledger, day, Condition.RECOVERED, facts.model_copy(update={"cured": news}))
        return cured


def note_delivery(ledger: Ledger, day: date, facts: AlertFacts) -> bool:
    """Put the day's delivery note for the business group into the outbox; once a date."""
    return ledger.outbox.raise_alert(day, DELIVERY_NOTE, facts.to_details())


def _is_cured(condition: str, cure: Cure) -> bool:
    needed = RULES[condition].cured_by
    return needed is not None and needed <= cure
