"""Exactly one mail and one incident for each date and condition, counted at the receivers."""

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from esg_pipeline.alerts import (
    AlertFacts,
    Condition,
    OutboxSender,
    count_unsent,
    note_delivery,
    raise_alert,
    resolve,
    send_due,
)
from esg_pipeline.alerts.channels import open_channels
from esg_pipeline.alerts.message_layout import compose
from esg_pipeline.ledger import Ledger
from esg_pipeline_tests.alerts.facts import DAY, NOON, SIX_PERCENT
from esg_pipeline_tests.alerts.other_process import Process
from esg_pipeline_tests.servers.smtp import MailServer, SilentServer

KEY = "esg_pipeline:2026-11-24:failure_share"
LATER = NOON + timedelta(minutes=3)
"""When the claim of a sender that died has run out, and a first pause is over."""

INCIDENTS = [condition for condition in Condition if condition is not Condition.RECOVERED]


@pytest.fixture
def start(ledger_url) -> Iterator[Callable[..., Process]]:
    """Start a second process; all are ended with the test."""
    running: list[Process] = []

    def start(act, settings) -> Process:
        running.append(Process(act, ledger_url, settings))
        return running[-1]

    yield start
    for process in running:
        process.end()


@pytest.fixture
def raised(ledger) -> Ledger:
    """A ledger in which the failure share is noted, and not sent yet."""
    assert raise_alert(ledger, DAY, Condition.FAILURE_SHARE, SIX_PERCENT)
    return ledger


def conditions(mail: MailServer) -> Counter[str]:
    return Counter(each.message["X-ESG-Condition"] for each in mail.received)


def test_each_condition_is_one_mail_and_one_incident(
    ledger, mail, pagerduty, webhook, make_settings
):
    settings = make_settings(mail, pagerduty, webhook)
    for _ in range(2):
        for condition in Condition:
            raise_alert(ledger, DAY, condition, SIX_PERCENT)
        send_due(ledger, settings, NOON)
    assert conditions(mail) == Counter(Condition)
    assert pagerduty.opened == Counter(f"esg_pipeline:{DAY}:{each}" for each in INCIDENTS)
    assert len(webhook.requests) == len(INCIDENTS)
    assert count_unsent(ledger, settings) == 0


def test_six_thousand_failures_are_one_mail_and_one_incident(
    ledger, mail, pagerduty, make_settings
):
    """Each checkpoint of the run finds the share too high again, and says so again."""
    settings = make_settings(mail, pagerduty)
    for failed in range(5_100, 6_001, 100):
        facts = SIX_PERCENT.model_copy(update={"failed": failed})
        raise_alert(ledger, DAY, Condition.FAILURE_SHARE, facts)
        send_due(ledger, settings, NOON + timedelta(seconds=failed))
    (received,) = mail.received
    assert "5,100 of 100,000 accounts" in received.text
    assert pagerduty.events == [("trigger", KEY)]


class TestACrash:
    def test_between_raising_and_sending_loses_and_doubles_nothing(
        self, start, ledger, mail, pagerduty, make_settings
    ):
        settings = make_settings(mail, pagerduty)
        victim = start("raise and die", settings)
        victim.go()
        assert victim.wait() == -9
        for _ in range(2):
            send_due(ledger, settings, NOON)
        assert conditions(mail) == {"failure_share": 1}
        assert pagerduty.events == [("trigger", KEY)]

    def test_before_the_fact_is_written_leaves_no_alert(self, start, ledger, mail, make_settings):
        victim = start("die while raising", make_settings(mail))
        victim.go()
        assert victim.wait() == -9
        assert send_due(ledger, make_settings(mail), NOON).sent == []
        assert ledger.outbox.alerts(DAY) == []

    def test_while_sending_leaves_it_to_the_next_sender(
        self, start, raised, pagerduty, make_settings
    ):
        settings = make_settings(pagerduty=pagerduty)
        pagerduty.status = None
        victim = start("send", settings)
        victim.go()
        pagerduty.wait_for_attempt()
        victim.kill()
        pagerduty.status = 202
        assert send_due(raised, settings, NOON).sent == []  # it may still be at it
        assert send_due(raised, settings, LATER).sent == [("pagerduty", "failure_share")]
        assert pagerduty.opened == {KEY: 1}

    def test_after_the_receiver_took_it_repeats_what_can_be_told_as_a_repetition(
        self, raised, mail, pagerduty, make_settings
    ):
        settings = make_settings(mail, pagerduty)
        for message in raised.outbox.take_due(NOON, lambda _: ["email", "pagerduty"]):
            for channel in open_channels(settings):  # sent, and dead before it was noted
                if channel.name == message.channel:
                    channel.send(compose(DAY, message.condition, SIX_PERCENT))
        send_due(raised, settings, LATER)
        first, second = mail.received
        assert first.message["Message-ID"] == second.message["Message-ID"]
        assert pagerduty.opened == {KEY: 1}


