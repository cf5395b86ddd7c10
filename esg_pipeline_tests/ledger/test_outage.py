"""The ledger away, frozen, locked, full or answering too late: one clear line, and it goes on."""

import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from esg_pipeline.ledger import Ledger, LedgerUnavailable
from esg_pipeline.safe_text import mask
from esg_pipeline.sql_errors import words_of
from esg_pipeline_tests.ledger.runs import DAY, NOON, good, run, statuses
from esg_pipeline_tests.ledger.worker import Worker
from esg_pipeline_tests.safe_text.probes import PROBES
from esg_pipeline_tests.servers.cutting_proxy import CuttingProxy


@pytest.fixture
def impatient(postgres):
    """A ledger on PostgreSQL with a run at work; nothing may take longer than half a second."""
    ledger = Ledger.open(postgres.new_schema(), patience_s=0.5)
    yield ledger
    ledger.close()


def test_a_database_that_stops_in_the_middle_of_a_run_is_waited_for(postgres, impatient):
    lease = impatient.leases.acquire(DAY, run_id="run-1")
    edition = impatient.editions.open(lease, **run("run-1"))
    writer = impatient.results.writer(lease, edition)
    writer.begin_attempts(["a", "b"])
    postgres.stop()
    try:
        for _ in range(2):
            with pytest.raises(LedgerUnavailable, match="cannot be used") as away:
                writer.record([good("a")])
            assert away.value.retryable
            assert "\n" not in str(away.value)
    finally:
        postgres.start()
    writer.record([good("a")], refunded=["b"])
    assert statuses(impatient, edition) == {"a": "Successful"}
    assert impatient.results.resume_state(edition).attempts == {}
    lease.release()


def test_a_frozen_database_is_noticed_in_time(postgres, impatient):
    lease = impatient.leases.acquire(DAY, run_id="run-1")
    edition = impatient.editions.open(lease, **run("run-1"))
    writer = impatient.results.writer(lease, edition)
    with postgres.frozen():
        # It answers never; that the call comes back is the promise.
        with pytest.raises(LedgerUnavailable) as away:
            writer.record([good("a")])
        assert away.value.retryable
    writer.record([good("a")])
    assert statuses(impatient, edition) == {"a": "Successful"}
    lease.release()


def test_connections_that_the_server_ended_are_not_noticed_at_all(postgres, impatient):
    impatient.check()
    postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'esg_pipeline'"
    )
    impatient.check()


@pytest.mark.servers
def test_nobody_there_is_said_in_one_line_without_the_password():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(LedgerUnavailable) as away:
        Ledger.open(f"postgresql+psycopg://esg:s3cret@127.0.0.1:{port}/esg?sslpassword=s4cret")
    text = str(away.value)
    assert f"postgresql://127.0.0.1:{port}/esg" in text
    assert "cret" not in text and "\n" not in text
    assert away.value.retryable


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_no_words_of_a_driver_show_a_secret(probe):
    probe.arm()
    said = words_of(DBAPIError("SELECT 1", {}, psycopg.OperationalError(probe.text)))
    assert not probe.is_readable_in(said)


def test_the_password_of_a_ledger_is_masked_from_its_opening_on():
    with pytest.raises(LedgerUnavailable):
        Ledger.open("postgresql+psycopg://esg:s3cr%40t@127.0.0.1:1/esg")
    assert mask("no s3cr@t") == "no ***"


