"""What a later run ends, and that people hear of a good end once."""

import pytest

from esg_pipeline.alerts import (
    AlertFacts,
    Condition,
    Cure,
    raise_alert,
    recover,
    send_due,
)
from esg_pipeline_tests.alerts.facts import DAY, NOON, SIX_PERCENT

GOOD = AlertFacts(since=NOON, edition=2, accounts=100_000, successful=99_000, failed=1_000)

ENDS_WITH = {
    Condition.NOT_STARTED: Cure.STARTED,
    Condition.PROJECTED_OVERRUN: Cure.DELIVERED,
    Condition.RUN_FAILED: Cure.DELIVERED,
    Condition.ACCOUNT_LIST_HELD: Cure.DELIVERED,
    Condition.UNAUTHORIZED: Cure.DELIVERED,
    Condition.DELIVERY_FAILED: Cure.DELIVERED,
    Condition.DEADLINE_EXCEEDED: Cure.GOOD,
    Condition.FAILURE_SHARE: Cure.GOOD,
    Condition.IDENTITY_MISMATCH: Cure.GOOD,
}


def open_conditions(ledger) -> set[str]:
    return {alert.condition for alert in ledger.outbox.open_alerts()}


@pytest.mark.parametrize("cure", Cure)
def test_a_run_ends_what_it_cures_and_nothing_else(cure, ledger):
    for condition in ENDS_WITH:
        raise_alert(ledger, DAY, condition, SIX_PERCENT)
    expected = {condition for condition, needed in ENDS_WITH.items() if needed <= cure}
    assert set(recover(ledger, DAY, cure, GOOD)) == expected
    assert open_conditions(ledger) - {"recovered"} == ENDS_WITH.keys() - expected
    assert ("recovered" in open_conditions(ledger)) == (cure is Cure.GOOD)


def test_too_many_failures_then_a_good_rerun_resolves_the_incident_and_a_mail_says_so(
    ledger, mail, pagerduty, make_settings
):
    settings = make_settings(mail, pagerduty)
    raise_alert(ledger, DAY, Condition.FAILURE_SHARE, SIX_PERCENT)
    send_due(ledger, settings, NOON)
    for _ in range(2):
        recover(ledger, DAY, Cure.GOOD, GOOD)
        send_due(ledger, settings, NOON)
    assert pagerduty.open_now == set()
    _, recovered = mail.received
    assert recovered.message["X-ESG-Condition"] == "recovered"
    assert "desk@firm.example" in recovered.recipients
    assert "dev@firm.example" in recovered.recipients
    assert "Too many accounts are Failed" in recovered.text
    assert "1,000 of 100,000 accounts (1 %)" in recovered.text


def test_a_rerun_that_is_still_bad_ends_nothing(ledger, mail, pagerduty, make_settings):
    settings = make_settings(mail, pagerduty)
    raise_alert(ledger, DAY, Condition.FAILURE_SHARE, SIX_PERCENT)
    send_due(ledger, settings, NOON)
    assert recover(ledger, DAY, Cure.DELIVERED, SIX_PERCENT) == ()
    raise_alert(ledger, DAY, Condition.FAILURE_SHARE, SIX_PERCENT)
    send_due(ledger, settings, NOON)
    assert len(mail.received) == 1
    assert sum(pagerduty.opened.values()) == 1 and len(pagerduty.open_now) == 1


def test_what_comes_back_is_told_again_and_so_is_its_end(ledger, mail, pagerduty, make_settings):
    settings = make_settings(mail, pagerduty)
    for _ in range(2):
        raise_alert(ledger, DAY, Condition.FAILURE_SHARE, SIX_PERCENT)
        send_due(ledger, settings, NOON)
        recover(ledger, DAY, Cure.GOOD, GOOD)
        send_due(ledger, settings, NOON)
    told = [each.message["X-ESG-Condition"] for each in mail.received]
    assert told == ["failure_share", "recovered"] * 2
    assert len({each.message["Message-ID"] for each in mail.received}) == 4
    assert sum(pagerduty.opened.values()) == 2 and pagerduty.open_now == set()


def test_a_late_start_is_told_as_recovered_when_the_day_is_good(ledger, mail, make_settings):
    settings = make_settings(mail)
    raise_alert(ledger, DAY, Condition.NOT_STARTED, AlertFacts(since=NOON))
    assert recover(ledger, DAY, Cure.STARTED, AlertFacts(since=NOON)) == (Condition.NOT_STARTED,)
    send_due(ledger, settings, NOON)
    recover(ledger, DAY, Cure.GOOD, GOOD)
    send_due(ledger, settings, NOON)
    started, recovered = mail.received
    assert started.message["X-ESG-Condition"] == "not_started"
    assert "The run has not started" in recovered.text


def test_a_good_day_without_trouble_is_silent(ledger, mail, pagerduty, make_settings):
    assert recover(ledger, DAY, Cure.GOOD, GOOD) == ()
    assert send_due(ledger, make_settings(mail, pagerduty), NOON).sent == []
    assert ledger.outbox.alerts(DAY) == []
