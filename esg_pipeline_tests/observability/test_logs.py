"""Where records go and what is in them; no sink, whatever it does, is the job's problem."""

import json
import logging
import os
import pty
import stat
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import boto3
import pytest
from moto.server import ThreadedMotoServer

from esg_pipeline.observability import sinks
from esg_pipeline.observability.logs import log_to
from esg_pipeline.observability.sinks import Sink, close_all
from esg_pipeline.settings import SettingsError
from esg_pipeline_tests.observability.conftest import DAY

LOG = logging.getLogger("esg_pipeline.scoring")

ONE_RECORD = """
import logging
from datetime import date
from pathlib import Path
from esg_pipeline.observability.logs import log_to
from esg_pipeline.settings import Settings

settings = Settings(_env_file=None, DAGSTER_HOME=Path({home!r}), log_stdout={stdout})
with log_to(settings, run_id="r", day=date({day:%Y, %-m, %-d})):
    logging.getLogger("esg_pipeline.scoring").info("hello")
print("delivered")
"""


def script(home, *, stdout=None):
    return [sys.executable, "-c", ONE_RECORD.format(home=str(home), stdout=stdout, day=DAY)]


def test_a_record_says_what_when_where_and_for_which_run(make_settings, records):
    before = datetime.now(UTC)
    with log_to(make_settings(), run_id="4f1c", day=DAY, step="esg_scores", shard=3):
        LOG.warning("%d accounts failed", 7, extra={"account_id": "A-1", "attempts": 3})
    (record,) = records()
    assert before <= datetime.fromisoformat(record.pop("time")) <= datetime.now(UTC)
    assert record == {
        "level": "WARNING",
        "logger": "esg_pipeline.scoring",
        "message": "7 accounts failed",
        "run_id": "4f1c",
        "date": "2026-11-24",
        "step": "esg_scores",
        "shard": 3,
        "account_id": "A-1",
        "attempts": 3,
    }


def test_a_step_inside_a_run_changes_the_fields_and_opens_nothing(make_settings, records):
    settings = make_settings()
    with log_to(settings, run_id="r", day=DAY):
        LOG.info("start")
        with log_to(settings, run_id="r", day=DAY, step="esg_scores"):
            LOG.info("inside")
        LOG.info("end")
    assert [(each["message"], each["step"]) for each in records()] == [
        ("start", None),
        ("inside", "esg_scores"),
        ("end", None),
    ]


def test_other_loggers_are_left_alone_and_get_nothing_of_ours(make_settings, records):
    root, ours = logging.getLogger(), logging.getLogger("esg_pipeline")
    seen: list[logging.LogRecord] = []
    spy = logging.Handler()
    spy.emit = seen.append
    root.addHandler(spy)
    before = (list(root.handlers), root.level, ours.level, ours.propagate, list(ours.handlers))
    try:
        with log_to(make_settings(), run_id="r", day=DAY):
            logging.getLogger("dagster").warning("theirs")
            LOG.warning("ours")
            assert root.handlers == before[0]
    finally:
        root.removeHandler(spy)
        before[0].remove(spy)
    after = (list(root.handlers), root.level, ours.level, ours.propagate, list(ours.handlers))
    assert after == before
    assert [each.getMessage() for each in seen] == ["theirs"]
    assert [each["message"] for each in records()] == ["ours"]


@pytest.mark.parametrize(("level", "texts"), [("INFO", ["i", "w"]), ("DEBUG", ["d", "i", "w"])])
def test_the_level_is_a_setting(level, texts, make_settings, records):
    with log_to(make_settings(log_level=level), run_id="r", day=DAY):
        LOG.debug("d")
        LOG.info("i")
        LOG.warning("w")
    assert [each["message"] for each in records()] == texts


def test_only_the_owner_may_read_the_file(make_settings, log_file):
    log_file.parent.mkdir(mode=0o700)
    log_file.touch(0o644)
    with log_to(make_settings(), run_id="r", day=DAY):
        LOG.info("x")
    assert stat.S_IMODE(log_file.stat().st_mode) == 0o600


