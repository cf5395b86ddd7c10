"""`alerts test`, the check for `doctor`, and the alert when the ledger is away."""

import pytest

from esg_pipeline import alerts
from esg_pipeline.alerts import Condition, check_channels, send_without_ledger
from esg_pipeline_tests.alerts.facts import DAY, NOON, SIX_PERCENT
from esg_pipeline_tests.servers.pagerduty import ROUTING_KEY
from esg_pipeline_tests.servers.smtp import PASSWORD, SilentServer


def test_each_channel_gets_one_test_and_no_incident_stays(mail, pagerduty, webhook, make_settings):
    results = alerts.test_channels(make_settings(mail, pagerduty, webhook), NOON)
    assert [(each.channel.partition(":")[0], each.is_fine, each.text) for each in results] == [
        ("email", True, "sent"),
        ("pagerduty", True, "sent and resolved"),
        ("json", True, "sent and resolved"),
    ]
    (received,) = mail.received
    assert "This is a test" in received.message["Subject"]
    assert len(received.recipients) == 3
    assert sum(pagerduty.opened.values()) == 1 and pagerduty.open_now == set()


def test_a_bad_channel_is_told_and_the_others_are_tested(mail, pagerduty, make_settings):
    mail.stop()
    with SilentServer(drip=True) as hanging:
        settings = make_settings(mail, pagerduty, alert_urls=f"json://127.0.0.1:{hanging.port}/k")
        results = {
            each.channel.partition(":")[0]: each
            for each in alerts.test_channels(settings, NOON, timeout_s=2)
        }
    assert not results["email"].is_fine and "Connection refused" in results["email"].text
    assert results["pagerduty"].is_fine
    assert not results["json"].is_fine and results["json"].text == "no answer in 2 s"


def test_check_sends_nothing(mail, pagerduty, webhook, make_settings):
    results = check_channels(make_settings(mail, pagerduty, webhook))
    assert all(each.is_fine for each in results) and len(results) == 3
    assert (mail.offered, pagerduty.attempts, webhook.attempts) == (0, 0, 0)


def test_no_channel_at_all_is_said_clearly(make_settings):
    settings = make_settings(alert_email_from=None, alert_email_dev="", alert_email_business="")
    (result,) = check_channels(settings)
    assert not result.is_fine
    assert result.text.startswith("No alert channel is configured")
    assert alerts.test_channels(settings, NOON) == [result]


@pytest.mark.parametrize(
    ("without", "missing"),
    [
        ({"alert_email_from": None}, "ESG_ALERT_EMAIL_FROM"),
        ({"alert_email_dev": "", "alert_email_business": ""}, "ESG_ALERT_EMAIL_DEV"),
        ({"smtp_url": None}, "ESG_SMTP_URL"),
    ],
)
def test_mail_that_is_half_configured_is_said_to_be(
    without, missing, mail, pagerduty, make_settings
):
    pagerduty_result, settings_result = check_channels(make_settings(mail, pagerduty, **without))
    assert pagerduty_result.is_fine
    assert not settings_result.is_fine
    assert settings_result.text == f"{missing}: missing; no alert goes out by mail"


def test_an_alert_goes_out_when_the_ledger_is_away(mail, pagerduty, make_settings):
    settings = make_settings(mail, pagerduty)
    for _ in range(2):
        results = send_without_ledger(settings, DAY, Condition.RUN_FAILED, SIX_PERCENT)
        assert all(each.is_fine for each in results)
    assert sum(pagerduty.opened.values()) == 1
    assert len({each.message["Message-ID"] for each in mail.received}) == 1


@pytest.mark.servers
def test_no_result_shows_a_secret(make_settings):
    settings = make_settings(
        smtp_url=f"smtp://pipeline:{PASSWORD}@127.0.0.1:1",
        pagerduty_routing_key=ROUTING_KEY,
        pagerduty_url="https://127.0.0.1:1",
        alert_urls="json://127.0.0.1:1/webhook-key-canary",
    )
    texts = " ".join(each.text for each in alerts.test_channels(settings, NOON))
    assert texts.count("127.0.0.1") >= 2
    assert not [each for each in (PASSWORD, ROUTING_KEY, "canary") if each in texts]