def test_a_role_that_does_not_exist_is_said_without_the_password(postgres):
    url = postgres.url("postgres", user="nobody:s3cret")
    with pytest.raises(LedgerUnavailable, match='role "nobody" does not exist') as refused:
        Ledger.open(url)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "mysql+pymysql://u:s3cret@127.0.0.1/x",
        "postgresql+psycopg2://u:s3cret@127.0.0.1/x",
        "sqlite://",
        "sqlite:///:memory:",
        "u:s3cret@127.0.0.1",
    ],
)
def test_a_url_that_cannot_be_a_ledger_is_refused(url):
    with pytest.raises(LedgerUnavailable, match="ESG_LEDGER_URL") as refused:
        Ledger.open(url)
    assert not refused.value.retryable
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("then", ["record", "begin", "fail", "deliver", "alert", "open", "acquire"])
def test_a_lost_confirmation_is_harmless_when_the_call_is_made_again(postgres, then):
    """The server commits, and the connection breaks before its answer arrives."""
    with CuttingProxy(postgres.port) as proxy:
        url = postgres.new_schema().replace(str(postgres.port), str(proxy.port))
        ledger = Ledger.open(url, patience_s=2)
        lease = ledger.leases.acquire(DAY, run_id="run-1")
        edition = ledger.editions.open(lease, **run("run-1"))
        writer = ledger.results.writer(lease, edition)
        writer.begin_attempts(["a", "b", "c"])

        def act():
            match then:
                case "record":
                    writer.record([good("a")], [("b", 1, "timeout")], ["c"])
                case "begin":
                    writer.begin_attempts(["d"])
                case "fail":
                    ledger.results.fail_unanswered(
                        lease, edition, ["a", "d"], reason="deadline", message="", now=NOON
                    )
                case "deliver":
                    ledger.editions.mark_delivered(lease, edition, manifest={})
                case "alert":
                    ledger.outbox.raise_alert(DAY, "run_failed", {})
                case "open":
                    ledger.editions.open(lease, **run("run-1"))
                case "acquire":
                    ledger.leases.acquire(DAY, run_id="run-1").release()

        proxy.cut_after_commit()
        with pytest.raises(LedgerUnavailable):
            act()
        assert proxy.has_cut
        act()

        state = ledger.results.resume_state(edition)
        expected = {
            "record": ({"a"}, {"b": 1}),
            "begin": (set(), {"a": 1, "b": 1, "c": 1, "d": 1}),
            "fail": ({"a", "d"}, {"b": 1, "c": 1}),
            "deliver": (set(), {}),
        }
        unchanged = (set(), {"a": 1, "b": 1, "c": 1})
        assert (state.answered, state.attempts) == expected.get(then, unchanged)
        assert len(ledger.editions.of_day(DAY)) == 1
        assert len(ledger.outbox.alerts(DAY)) == (then == "alert")
        actions = [each.action for each in ledger.audit.entries()]
        assert actions == ["open_edition", "deliver"][: 1 + (then == "deliver")]
        assert ledger.audit.first_broken() is None
        if then != "acquire":
            lease.release()
        ledger.close()


def test_a_locked_file_is_waited_for_and_then_reported(tmp_path):
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.db", patience_s=0.3)
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable, match="locked") as busy:
            ledger.audit.append("kim", "fetch", outcome="done")
        assert busy.value.retryable
        assert ledger.leases.holder(DAY) is None  # reading goes on
        other.execute("ROLLBACK")
    assert ledger.audit.append("kim", "fetch", outcome="done") == 1
    ledger.close()


@pytest.mark.servers
@pytest.mark.needs("mount rights")
def test_a_full_disk_stops_the_run_and_space_lets_it_go_on(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    in_small_disk = (
        *("unshare", "-m", "sh", "-c"),
        f'mount -t tmpfs -o size=2m tmpfs "{disk}" && head -c 500000 /dev/zero > "{disk}/filler" '
        '&& exec "$@"',
        "sh",
    )
    with Worker(f"sqlite:///{disk}/ledger.db", "run-1", command=in_small_disk) as worker:
        worker.tell("acquire")
        worker.tell("open")
        assert worker.tell("fill 100").startswith("LedgerUnavailable")
        assert "Make space" in worker.tell("fill 100")
        Path(f"/proc/{worker.pid}/root{disk}/filler").unlink()
        assert worker.tell("record after") == "ok None"
        assert worker.tell("deliver") == "ok None"


def test_a_file_that_is_no_ledger_is_not_overwritten(tmp_path):
    file = tmp_path / "ledger.db"
    file.write_bytes(b"not a database, but somebody's file" * 100)
    before = file.read_bytes()
    with pytest.raises(LedgerUnavailable, match="not a database") as refused:
        Ledger.open(f"sqlite:///{file}")
    assert not refused.value.retryable
    assert file.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LedgerUnavailable, match=r"file/ledger\.db cannot be made"):
        Ledger.open(f"sqlite:///{tmp_path}/file/ledger.db")
