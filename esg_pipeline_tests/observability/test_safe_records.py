"""No secret and no forged line reaches a log, however it comes in (docs/faults.md#l10)."""

import logging
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esg_pipeline.observability.logs import log_to
from esg_pipeline.observability.safe_records import SafeRecords, keep_last_resort_safe
from esg_pipeline.safe_text import register_secret
from esg_pipeline_tests.observability.conftest import DAY
from esg_pipeline_tests.safe_text.probes import PROBES

LOG = logging.getLogger("esg_pipeline.scoring")


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_no_secret_survives_in_any_part_of_a_record(probe, make_settings, records, log_file):
    leak = probe.text
    settings = make_settings()
    probe.arm()
    with log_to(settings, run_id="r", day=DAY):
        LOG.warning(leak)
        LOG.warning("an argument: %s and %r", leak, leak)
        LOG.warning("extra", extra={"body": leak, "nested": {"list": [(leak,)], leak: 1}})
        LOG.warning("an object", extra={"error": ValueError(leak)})
        try:
            raise ConnectionError(leak) from ValueError(leak)
        except ConnectionError:
            LOG.exception("failed", stack_info=True)
    assert not probe.is_readable_in(log_file.read_text())
    assert len(records()) == 5
    assert records()[0]["message"].count("***") >= 1


def test_a_fetched_token_is_masked_from_then_on(make_settings, records):
    with log_to(make_settings(), run_id="r", day=DAY):
        register_secret("fetched-0123456789")
        LOG.info("got fetched-0123456789")
    assert records()[0]["message"] == "got ***"


def test_a_record_that_no_handler_takes_goes_to_standard_error_without_secrets(capsys):
    register_secret("canary-secret")
    keep_last_resort_safe()
    record = logging.makeLogRecord({"msg": "got %s\n", "args": ("canary-secret",)})
    record.exc_info = (ValueError, ValueError("canary-secret"), None)
    logging.lastResort.handle(record)
    assert capsys.readouterr().err == "got ***\\n\nValueError: ***\n"


@given(st.text(min_size=1))
def test_no_text_makes_a_line_of_its_own(forged):
    record = logging.makeLogRecord({"msg": forged, "body": {"k": forged}})
    try:
        raise ValueError(forged)
    except ValueError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    assert SafeRecords().filter(record)
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