def test_senders_at_once_send_each_message_once(
    start, ledger, mail, pagerduty, webhook, make_settings
):
    settings = make_settings(mail, pagerduty, webhook)
    for condition in Condition:
        raise_alert(ledger, DAY, condition, SIX_PERCENT)
    senders = [start("send", settings) for _ in range(3)]
    for sender in senders:
        sender.go()
    assert [sender.wait() for sender in senders] == [0, 0, 0]
    assert conditions(mail) == Counter(Condition)
    assert Counter(key for _, key in pagerduty.events) == pagerduty.opened
    assert len(webhook.requests) == len(INCIDENTS)
    assert count_unsent(ledger, settings) == 0


class TestADeadReceiver:
    def test_gets_its_alert_when_it_is_back_and_the_others_had_theirs(
        self, raised, mail, pagerduty, make_settings
    ):
        settings = make_settings(mail, pagerduty)
        mail.stop()
        report = send_due(raised, settings, NOON)
        assert report.sent == [("pagerduty", "failure_share")]
        assert "Connection refused" in dict(report.failed)["email"]
        mail.start()
        assert send_due(raised, settings, LATER).sent == [("email", "failure_share")]
        assert send_due(raised, settings, LATER + timedelta(hours=1)).sent == []
        assert conditions(mail) == {"failure_share": 1}
        assert pagerduty.events == [("trigger", KEY)]

    def test_is_tried_at_growing_intervals_until_it_takes_it(self, raised, mail, make_settings):
        settings = make_settings(mail)
        mail.fault = "busy"
        tried_after = []
        for second in range(0, 1800, 5):
            before = mail.offered
            send_due(raised, settings, NOON + timedelta(seconds=second))
            if mail.offered > before:
                tried_after.append(second)
        assert tried_after == [0, 10, 30, 70, 150, 310, 630, 1230]
        assert mail.received == []
        mail.fault = None
        send_due(raised, settings, NOON + timedelta(hours=1))
        assert conditions(mail) == {"failure_share": 1}

    def test_one_message_that_is_refused_keeps_no_other_back(self, ledger, mail, make_settings):
        mail.refused_recipients = {"desk@firm.example"}
        settings = make_settings(mail)
        note_delivery(ledger, DAY, SIX_PERCENT)
        raise_alert(ledger, DAY, Condition.RUN_FAILED, SIX_PERCENT)
        report = send_due(ledger, settings, NOON)
        assert report.sent == [("email", "run_failed")]
        assert "refused all recipients" in dict(report.failed)["email"]

    @pytest.mark.parametrize("status", [429, 500])
    def test_a_throttling_or_broken_pagerduty_is_tried_again(
        self, status, raised, pagerduty, make_settings
    ):
        settings = make_settings(pagerduty=pagerduty)
        pagerduty.status = status
        assert str(status) in dict(send_due(raised, settings, NOON).failed)["pagerduty"]
        pagerduty.status = 202
        send_due(raised, settings, LATER)
        assert pagerduty.opened == {KEY: 1}


class TestAHangingReceiver:
    def test_delays_no_other_and_holds_one_thread(self, raised, pagerduty, webhook, make_settings):
        with SilentServer(drip=True) as hanging:
            settings = make_settings(
                None, pagerduty, webhook, smtp_url=f"smtp://127.0.0.1:{hanging.port}"
            )
            report = send_due(raised, settings, NOON, wait_s=1)
            assert {channel.partition(":")[0] for channel, _ in report.sent} == {
                "pagerduty",
                "json",
            }
            assert report.hanging == ["email"]
            assert send_due(raised, settings, LATER, wait_s=1).hanging == ["email"]
            assert hanging.connections == 1

    @pytest.mark.servers
    def test_does_not_keep_the_process_from_ending(self, start, raised, make_settings):
        with SilentServer(drip=True) as hanging, SilentServer() as silent:
            settings = make_settings(
                smtp_url=f"smtp://127.0.0.1:{hanging.port}",
                alert_urls=f"json://127.0.0.1:{silent.port}/?rto=60",
            )
            process = start("send briefly", settings)
            process.go()
            hanging.wait_for_connection()
            assert process.wait(timeout_s=10) == 0


