"""The audit trail: every fact has its entry, and no entry can be changed without being noticed."""

import csv
import hashlib
import io
import json
from pathlib import Path

import psycopg
import pytest

import esg_pipeline.ledger
from esg_pipeline.ledger import Ledger, LedgerUnavailable
from esg_pipeline_tests.ledger.runs import DAY, NOON, edit, failed, good, run

GRANTS = Path(esg_pipeline.ledger.__file__).parent / "grants.sql"


@pytest.fixture
def trail(ledger) -> Ledger:
    """A ledger with five entries."""
    for n in range(1, 6):
        ledger.audit.append(
            f"kim {n}", "fetch", outcome="done", day=DAY, edition=n, details={"n": n}
        )
    assert ledger.audit.first_broken() is None
    return ledger


def test_a_run_leaves_its_story(ledger, lease, edition):
    ledger.editions.mark_held(lease, edition, "list shrank")
    asked = {"asked_by": "kim", "reason": "list is right"}
    edition = ledger.editions.open(lease, **run("run-2", label="manual", **asked))
    ledger.results.writer(lease, edition).record([good("a"), failed("b")])
    ledger.editions.mark_delivered(lease, edition, manifest={})
    entries = list(ledger.audit.entries())
    assert [(each.who, each.action, each.outcome) for each in entries] == [
        ("scheduled run", "open_edition", "opened"),
        ("scheduled run", "hold_edition", "held"),
        ("kim", "resume_edition", "resumed"),
        ("kim", "deliver", "delivered"),
    ]
    assert {(each.day, each.edition) for each in entries} == {(DAY.isoformat(), 1)}
    assert json.loads(entries[3].details) == {
        "Successful": 1,
        "Partial": 0,
        "Failed": 1,
        "reason": "list is right",
        "run_id": "run-2",
    }
    assert ledger.audit.first_broken() is None


@pytest.mark.parametrize(
    "change",
    [
        "at = '2020-01-01T00:00:00+00:00'",
        "who = 'somebody'",
        "action = 'nothing'",
        "day = '2026-11-25'",
        "edition = 9",
        "outcome = 'denied'",
        "details = '{}'",
        "hash = (SELECT hash FROM esg_audit WHERE seq = 2)",
        "seq = 30",
    ],
)
def test_an_edited_row_is_named(trail, change):
    edit(trail, f"UPDATE esg_audit SET {change} WHERE seq = 3")
    assert trail.audit.first_broken() == 3


@pytest.mark.parametrize(
    ("sql", "first_broken"),
    [
        ("DELETE FROM esg_audit WHERE seq = 1", 1),
        ("DELETE FROM esg_audit WHERE seq = 3", 3),
        ("DELETE FROM esg_audit WHERE seq >= 4", 4),
        ("DELETE FROM esg_audit", 1),
        ("UPDATE esg_audit SET details = '{}' WHERE seq IN (2, 5)", 2),
        ("UPDATE esg_audit_head SET hash = 'x'", 5),
    ],
)
def test_a_removed_row_is_named_wherever_it_was(trail, sql, first_broken):
    edit(trail, sql)
    assert trail.audit.first_broken() == first_broken


def test_a_row_that_somebody_added_is_named(trail):
    edit(
        trail,
        "INSERT INTO esg_audit SELECT 6, at, who, action, day, edition, outcome, details, hash "
        "FROM esg_audit WHERE seq = 5",
    )
    assert trail.audit.first_broken() == 6


def test_a_row_computed_again_breaks_the_next_one(trail):
    """Somebody who knows the rule has to rewrite everything after, and the head kept elsewhere."""
    seq, head = trail.audit.head()
    edit(trail, "UPDATE esg_audit SET who = 'somebody' WHERE seq = 3")
    entries = list(trail.audit.entries())
    forged = hash_by_the_written_rule(entries[1].hash, entries[2])
    edit(trail, "UPDATE esg_audit SET hash = :hash WHERE seq = 3", hash=forged)
    assert trail.audit.first_broken() == 4
    assert (seq, head) == (5, entries[4].hash)


