"""Results and attempts: nothing is asked twice, nothing is lost, the first answer stays."""

import random
import string
from dataclasses import replace
from datetime import date

import pyarrow as pa
import pytest

from esg_pipeline.ledger import MAX_ACCOUNT_ID_BYTES, MAX_BATCH
from esg_pipeline.ledger import results as results_module
from esg_pipeline.ratings import RATINGS_SCHEMA, ProcessingStatus, Reason
from esg_pipeline_tests.ledger.runs import DAY, NOON, failed, good, run, statuses
from esg_pipeline_tests.ledger.worker import Worker

ODD_IDS = [
    "00123",
    "1E5",
    "3-12",
    "9" * 40,
    'with,"comma',
    "CR\rLF\nNUL\0",
    "../../etc/passwd",
    "🙂👩‍👩‍👧",
    "％１２",
    "é",
    "e\u0301",
    "A1",
    "a1",
    "A1 ",
    " A1",
    "'; DROP TABLE esg_results; --",
    "%s ? :id {account_id}",
    "\ufeffbom",
    "\uffff",
    "\U0001f600",
    "x" * 1000,
]


@pytest.fixture
def writer(ledger, lease, edition):
    return ledger.results.writer(lease, edition)


def test_every_field_comes_back_as_it_was(ledger, writer, edition):
    partial = replace(
        good("p", overall=0),
        status=ProcessingStatus.PARTIAL,
        reason=Reason.STALE_ANALYSIS,
        governance=None,
        focus=None,
        focus_score=None,
        analysis_date=date(1969, 12, 31),
        message="älter: 🙂",
        attempts=3,
    )
    writer.record([good("g"), partial, failed("f")])
    table = ledger.results.ratings(edition)
    assert table.schema == RATINGS_SCHEMA
    table.validate(full=True)
    rows = {row["account_id"]: row for row in table.to_pylist()}
    assert str(rows["g"]["overall_esg_score"]) == "72.68"
    assert str(rows["g"]["environmental_score"]) == "0.00"
    assert str(rows["g"]["social_score"]) == "100.00"
    assert str(rows["g"]["governance_score"]) == "0.01"
    assert rows["g"]["primary_esg_focus"] == "social"
    assert rows["g"]["analysis_date"] == DAY
    assert rows["g"]["finished_at"] == NOON
    assert rows["p"]["analysis_date"] == date(1969, 12, 31)
    assert rows["p"]["governance_score"] is None and rows["p"]["primary_esg_focus"] is None
    assert (rows["p"]["message"], rows["p"]["reason"]) == ("älter: 🙂", "stale_analysis")
    assert (rows["f"]["overall_esg_score"], rows["f"]["http_status"]) == (None, 404)


def test_ids_are_byte_true_and_sorted_by_code_point(ledger, writer, edition):
    shuffled = random.Random(1).sample(ODD_IDS, len(ODD_IDS))
    writer.begin_attempts(shuffled)
    writer.record([good(each) for each in shuffled])
    assert ledger.results.ratings(edition)["account_id"].to_pylist() == sorted(ODD_IDS)
    state = ledger.results.resume_state(edition)
    assert (state.answered, state.attempts) == (set(ODD_IDS), {})


def test_a_resumed_run_hears_how_many_of_its_results_are_failed(ledger, lease, writer, edition):
    writer.record([good("a"), good("b")])
    why = {"reason": Reason.TIMEOUT, "message": "", "now": NOON}
    ledger.results.fail_unanswered(lease, edition, ["a", "c", "d"], **why)
    state = ledger.results.resume_state(edition)
    assert (state.answered, state.failed) == ({"a", "b", "c", "d"}, 2)


def test_any_text_can_be_an_id(ledger, writer, edition):
    rng = random.Random(3)
    code_points = [*range(0xD800), *range(0xE000, 0x110000)]
    ids = {"".join(map(chr, rng.choices(code_points, k=rng.randint(1, 30)))) for _ in range(2000)}
    writer.begin_attempts(list(ids))
    writer.record([good(each) for each in ids])
    assert ledger.results.ratings(edition)["account_id"].to_pylist() == sorted(ids)


def test_odd_ids_keep_their_attempts(ledger, writer, edition):
    writer.begin_attempts(ODD_IDS)
    writer.record([], [(each, 1, "timeout") for each in ODD_IDS])
    assert ledger.results.resume_state(edition).attempts == dict.fromkeys(ODD_IDS, 1)


