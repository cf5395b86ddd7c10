"""The facts the tests alert about."""

from datetime import UTC, date, datetime

from esg_pipeline.alerts.conditions import RULES
from esg_pipeline.alerts.facts import AlertFacts
from esg_pipeline.alerts.message_layout import Message, compose
from esg_pipeline.ratings import Reason

DAY = date(2026, 11, 24)
NOON = datetime(2026, 11, 24, 12, 12, tzinfo=UTC)

SIX_PERCENT = AlertFacts(
    since=NOON,
    run_id="0b6c3a1e",
    edition=1,
    accounts=100_000,
    successful=93_000,
    partial=1_000,
    failed=6_000,
    threshold=0.05,
    reasons={Reason.TIMEOUT: 5_000, Reason.HTTP_5XX: 1_000},
)


def message(condition: str = "failure_share", facts: AlertFacts = SIX_PERCENT, **how) -> Message:
    assert condition in RULES
    return compose(DAY, condition, facts, **how)