def hash_by_the_written_rule(previous, entry):
    fields = ("action", "at", "day", "details", "edition", "outcome", "seq", "who")
    content = {name: getattr(entry, name) for name in fields}
    text = json.dumps(content, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256((previous + text).encode()).hexdigest()


def test_an_examiner_can_compute_the_hashes_from_the_export(trail):
    trail.audit.append("李 🙂", "fetch", outcome='"quoted"\n', details={"why": "é \0 ünï"})
    out = io.StringIO()
    assert trail.audit.export(out, "json") == 6
    previous = "0" * 64
    for line in out.getvalue().splitlines():
        row = json.loads(line)
        content = {name: row[name] for name in row if name != "hash"}
        text = json.dumps(content, separators=(",", ":"), sort_keys=True)
        assert row["hash"] == hashlib.sha256((previous + text).encode()).hexdigest()
        previous = row["hash"]


def test_the_csv_export_is_inert_in_a_spreadsheet(trail):
    trail.audit.append('=HYPERLINK("http://x")', "fetch", outcome="@SUM(A1)")
    trail.audit.append("＝1+1", "fetch", outcome="\n=1")
    out = io.StringIO(newline="")
    assert trail.audit.export(out, "csv") == 7
    rows = list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))
    assert (rows[5]["who"], rows[5]["outcome"]) == ('\'=HYPERLINK("http://x")', "'@SUM(A1)")
    assert (rows[6]["who"], rows[6]["outcome"]) == ("'＝1+1", "'\n=1")
    assert [row["seq"] for row in rows] == list("1234567")
    assert (rows[0]["who"], rows[0]["day"]) == ("kim 1", "2026-11-24")


def test_two_processes_do_not_fork_the_chain(ledger, start_worker):
    workers = [start_worker(f"run-{n}") for n in range(2)]
    for worker in workers:
        worker.ask(f"audit 15 {worker.pid}")
    assert [worker.answer() for worker in workers] == ["ok None", "ok None"]
    entries = list(ledger.audit.entries())
    assert [each.seq for each in entries] == list(range(1, 31))
    assert len({each.who for each in entries[:25]}) == 2
    assert ledger.audit.first_broken() is None


def test_pages_of_the_trail_join(trail, monkeypatch):
    monkeypatch.setattr("esg_pipeline.ledger.audit._PAGE", 2)
    assert [each.seq for each in trail.audit.entries()] == [1, 2, 3, 4, 5]
    assert trail.audit.first_broken() is None


@pytest.fixture
def application(postgres):
    """A ledger that a role without ownership uses, with the shipped grants."""
    owners_url = postgres.new_database()
    database = owners_url.rpartition("/")[2]
    role = f"app_{database}"
    postgres.execute(f"CREATE ROLE {role} LOGIN")
    Ledger.open(owners_url).close()
    postgres.psql(GRANTS, database, app=role)
    ledger = Ledger.open(postgres.url(database, user=role))
    yield ledger
    ledger.close()


def test_the_applications_role_can_do_the_whole_job(application):
    ledger = application
    ledger.check()
    with ledger.leases.acquire(DAY, run_id="run-1") as lease:
        edition = ledger.editions.open(lease, **run("run-1"))
        ledger.editions.set_accounts(lease, edition, count=2, sha256="")
        writer = ledger.results.writer(lease, edition)
        writer.begin_attempts(["a", "b"])
        writer.record([good("a")], [("b", 1, "timeout")])
        with lease.fence():
            ledger.editions.mark_delivered(lease, edition, manifest={})
        ledger.editions.open(lease, **run("run-2", "accounts"), reask=["a"])
    ledger.outbox.raise_alert(DAY, "run_failed", {})
    for message in ledger.outbox.take_due(NOON, lambda _: ["mail"]):
        ledger.outbox.mark_sent(message, NOON)
    ledger.retention.place_hold(DAY, "kim", "case 7")
    ledger.retention.release_hold(DAY, "kim", "case closed")
    report = ledger.retention.purge_before(DAY.replace(day=25), who="kim", dry_run=False)
    assert report.purged == (DAY,)
    assert ledger.audit.first_broken() is None


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE esg_audit SET who = 'somebody'",
        "DELETE FROM esg_audit",
        "TRUNCATE esg_audit",
        "DROP TABLE esg_audit",
        "ALTER TABLE esg_audit ADD COLUMN x int",
        "DELETE FROM esg_audit_head",
        "DELETE FROM esg_leases",
    ],
)
def test_the_applications_role_cannot_change_the_trail(application, sql):
    application.audit.append("kim", "fetch", outcome="done")
    with (
        pytest.raises(LedgerUnavailable, match=r"permission denied|must be owner") as denied,
        application._database.write() as connection,
    ):
        connection.exec_driver_sql(sql)
    assert isinstance(denied.value.__cause__.orig, psycopg.errors.InsufficientPrivilege)
    assert application.audit.first_broken() is None


def test_a_role_that_may_not_make_tables_is_told_what_to_do(postgres):
    database = postgres.new_database().rpartition("/")[2]
    postgres.execute(f"CREATE ROLE stranger_{database} LOGIN")
    with pytest.raises(LedgerUnavailable, match="as the owner of its tables") as denied:
        Ledger.open(postgres.url(database, user=f"stranger_{database}"))
    assert not denied.value.retryable
