"""What people read: complete, neutral, and without anything that must not leave."""

import logging
from datetime import UTC, date, datetime
from html.parser import HTMLParser

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from esg_pipeline.alerts import (
    AlertFacts,
    ChannelError,
    Condition,
    raise_alert,
    send_due,
    test_channels,
)
from esg_pipeline.alerts.conditions import DELIVERY_NOTE, RULES, Audience
from esg_pipeline.alerts.facts import MAX_LINE, one_line
from esg_pipeline.alerts.message_layout import Message, both_times, compose, percent
from esg_pipeline.alerts.wording import WORDING
from esg_pipeline_tests.alerts.facts import DAY, NOON, SIX_PERCENT, message
from esg_pipeline_tests.safe_text.probes import PROBES

ENGINEERS = {Audience.DEVELOPMENT, Audience.INCIDENTS}
EVERYBODY = {*ENGINEERS, Audience.BUSINESS}

EVIL = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><a href="https://evil.example">x</a>',
    '=HYPERLINK("https://evil.example")',
    "  +1+1",
    "@SUM(A1)",
    "\u200b＝1+1",
    "x\r\nBcc: everybody@evil.example\r\n\r\nhello",
    "\u202etxt.exe \u200b\u0000\x1b[31m",
    "&lt;script&gt;alert(1)&lt;/script&gt; &amp; so on",
    "<!channel> @everyone `code` |x|",
]


@pytest.mark.parametrize("condition", Condition)
def test_each_condition_says_what_since_when_what_happens_and_what_to_do(condition):
    written = message(condition, dagster_url="https://dagster.firm.example/")
    for part in (
        WORDING[condition].meaning,
        "2026-11-24 06:12 Central (12:12 UTC)",
        "6,000 of 100,000 accounts (6 %; alert above 5 %)",
        WORDING[condition].by_itself,
        WORDING[condition].advice,
        "https://dagster.firm.example/runs/0b6c3a1e",
        *(command.format(day=DAY) for command in WORDING[condition].commands),
    ):
        assert part in written.text
    assert f"2026-11-24 {condition}: " in written.subject
    assert "{" not in written.text


@pytest.mark.parametrize(
    ("condition", "facts", "hear"),
    [
        (Condition.NOT_STARTED, {}, ENGINEERS),
        (Condition.PROJECTED_OVERRUN, {}, ENGINEERS),
        (Condition.DEADLINE_EXCEEDED, {}, ENGINEERS),
        (Condition.DEADLINE_EXCEEDED, {"is_delivered": True}, EVERYBODY),
        (Condition.RUN_FAILED, {}, ENGINEERS),
        (Condition.FAILURE_SHARE, {}, EVERYBODY),
        (Condition.ACCOUNT_LIST_HELD, {}, ENGINEERS),
        (Condition.IDENTITY_MISMATCH, {}, ENGINEERS),
        (Condition.UNAUTHORIZED, {}, ENGINEERS),
        (Condition.DELIVERY_FAILED, {}, ENGINEERS),
        (Condition.RECOVERED, {}, {Audience.DEVELOPMENT, Audience.BUSINESS}),
        (DELIVERY_NOTE, {}, {Audience.BUSINESS}),
    ],
)
def test_each_condition_goes_to_those_who_must_hear_it(condition, facts, hear):
    assert message(condition, AlertFacts(since=NOON, **facts)).audiences == hear


def test_an_overrun_says_how_late_it_will_be():
    facts = AlertFacts(
        since=NOON,
        answered=20_000,
        accounts=100_000,
        estimated_finish=datetime(2026, 11, 24, 16, 12, tzinfo=UTC),
        deadline=datetime(2026, 11, 24, 15, 0, tzinfo=UTC),
    )
    text = message(Condition.PROJECTED_OVERRUN, facts).text
    assert "2026-11-24 10:12 Central (16:12 UTC), 72 min late" in text
    assert "20,000 of 100,000 accounts" in text


def test_a_held_list_says_both_sizes():
    facts = AlertFacts(
        since=NOON, accounts=70_000, previous_accounts=100_000, previous_day=date(2026, 11, 23)
    )
    assert "70,000 accounts, 100,000 on 2026-11-23" in message("account_list_held", facts).text


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2026, 3, 8, 10, 15, tzinfo=UTC), "2026-03-08 05:15 Central (10:15 UTC)"),
        (datetime(2026, 11, 1, 11, 15, tzinfo=UTC), "2026-11-01 05:15 Central (11:15 UTC)"),
    ],
)
def test_times_are_central_on_both_days_of_change(at, text):
    assert both_times(at) == text


@pytest.mark.parametrize(
    ("failed", "text"), [(499, "4.99 %"), (500, "5 %"), (501, "5.01 %"), (50_001, "500.01 %")]
)
def test_a_share_beside_the_threshold_is_not_rounded_onto_it(failed, text):
    assert percent(failed / 10_000) == text