def test_an_id_too_long_for_the_ledger_is_refused_before_the_call(writer):
    rng = random.Random(2)
    longest = "".join(rng.choices(string.ascii_letters, k=MAX_ACCOUNT_ID_BYTES))
    writer.begin_attempts([longest])
    writer.record([good(longest)])
    with pytest.raises(ValueError, match="2601 bytes long"):
        writer.begin_attempts(["x" * (MAX_ACCOUNT_ID_BYTES + 1)])
    with pytest.raises(ValueError, match="bytes long"):
        writer.begin_attempts(["🙂" * 651])


def test_text_that_no_database_holds_does_not_stop_the_run(ledger, writer, edition):
    writer.record([failed("a", message="NUL \0 half \ud83d")])
    assert ledger.results.ratings(edition)["message"].to_pylist() == ["NUL \ufffd half ?"]


def test_the_same_ratings_twice_change_nothing(ledger, writer, edition):
    writer.begin_attempts(["a", "b"])
    for _ in range(2):
        writer.record([good("a"), failed("b")])
    assert statuses(ledger, edition) == {"a": "Successful", "b": "Failed"}


def test_of_two_different_ratings_the_first_stays(ledger, writer, edition):
    writer.record([good("a", overall=1000)])
    writer.record([good("a", overall=2000), good("b", overall=3000)])
    assert [
        str(each) for each in ledger.results.ratings(edition)["overall_esg_score"].to_pylist()
    ] == [
        "10.00",
        "30.00",
    ]


def test_attempts_are_counted_over_restarts(ledger, lease, edition, writer):
    writer.begin_attempts(["a", "b", "c"])
    writer.record([good("a")], [("b", 1, "timeout")], ["c"])
    writer.begin_attempts(["b"])
    writer.record([], [("b", 2, "http_5xx")])
    again = ledger.editions.open(lease, **run("run-2"))
    assert ledger.results.resume_state(again).attempts == {"b": 2}
    assert ledger.results.resume_state(again).answered == {"a"}


def test_a_throttled_call_costs_nothing(ledger, lease, edition, writer):
    writer.begin_attempts(["a", "b"])
    writer.record([], [("a", 1, "timeout")], ["b"])
    writer.begin_attempts(["a", "b"])
    writer.record([], [], ["a", "b"])
    assert ledger.results.resume_state(edition).attempts == {"a": 1}


def test_calls_cut_off_by_kill_9_count_as_spent(ledger, start_worker):
    worker = start_worker("run-1")
    worker.tell("acquire")
    worker.tell("open")
    worker.tell("begin a b c d")
    worker.tell("retry b 1")
    worker.tell("record a")
    worker.kill()
    with ledger.leases.acquire(DAY, run_id="run-2") as lease:
        edition = ledger.editions.open(lease, **run("run-2"))
        state = ledger.results.resume_state(edition)
        assert state.answered == {"a"}
        assert state.attempts == {"b": 1, "c": 1, "d": 1}
        writer = ledger.results.writer(lease, edition)
        writer.begin_attempts(["b", "c", "d"])
        writer.record([good("b")], [("c", 2, "timeout")], ["d"])
        assert ledger.results.resume_state(edition).attempts == {"c": 2, "d": 1}


@pytest.mark.parametrize("confirmed_batches", [1, 7, 20])
def test_what_was_confirmed_survives_kill_9(ledger, start_worker, confirmed_batches):
    worker = start_worker("run-1")
    worker.tell("acquire")
    worker.tell("open")
    worker.ask("work 100")
    confirmed = [worker.answer() for _ in range(confirmed_batches)]
    worker.kill()
    edition = ledger.editions.find(DAY, 1)
    state = ledger.results.resume_state(edition)
    assert {f"{batch}-{n}" for batch in confirmed for n in range(50)} <= state.answered
    assert len(state.answered) % 50 == 0, "a batch is recorded whole or not at all"
    assert len(state.attempts) in (0, 50), "at most one batch lost an attempt"
    assert not state.answered & state.attempts.keys()
    assert ledger.results.ratings(edition).num_rows == len(state.answered)


def begin_in_a_run(start_worker, run_id: str, *account_ids: str) -> Worker:
    """A process that has taken the date and asks these accounts."""
    worker = start_worker(run_id)
    worker.tell("acquire")
    worker.tell("open")
    worker.tell(f"begin {' '.join(account_ids)}")
    return worker