def test_a_day_has_one_file_and_old_ones_go(make_settings, log_file, records):
    log_file.parent.mkdir()
    old, recent = (log_file.with_name(f"esg_pipeline_2026{d}.jsonl") for d in ("0101", "1101"))
    other = log_file.with_name("someone_elses.log")
    for file, days in ((old, 91), (recent, 89), (other, 1000)):
        file.touch()
        os.utime(file, (time.time() - days * 86_400,) * 2)
    for run_id in ("first", "second"):
        with log_to(make_settings(), run_id=run_id, day=DAY):
            LOG.info("x")
    assert [each["run_id"] for each in records()] == ["first", "second"]
    assert not old.exists()
    assert recent.exists()
    assert other.exists()


@pytest.mark.servers
def test_standard_output_gets_the_records_when_nobody_looks_at_it(tmp_path):
    done = subprocess.run(script(tmp_path), capture_output=True, text=True, check=True, timeout=60)
    record, last = done.stdout.splitlines()
    assert json.loads(record)["message"] == "hello"
    assert last == "delivered"


@pytest.mark.servers
@pytest.mark.parametrize(("stdout", "lines"), [(None, 1), (True, 2)])
def test_a_terminal_belongs_to_the_progress_bar_unless_asked(tmp_path, stdout, lines):
    screen, terminal = pty.openpty()
    subprocess.run(script(tmp_path, stdout=stdout), stdout=terminal, check=True, timeout=60)
    os.close(terminal)
    seen = os.read(screen, 10_000).decode()
    os.close(screen)
    assert len(seen.splitlines()) == lines
    assert (tmp_path / "logs").exists()


@pytest.mark.servers
def test_a_file_that_hangs_does_not_keep_the_process(tmp_path):
    """A network share that is gone: opening it blocks, here as a pipe that nobody reads."""
    (tmp_path / "logs").mkdir()
    os.mkfifo(tmp_path / "logs" / f"esg_pipeline_{DAY:%Y%m%d}.jsonl")
    done = subprocess.run(
        script(tmp_path, stdout=False), capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "delivered\n"
    assert "1 log records could not be written to the file" in done.stderr


@pytest.mark.servers
def test_a_reader_of_standard_output_that_hangs_does_not_keep_the_process(tmp_path):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 65_536)
    except BlockingIOError:
        os.set_blocking(writing, True)
    command = script(tmp_path)
    command[-1] = command[-1].replace('print("delivered")', "")
    done = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, text=True, check=True, timeout=60
    )
    os.close(writing)
    os.close(reading)
    assert done.stderr == ""
    (line, told) = (tmp_path / "logs" / f"esg_pipeline_{DAY:%Y%m%d}.jsonl").read_text().splitlines()
    assert json.loads(line)["message"] == "hello"
    assert json.loads(told)["message"] == "log sink standard output: 1 records dropped"


def test_a_home_that_cannot_be_written_does_not_stop_the_job(make_settings, tmp_path, capsys):
    (tmp_path / "logs").touch()
    with log_to(make_settings(), run_id="r", day=DAY):
        LOG.info("x")
    assert "log records could not be written" in capsys.readouterr().err


class Hanging:
    """A destination that hangs until it is let go."""

    def __init__(self):
        self.has_begun = threading.Event()
        self.let_go = threading.Event()
        self.written = []

    def write(self, record):
        self.has_begun.set()
        self.let_go.wait()
        self.written.append(record.msg)

    def close(self):
        pass


def record(text):
    return logging.makeLogRecord({"msg": text})


