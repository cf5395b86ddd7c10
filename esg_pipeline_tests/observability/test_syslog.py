"""Records reach a real syslog server over TLS, or the file says why not."""

import json
import logging
import re
from datetime import datetime

import pytest

from esg_pipeline.observability.logs import log_to
from esg_pipeline.observability.syslog import TlsSyslog
from esg_pipeline_tests.observability.conftest import DAY
from esg_pipeline_tests.observability.syslog_server import run_syslog

LOG = logging.getLogger("esg_pipeline.scoring")
RFC_5424 = re.compile(
    rb"<(?P<priority>\d+)>1 (?P<time>\S+Z) (?P<host>\S+) esg_pipeline (?P<pid>\d+) - - (?P<text>.*)"
)


@pytest.fixture
def server(servers, tmp_path):
    with run_syslog(tmp_path) as running:
        yield running


def record(text):
    return logging.makeLogRecord({"msg": text, "levelno": logging.INFO, "levelname": "INFO"})


def received(server):
    match = RFC_5424.fullmatch(server.messages.get(timeout=10))
    assert match
    return match


def test_each_record_is_one_rfc_5424_message_in_a_tls_frame(server, make_settings):
    settings = make_settings(
        log_syslog_url=server.url, log_syslog_ca_file=server.ca_file, log_level="DEBUG"
    )
    with log_to(settings, run_id="r-1", day=DAY, step="esg_scores"):
        LOG.info("första")
        LOG.error("second\nline")
        LOG.debug("third")
    priorities = []
    for text in ("första", "second\\nline", "third"):
        message = received(server)
        priorities.append(int(message["priority"]))
        body = json.loads(message["text"])
        assert (body["message"], body["step"], body["run_id"]) == (text, "esg_scores", "r-1")
        assert datetime.fromisoformat(message["time"].decode()).utcoffset().total_seconds() == 0
    assert priorities == [16 * 8 + 6, 16 * 8 + 3, 16 * 8 + 7]
    assert server.said_goodbye.wait(10)


def test_a_server_that_cannot_prove_itself_gets_nothing(server, make_settings, records):
    with log_to(make_settings(log_syslog_url=server.url), run_id="r", day=DAY):
        LOG.info("secret plans")
        assert "unknown ca" in str(server.handshake_errors.get(timeout=10)).lower()
    assert server.messages.empty()
    texts = [each["message"] for each in records()]
    assert texts[0] == "secret plans"
    assert "log sink syslog takes no records (SSLCertVerificationError" in texts[1]
    assert texts[2:] == ["log sink syslog: 2 records dropped"]  # the record, and the warning


def test_the_wrong_host_name_is_refused(server):
    syslog = TlsSyslog(f"syslog+tls://127.0.0.1:{server.port}", server.ca_file)
    with pytest.raises(OSError, match="IP address mismatch"):
        syslog.write(record("x"))


def test_a_server_that_restarts_between_two_records_loses_neither(server):
    syslog = TlsSyslog(server.url, server.ca_file)
    syslog.write(record("before"))
    assert received(server)["text"] == b"before"
    server.stop()
    server.start()
    syslog.write(record("after"))
    assert received(server)["text"] == b"after"
    syslog.close()


def test_records_wait_for_a_server_that_is_down_for_a_moment(server, make_settings, records, told):
    settings = make_settings(log_syslog_url=server.url, log_syslog_ca_file=server.ca_file)
    server.stop()
    with log_to(settings, run_id="r", day=DAY):
        LOG.info("while down")
        assert told.wait(10)
        server.start()
        assert json.loads(received(server)["text"])["message"] == "while down"
    texts = [each["message"] for each in records()]
    assert texts[1].startswith("log sink syslog takes no records (ConnectionRefusedError: ")
    assert texts[2] == "log sink syslog works; 0 records were dropped"