class TestACure:
    def test_resolves_the_incident_and_writes_no_mail(
        self, raised, mail, pagerduty, webhook, make_settings
    ):
        settings = make_settings(mail, pagerduty, webhook)
        send_due(raised, settings, NOON)
        assert resolve(raised, DAY, Condition.FAILURE_SHARE, AlertFacts(since=NOON))
        assert not resolve(raised, DAY, Condition.FAILURE_SHARE, AlertFacts(since=NOON))
        for _ in range(2):
            send_due(raised, settings, NOON)
        assert pagerduty.events == [("trigger", KEY), ("resolve", KEY)]
        assert [each.body["type"] for each in webhook.requests] == ["failure", "success"]
        assert len(mail.received) == 1
        assert count_unsent(raised, settings) == 0

    def test_is_told_only_where_the_trouble_was_told(
        self, raised, pagerduty, webhook, make_settings
    ):
        settings = make_settings(None, pagerduty, webhook)
        webhook.status = 500
        send_due(raised, settings, NOON)
        resolve(raised, DAY, Condition.FAILURE_SHARE, AlertFacts(since=NOON))
        send_due(raised, settings, NOON)
        assert pagerduty.open_now == set()
        assert webhook.requests == []
        webhook.status = 200
        for minutes in (3, 6):
            send_due(raised, settings, NOON + timedelta(minutes=minutes))
        assert [each.body["type"] for each in webhook.requests] == ["failure", "success"]


def test_without_a_channel_alerts_wait_and_the_job_goes_on(raised, mail, make_settings):
    report = send_due(raised, make_settings(), NOON)
    assert not report.has_channels and report.failed == []
    send_due(raised, make_settings(mail), NOON)
    assert conditions(mail) == {"failure_share": 1}


def test_facts_that_cannot_be_read_still_become_an_alert(ledger, mail, make_settings):
    ledger.outbox.raise_alert(
        DAY, "run_failed", {"since": "who knows", "account_name": "Canary & Sons"}
    )
    send_due(ledger, make_settings(mail), NOON)
    (received,) = mail.received
    assert "cannot be read" in received.text
    assert "Canary" not in received.message.as_string()


def test_a_sent_alert_is_remembered_when_the_ledger_was_busy(
    ledger_url, ledger, webhook, make_settings
):
    """The receiver has it; only the ledger does not know yet."""
    hasty = Ledger.open(ledger_url, patience_s=0.2)
    raise_alert(hasty, DAY, Condition.RUN_FAILED, SIX_PERCENT)
    blocker = sqlite3.connect(
        ledger_url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False
    )
    answer = webhook.answer_to

    def answer_while_the_ledger_is_locked(request):
        blocker.execute("BEGIN IMMEDIATE")
        threading.Timer(0.6, blocker.execute, ["ROLLBACK"]).start()
        return answer(request)

    webhook.answer_to = answer_while_the_ledger_is_locked
    settings = make_settings(webhook=webhook)
    assert len(send_due(hasty, settings, NOON).sent) == 1
    assert send_due(hasty, settings, LATER).sent == []
    assert len(webhook.requests) == 1
    hasty.close()
    blocker.close()


class TestInTheBackground:
    def test_an_alert_arrives_while_the_run_lasts(self, ledger, mail, make_settings):
        with OutboxSender(ledger, make_settings(mail), interval_s=0.05):
            raise_alert(ledger, DAY, Condition.PROJECTED_OVERRUN, SIX_PERCENT)
            mail.wait_for(1)
        assert conditions(mail) == {"projected_overrun": 1}

    def test_an_alert_of_the_last_moment_goes_out_at_the_end(self, ledger, mail, make_settings):
        with OutboxSender(ledger, make_settings(mail)):
            raise_alert(ledger, DAY, Condition.RUN_FAILED, SIX_PERCENT)
        assert conditions(mail) == {"run_failed": 1}

    def test_a_hanging_receiver_delays_the_end_by_seconds_only(
        self, raised, pagerduty, make_settings
    ):
        with SilentServer(drip=True) as hanging:
            settings = make_settings(None, pagerduty, smtp_url=f"smtp://127.0.0.1:{hanging.port}")
            with OutboxSender(raised, settings, interval_s=0.05):
                hanging.wait_for_connection()
                raise_alert(raised, DAY, Condition.RUN_FAILED, SIX_PERCENT)
            assert pagerduty.open_now == {KEY, f"esg_pipeline:{DAY}:run_failed"}

    def test_a_ledger_that_cannot_be_used_ends_nothing(
        self, ledger, ledger_url, mail, make_settings, caplog
    ):
        ledger.close()
        Path(ledger_url.removeprefix("sqlite:///")).write_bytes(b"no database" * 1000)
        with OutboxSender(ledger, make_settings(mail), interval_s=0.05):
            pass
        assert "Alerts wait" in caplog.text
        assert mail.received == []


def test_the_delivery_note_is_one_mail_to_the_business_group(
    ledger, mail, pagerduty, make_settings
):
    assert note_delivery(ledger, DAY, SIX_PERCENT)
    assert not note_delivery(ledger, DAY, SIX_PERCENT)
    send_due(ledger, make_settings(mail, pagerduty), NOON)
    (note,) = mail.received
    assert note.recipients == ("desk@firm.example",)
    assert "Successful: 93,000" in note.text
    assert pagerduty.events == []
