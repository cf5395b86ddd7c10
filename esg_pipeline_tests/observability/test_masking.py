"""No secret and no forged line reaches a log, however it comes in (docs/faults.md#l10)."""

import base64
import logging
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esg_pipeline.observability.logs import log_to, register_secret
from esg_pipeline.observability.masking import SecretFilter
from esg_pipeline.settings import Settings
from esg_pipeline_tests.observability.conftest import DAY

TOKEN = 'canary-tok/en+"5f0c\\x'
PASSWORD = "canary p@ss:w/rd"
LOG = logging.getLogger("esg_pipeline.scoring")


def all_secrets(make_settings):
    return make_settings(
        api_token=TOKEN,
        api_oauth_client_secret="canary-client-secret",
        accounts_url="postgresql+psycopg://esg:canary-db%40pw@db.example/esg",
        ledger_url="postgresql+psycopg://esg@db/esg?password=canary-query-pw",
        smtp_url="smtps://alerts:canary p%40ss:w%2Frd@mail.example:465",
        pagerduty_routing_key="canary0routing0keyé",
        alert_urls="slack://canaryTokenA/canaryTokenB/canaryTokenC/#esg",
        pushgateway_url="https://push:canary-push@gateway.example:9091",
        api_url="https://api.example/v1?api_key=canary-in-query",
    )


@pytest.mark.parametrize(
    "leak",
    [
        TOKEN,
        f"Authorization: Bearer {TOKEN}",
        "client_secret=canary-client-secret&x=1",
        "postgresql+psycopg://esg:canary-db%40pw@db.example/esg",
        "password canary-db@pw refused",
        "canary-query-pw",
        PASSWORD,
        "canary+p%40ss%3Aw%2Frd",
        "canary0routing0keyé",
        "slack://canaryTokenA/canaryTokenB/canaryTokenC/#esg",
        "canary-push",
        "canary-in-query",
    ],
)
def test_no_setting_that_is_secret_survives_in_any_part_of_a_record(
    leak, make_settings, records, log_file
):
    with log_to(all_secrets(make_settings), run_id="r", day=DAY):
        LOG.warning(leak)
        LOG.warning("an argument: %s and %r", leak, leak)
        LOG.warning("extra", extra={"body": leak, "nested": {"list": [(leak,)], leak: 1}})
        LOG.warning("an object", extra={"error": ValueError(leak)})
        try:
            raise ConnectionError(leak) from ValueError(leak)
        except ConnectionError:
            LOG.exception("failed")
    assert "canary" not in log_file.read_text()
    assert len(records()) == 5
    assert records()[0]["message"].count("***") >= 1


def test_what_surrounds_a_secret_stays_readable(make_settings):
    secrets = SecretFilter(all_secrets(make_settings))
    url = "postgresql+psycopg://esg:canary-db%40pw@db.example/esg"
    assert secrets.mask(f"cannot reach {url}: timeout") == (
        "cannot reach postgresql+psycopg://esg:***@db.example/esg: timeout"
    )


def test_a_fetched_token_is_masked_from_then_on(make_settings, records):
    with log_to(make_settings(), run_id="r", day=DAY):
        register_secret("fetched-0123456789")
        LOG.info("got fetched-0123456789")
    assert records()[0]["message"] == "got ***"


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.unknownunknown",
        f"Authorization: Basic {base64.b64encode(b'client:unknownsecret').decode()}",
        "amqp://user:unknownsecret@host/",
    ],
)
def test_a_secret_that_nobody_told_of_is_masked_where_it_stands(text, make_settings):
    masked = SecretFilter(make_settings()).mask(text)
    assert "unknown" not in masked
    assert "bmtub3du" not in masked
    assert "***" in masked


def test_a_short_password_does_not_eat_our_own_words(make_settings):
    secrets = SecretFilter(make_settings(ledger_url="postgresql+psycopg://esg:esg@db/x"))
    assert secrets.mask("esg_pipeline: password esg refused") == (
        "esg_pipeline: password *** refused"
    )


SECRET_TEXT = st.text(alphabet="abAB01-_/+=%@:.\"'\\ é\n", min_size=5, max_size=20)


@given(before=st.text(), first=SECRET_TEXT, shared=SECRET_TEXT, last=SECRET_TEXT, after=st.text())
def test_overlapping_secrets_are_both_gone(before, first, shared, last, after):
    secrets = SecretFilter(Settings(_env_file=None, pagerduty_routing_key=first + shared))
    secrets.register_secret(shared + last)
    masked = secrets.mask(before + first + shared + last + after)
    assert first + shared not in masked
    assert shared + last not in masked


@given(st.text(min_size=1))
def test_no_text_makes_a_line_of_its_own(forged):
    record = logging.makeLogRecord({"msg": forged, "body": {"k": forged}})
    try:
        raise ValueError(forged)
    except ValueError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    assert SecretFilter(Settings(_env_file=None)).filter(record)
    for text in (record.msg, record.body["k"], *record.exc_text.split("\n")):
        assert len(text.splitlines()) <= 1
        assert not {unicodedata.category(each) for each in text} & {"Cc", "Cs", "Zl", "Zp"}


def test_a_forged_record_stays_inside_the_one_it_came_in(make_settings, records):
    with log_to(make_settings(), run_id="r", day=DAY):
        LOG.warning('x\n{"level": "INFO", "message": "all is well"}\r\x1b[2J\u202e')
    (record,) = records()
    assert record["level"] == "WARNING"
    assert record["message"] == (
        'x\\n{"level": "INFO", "message": "all is well"}\\r\\x1b[2J\\u202e'
    )


class Unshowable:
    def __str__(self):
        raise RuntimeError("no")


def test_a_record_that_cannot_be_shown_does_not_stop_who_logs_it(make_settings, records):
    circle: list[object] = []
    circle.append(circle)
    with log_to(make_settings(), run_id="r", day=DAY):
        LOG.info("%d accounts", "many")
        LOG.info("%s", Unshowable())
        LOG.info("extra", extra={"thing": Unshowable(), "circle": circle, "rate": float("nan")})
    first, second, third = records()
    assert first["message"] == "'%d accounts' (its arguments do not fit)"
    assert second["message"] == "'%s' (its arguments do not fit)"
    assert third["thing"] == "<Unshowable that cannot be shown>"
    assert third["circle"] == "<list that cannot be shown>"
    assert third["rate"] == "nan"