class Tags(HTMLParser):
    """The tags, links and texts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str | None] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.links += [value for name, value in attributes if name in ("href", "src")]

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.parametrize("evil", EVIL)
def test_a_hostile_cause_is_neutral_wherever_it_shows(evil):
    written = message(facts=AlertFacts(since=NOON, cause=evil, run_id=evil))
    page = Tags()
    page.feed(written.html)
    assert page.tags <= {
        "html", "head", "meta", "title", "body", "h2", "table", "tr", "th", "td", "pre",
    }  # fmt: skip
    assert page.links == []
    assert dict(written.facts)["Cause"] in page.texts
    for text in (written.subject, dict(written.facts)["Cause"]):
        assert text.isprintable()
        assert not text.startswith(("=", "+", "-", "@"))
        assert not {"<", ">", "@"} & set(text)
    assert "\nBcc" not in written.text


@given(st.text(max_size=2_000))
def test_any_text_becomes_one_printable_line(text):
    line = one_line(text)
    assert line == "" or line.isprintable()
    assert len(line) <= MAX_LINE
    assert not line.startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠", " "))
    assert one_line(line) == line


def test_a_long_cause_is_cut_between_words_so_that_no_half_secret_is_left():
    cause = "x" * 250 + " by " + "secret-canary" * 5
    assert one_line(cause) == "x" * 250 + " by…"


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_no_secret_and_no_name_is_in_anything_that_leaves_or_stays(
    probe, ledger, mail, pagerduty, webhook, make_settings, caplog
):
    caplog.set_level(logging.DEBUG)
    settings = make_settings(mail, pagerduty, webhook)
    probe.arm()
    raw = {"since": NOON.isoformat(), "cause": probe.text, "run_id": probe.text}
    raise_alert(ledger, DAY, Condition.RUN_FAILED, AlertFacts(**raw))
    name = {"account_name": "Canary & Sons"}
    ledger.outbox.raise_alert(DAY, Condition.NOT_STARTED, raw | name)  # of a version without a mask
    mail.refused_recipients = {"oncall@firm.example"}
    send_due(ledger, settings, NOON, dagster_url="https://ops:canary-ops@dagster.firm.example")
    left = [
        *(each.message.as_string() for each in mail.received),
        *(f"{each.message['Subject']}{each.text}{each.html}" for each in mail.received),
        *(str({**each.body, "routing_key": ""}) for each in pagerduty.requests),
        *(str(each.body) for each in webhook.requests),
        "\n".join(
            record.getMessage()
            for record in caplog.records
            if record.name.startswith(("esg_pipeline.", "apprise", "pagerduty", "httpx"))
        ),
        str(ledger.outbox.alerts(DAY)[0].details),
    ]
    assert len(left) == 10 and all(left)
    for text in left:
        assert not probe.is_readable_in(text), text


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_no_secret_is_in_the_error_of_a_channel_wherever_it_goes(
    probe, ledger, ledger_url, make_settings, monkeypatch, caplog
):
    class Refusing:
        name, audiences, tells_cures = "refusing", frozenset(Audience), True

        def send(self, message: Message) -> None:
            raise ChannelError(f"it said: {probe.text}")

    settings = make_settings()
    probe.arm()
    for module in ("sender", "without_ledger"):
        monkeypatch.setattr(f"esg_pipeline.alerts.{module}.open_channels", lambda _: [Refusing()])
    raise_alert(ledger, DAY, Condition.RUN_FAILED, SIX_PERCENT)
    report = send_due(ledger, settings, NOON)
    database = sa.create_engine(ledger_url)
    with database.connect() as connection:
        (stored,) = connection.scalars(sa.text("SELECT last_error FROM esg_alert_messages"))
    database.dispose()
    tried, *_ = test_channels(settings, NOON)
    assert "it said: " in stored and "it said: " in tried.text
    for text in (stored, tried.text, str(report), caplog.text):
        assert not probe.is_readable_in(text), text


def test_the_facts_have_no_field_for_an_account():
    """Text of any length comes from our own errors only: the cause."""
    fields = AlertFacts.model_json_schema()["properties"]
    texts = {
        name
        for name, field in fields.items()
        if {"type": "string"} in field.get("anyOf", [{"type": field.get("type")}])
        and "format" not in field
    }
    assert texts == {"cause", "run_id"}
    assert (
        "Canary"
        not in compose(
            DAY,
            Condition.RUN_FAILED,
            AlertFacts.from_details({"since": NOON.isoformat(), "account_name": "Canary & Sons"}),
        ).text
    )


def test_facts_come_back_from_the_ledger_as_they_went(ledger):
    raise_alert(ledger, DAY, Condition.FAILURE_SHARE, SIX_PERCENT)
    (alert,) = ledger.outbox.alerts(DAY)
    assert AlertFacts.from_details(alert.details) == SIX_PERCENT


def test_whatever_people_hear_of_has_its_words():
    assert WORDING.keys() == RULES.keys()