def test_what_does_not_fit_is_dropped_counted_and_told(make_settings, records, monkeypatch, told):
    monkeypatch.setattr(sinks, "QUEUE_RECORDS", 100)
    writer = Hanging()
    sink = Sink("slow", writer)
    with log_to(make_settings(), run_id="r", day=DAY):
        sink.put(record("0"))
        assert writer.has_begun.wait(10)
        for number in range(1, 1_001):  # none of them waits for the writer, which hangs
            sink.put(record(str(number)))
        writer.let_go.set()
        assert told.wait(10)
        close_all([sink], 10)
    assert writer.written == [str(number) for number in range(101)]
    assert sink.dropped == 900
    (notice,) = records()
    assert notice["message"] == "log sink slow works; 900 records were dropped"


class Failing(Hanging):
    """A destination that refuses the first two tries."""

    tries = 0

    def write(self, record):
        self.tries += 1
        if self.tries <= 2:
            raise ConnectionRefusedError(111, "Connection refused")
        self.written.append(record.msg)
        self.let_go.set()


def test_a_record_is_tried_again_and_the_trouble_told_once(make_settings, records, monkeypatch):
    monkeypatch.setattr(sinks, "FIRST_RETRY_S", 0.01)
    writer = Failing()
    sink = Sink("far", writer)
    with log_to(make_settings(), run_id="r", day=DAY):
        sink.put(record("kept"))
        assert writer.let_go.wait(10)
        close_all([sink], 10)
    assert writer.written == ["kept"]
    assert [each["message"] for each in records()] == [
        "log sink far takes no records (ConnectionRefusedError: Connection refused); the job "
        "goes on, up to 10000 records wait",
        "log sink far works; 0 records were dropped",
    ]


HALF_A_LINE = """
import logging, resource
from datetime import date
from pathlib import Path
from esg_pipeline.observability.sinks import DailyFile

file = DailyFile(Path({folder!r}), date(2026, 11, 24), 90)
first, second = (logging.makeLogRecord({{"msg": text * 50}}) for text in "ab")
file.write(first)
resource.setrlimit(resource.RLIMIT_FSIZE, (70, resource.RLIM_INFINITY))
for _ in range(2):
    try:
        file.write(second)
    except OSError as error:
        print(error.strerror)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
file.write(second)
"""


@pytest.mark.servers
def test_half_a_line_on_a_full_disk_becomes_a_whole_one(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", HALF_A_LINE.format(folder=str(tmp_path))],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == "File too large\n" * 2
    text = (tmp_path / "esg_pipeline_20261124.jsonl").read_text()
    assert text.splitlines() == ["a" * 50, "b" * 50]


@pytest.fixture
def cloud(servers, monkeypatch):
    """A simulated CloudWatch Logs, reached as a real one would be."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    yield boto3.session.Session().client("logs")
    server.stop()


def test_records_reach_cloudwatch_in_a_stream_of_the_run(cloud, make_settings):
    cloud.create_log_group(logGroupName="esg")
    with log_to(make_settings(log_cloudwatch_group="esg"), run_id="4f1c", day=DAY):
        LOG.info("to the cloud")
        LOG.info("and again")
    events = cloud.get_log_events(logGroupName="esg", logStreamName="2026-11-24/4f1c")["events"]
    assert [json.loads(event["message"])["message"] for event in events] == [
        "to the cloud",
        "and again",
    ]


def test_cloudwatch_without_its_package_is_a_clear_error(make_settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "watchtower", None)
    with (
        pytest.raises(SettingsError, match=r"ESG_LOG_CLOUDWATCH_GROUP: needs the package watchtow"),
        log_to(make_settings(log_cloudwatch_group="esg"), run_id="r", day=DAY),
    ):
        pass


@pytest.mark.servers
def test_cloudwatch_without_a_region_is_a_clear_error(make_settings, monkeypatch, tmp_path):
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with (
        pytest.raises(
            SettingsError, match=r"ESG_LOG_CLOUDWATCH_GROUP: AWS is not set up: .*region"
        ),
        log_to(make_settings(log_cloudwatch_group="esg"), run_id="r", day=DAY),
    ):
        pass