def test_deaths_of_runs_are_counted_for_the_accounts_they_were_asking(ledger, start_worker):
    for death in (1, 2):
        worker = begin_in_a_run(start_worker, f"run-{death}", "poison", "beside")
        worker.tell(f"begin answered-{death} retried")
        worker.tell(f"record answered-{death}")
        worker.tell(f"retry retried {death}")
        worker.kill()
        state = ledger.results.resume_state(ledger.editions.find(DAY, 1))
        assert state.attempts == {"poison": death, "beside": death, "retried": death}
        assert state.cut_off == {"poison": death, "beside": death}
    with ledger.leases.acquire(DAY, run_id="run-3") as lease:
        edition = ledger.editions.open(lease, **run("run-3"))
        writer = ledger.results.writer(lease, edition)
        for each in ("beside", "poison"):
            writer.begin_attempts([each])
        writer.record([], [("beside", 3, "timeout")])
        state = ledger.results.resume_state(edition)
        assert state.attempts == {"poison": 3, "beside": 3, "retried": 2}
        assert state.cut_off == {"poison": 3}, "a known outcome starts a new count"


def test_a_call_alone_that_was_not_made_leaves_no_trace(ledger, start_worker):
    for death in (1, 2):
        begin_in_a_run(start_worker, f"run-{death}", "poison").kill()
    with ledger.leases.acquire(DAY, run_id="run-3") as lease:
        edition = ledger.editions.open(lease, **run("run-3"))
        writer = ledger.results.writer(lease, edition)
        before = ledger.results.resume_state(edition)
        writer.begin_attempts(["poison"])
        writer.record([], refunded=["poison"])
        assert ledger.results.resume_state(edition) == before
        assert before.cut_off == {"poison": 2}


def test_finished_batches_leave_nothing_behind(ledger, lease, edition, writer):
    for first in range(0, 100, 10):
        ids = [str(n) for n in range(first, first + 10)]
        writer.begin_attempts(ids)
        writer.record([good(each) for each in ids[:5]])
        writer.record([good(each) for each in ids[5:9]], refunded=ids[9:])
    with ledger._database.read() as connection:
        assert connection.exec_driver_sql(
            "SELECT count(*) FROM esg_attempt_batches"
        ).scalar() == 0  # fmt: skip


def test_a_batch_is_bounded(writer):
    with pytest.raises(ValueError, match="1 to 5000"):
        writer.begin_attempts([str(n) for n in range(MAX_BATCH + 1)])
    with pytest.raises(ValueError, match="1 to 5000"):
        writer.begin_attempts([])


def test_unanswered_accounts_become_failed_with_their_attempts(ledger, lease, edition, writer):
    writer.begin_attempts(["a", "b", "c"])
    writer.record([good("a")], [("b", 2, "timeout")])
    asked = ["a", "b", "c", "never asked"]
    for expected in (3, 0):  # the second time its answer had been lost
        count = ledger.results.fail_unanswered(
            lease, edition, asked, reason=Reason.DEADLINE, message="not reached", now=NOON
        )
        assert count == expected
    rows = {row["account_id"]: row for row in ledger.results.ratings(edition).to_pylist()}
    assert rows["a"]["status"] == "Successful"
    assert [rows[each]["attempts"] for each in asked] == [1, 2, 1, 0]
    assert {rows[each]["reason"] for each in asked[1:]} == {"deadline"}
    assert ledger.results.counts(edition) == {"Successful": 1, "Partial": 0, "Failed": 3}


def test_pages_join_to_one_table(ledger, writer, edition, monkeypatch):
    monkeypatch.setattr(results_module, "_PAGE", 7)
    ids = sorted(f"{n}" for n in range(21))
    writer.record([good(each) for each in ids])
    table = ledger.results.ratings(edition)
    assert table["account_id"].to_pylist() == ids
    assert isinstance(table, pa.Table) and table.num_rows == 21


def test_an_empty_edition_has_an_empty_table(ledger, edition):
    assert ledger.results.ratings(edition).schema == RATINGS_SCHEMA
    assert ledger.results.ratings(edition).num_rows == 0


def test_no_column_could_hold_an_account_name(ledger):
    from esg_pipeline.ledger.tables import metadata  # noqa: PLC0415

    columns = {column.name for table in metadata.tables.values() for column in table.c}
    assert not {each for each in columns if "name" in each}


def test_a_correction_of_a_settled_account_does_not_begin_it_again(ledger, edition, lease):
    writer = ledger.results.writer(lease, edition)
    writer.begin_attempts(["refused", "hangs"])
    writer.record([], [("refused", 1, "unauthorized")])
    writer.record([], [("refused", 0, "unauthorized")])
    state = ledger.results.resume_state(edition)
    assert (state.attempts, state.cut_off) == ({"hangs": 1}, {"hangs": 1})
