"""The outbox: each condition of a date reaches each channel once, whatever crashes or hangs."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from esg_pipeline.ledger.outbox import CLAIM
from esg_pipeline_tests.ledger.runs import DAY, NOON, edit

LATER = NOON + CLAIM
OTHER_DAY = DAY.replace(day=25)


def mail(_condition):
    return ["mail"]


def both(_condition):
    return ["mail", "pager"]


def told(messages):
    return [(each.condition, each.phase, each.channel) for each in messages]


def send_all(ledger, at, routing=mail):
    sent = ledger.outbox.take_due(at, routing)
    for message in sent:
        ledger.outbox.mark_sent(message, at)
    return told(sent)


def test_a_condition_is_new_once_for_each_date(ledger):
    assert ledger.outbox.raise_alert(DAY, "run_failed", {"why": "é 🙂"})
    assert not ledger.outbox.raise_alert(DAY, "run_failed", {"why": "other"})
    assert ledger.outbox.raise_alert(DAY, "failure_share", {})
    assert ledger.outbox.raise_alert(DAY.replace(day=25), "run_failed", {})
    first = ledger.outbox.alerts(DAY)[0]
    assert (first.condition, first.details, first.occurrence) == ("run_failed", {"why": "é 🙂"}, 1)


def test_each_channel_gets_a_message_once(ledger):
    ledger.outbox.raise_alert(DAY, "run_failed", {"n": 1})
    assert ledger.outbox.count_unsent(both) == 2
    messages = ledger.outbox.take_due(NOON, both)
    assert told(messages) == [("run_failed", "raised", "mail"), ("run_failed", "raised", "pager")]
    assert messages[0].details == {"n": 1}
    for message in messages:
        ledger.outbox.mark_sent(message, NOON)
    assert ledger.outbox.take_due(NOON + timedelta(days=1), both) == []
    assert ledger.outbox.count_unsent(both) == 0


def test_two_senders_never_take_the_same_message(ledger):
    for n in range(20):
        ledger.outbox.raise_alert(DAY, f"condition-{n}", {})
    start, taken = threading.Barrier(4), []

    def send():
        start.wait()
        taken.extend(ledger.outbox.take_due(NOON, both))

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert len(taken) == len(set(told(taken))) == 40


def test_a_sender_that_dies_leaves_its_messages_to_the_next(ledger):
    ledger.outbox.raise_alert(DAY, "run_failed", {})
    assert ledger.outbox.take_due(NOON, mail)
    assert ledger.outbox.take_due(LATER - timedelta(seconds=1), mail) == []
    assert told(ledger.outbox.take_due(LATER, mail)) == [("run_failed", "raised", "mail")]


def test_a_dead_channel_is_tried_again_and_holds_up_no_other(ledger):
    ledger.outbox.raise_alert(DAY, "run_failed", {})
    by_mail, by_pager = ledger.outbox.take_due(NOON, both)
    ledger.outbox.mark_sent(by_pager, NOON)
    retry_at = NOON + timedelta(minutes=5)
    ledger.outbox.mark_failed(by_mail, "mail server refused\0", retry_at)
    assert ledger.outbox.take_due(retry_at - timedelta(seconds=1), both) == []
    (again,) = ledger.outbox.take_due(retry_at, both)
    assert (again.channel, again.attempts) == ("mail", 1)
    assert ledger.outbox.count_unsent(both) == 1


def test_a_cure_is_told_after_the_trouble_and_once(ledger):
    ledger.outbox.raise_alert(DAY, "failure_share", {"share": 0.06})
    assert send_all(ledger, NOON) == [("failure_share", "raised", "mail")]
    assert ledger.outbox.resolve_alert(DAY, "failure_share", {"share": 0.01})
    assert not ledger.outbox.resolve_alert(DAY, "failure_share", {})
    (cured,) = ledger.outbox.take_due(NOON, mail)
    assert (cured.phase, cured.details) == ("resolved", {"share": 0.01})
    ledger.outbox.mark_sent(cured, NOON)
    assert ledger.outbox.take_due(LATER, mail) == []
    assert ledger.outbox.open_alerts() == []


def test_trouble_that_was_cured_before_anybody_heard_is_told_first(ledger):
    ledger.outbox.raise_alert(DAY, "run_failed", {})
    ledger.outbox.resolve_alert(DAY, "run_failed", {})
    assert send_all(ledger, NOON) == [("run_failed", "raised", "mail")]
    assert send_all(ledger, NOON) == [("run_failed", "resolved", "mail")]
    assert send_all(ledger, NOON) == []


def test_trouble_that_comes_back_is_told_again(ledger):
    ledger.outbox.raise_alert(DAY, "run_failed", {"run": 1})
    send_all(ledger, NOON)
    ledger.outbox.resolve_alert(DAY, "run_failed", {})
    send_all(ledger, NOON)
    assert ledger.outbox.raise_alert(DAY, "run_failed", {"run": 3})
    (again,) = ledger.outbox.take_due(NOON, mail)
    assert (again.phase, again.occurrence, again.details) == ("raised", 2, {"run": 3})
    assert [each.condition for each in ledger.outbox.open_alerts()] == ["run_failed"]


def test_a_channel_added_later_does_not_tell_old_news(ledger):
    ledger.outbox.raise_alert(DAY, "run_failed", {})
    send_all(ledger, NOON)
    assert ledger.outbox.count_unsent(both) == 1
    edit(ledger, "UPDATE esg_alerts SET raised_at = :then", then=datetime(2026, 1, 1))
    assert ledger.outbox.count_unsent(both) == 0


def test_what_resolves_what_was_never_raised_is_nothing(ledger):
    assert not ledger.outbox.resolve_alert(DAY, "run_failed", {})
    assert ledger.outbox.alerts(DAY) == []


def test_an_alert_stands_or_falls_with_its_fact(ledger, lease, edition):
    with pytest.raises(RuntimeError), ledger.transaction():
        ledger.editions.mark_held(lease, edition, "list shrank")
        ledger.outbox.raise_alert(DAY, "account_list_held", {})
        raise RuntimeError
    assert (ledger.editions.find(DAY, 1).state, ledger.outbox.alerts(DAY)) == ("open", [])
    with ledger.transaction():
        ledger.editions.mark_held(lease, edition, "list shrank")
        ledger.outbox.raise_alert(DAY, "account_list_held", {})
    assert ledger.editions.find(DAY, 1).state == "held"
    (alert,) = ledger.outbox.alerts(DAY)
    assert alert.raised_at.tzinfo == UTC


def test_what_cures_one_date_leaves_the_trouble_of_another(ledger):
    for day in (DAY, OTHER_DAY):
        ledger.outbox.raise_alert(day, "run_failed", {})
        ledger.outbox.raise_alert(day, "failure_share", {})
    assert ledger.outbox.resolve_alert(DAY, "run_failed", {})
    still_open = [(each.day, each.condition) for each in ledger.outbox.open_alerts()]
    assert still_open == [
        (DAY, "failure_share"),
        (OTHER_DAY, "run_failed"),
        (OTHER_DAY, "failure_share"),
    ]


def test_trouble_that_comes_back_on_one_date_comes_back_on_no_other(ledger):
    for day in (DAY, OTHER_DAY):
        ledger.outbox.raise_alert(day, "run_failed", {})
        ledger.outbox.resolve_alert(day, "run_failed", {})
    assert ledger.outbox.raise_alert(OTHER_DAY, "run_failed", {"again": True})
    (back,) = ledger.outbox.open_alerts()
    assert (back.day, back.occurrence, back.resolved_at) == (OTHER_DAY, 2, None)
    assert back.resolved_details is None
    assert ledger.outbox.alerts(DAY)[0].occurrence == 1


@pytest.mark.parametrize("how", ["sent", "failed"])
def test_what_becomes_of_one_message_is_noted_for_that_one_only(ledger, how):
    for day in (DAY, OTHER_DAY):
        ledger.outbox.raise_alert(day, "run_failed", {})
    first, *others = ledger.outbox.take_due(NOON, both)
    if how == "sent":
        ledger.outbox.mark_sent(first, NOON)
    else:
        ledger.outbox.mark_failed(first, "mail server refused", LATER + timedelta(days=1))
    again = ledger.outbox.take_due(LATER, both)
    assert [(each.day, each.channel) for each in again] == [
        (each.day, each.channel) for each in others
    ]
    assert [each.attempts for each in again] == [0, 0, 0]


def test_a_cure_that_fails_to_be_told_leaves_the_trouble_told(ledger):
    ledger.outbox.raise_alert(DAY, "run_failed", {})
    send_all(ledger, NOON)
    ledger.outbox.resolve_alert(DAY, "run_failed", {})
    (cure,) = ledger.outbox.take_due(NOON, mail)
    ledger.outbox.mark_failed(cure, "mail server refused", LATER)
    assert send_all(ledger, LATER) == [("run_failed", "resolved", "mail")]
    assert send_all(ledger, LATER) == []
