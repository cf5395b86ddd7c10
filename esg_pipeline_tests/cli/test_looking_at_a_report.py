"""Commands on a delivered day: what they show, that a spoiled one is refused, who looked."""

import csv
import getpass
import hashlib
import io
import json
import re
import stat

import pytest

from esg_pipeline.ledger import Ledger
from esg_pipeline_tests.cli.conftest import last_entry, refused, trail
from esg_pipeline_tests.end_to_end.command_here import command_here
from esg_pipeline_tests.end_to_end.job import DAY, Job
from esg_pipeline_tests.ledger.runs import edit

pytestmark = [
    pytest.mark.servers,
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning",  # Dagster uses much that is deprecated, its own too
    ),
]

ME = getpass.getuser()
DATE = ("--date", DAY.isoformat())
FILES = {f"FirmESGRatings_20260310{end}" for end in (".csv", "_errors.csv", "_manifest.json")}


def spoil(job: Job, pattern: str) -> None:
    """Change one byte, to another one, of the readers' file."""
    (file,) = job.store.glob(pattern)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.chmod(0o600)
    file.write_bytes(content)


def test_the_run_itself_is_in_the_trail_under_the_login_name(
    delivered: Job, ledger: Ledger
) -> None:
    assert (ME, "deliver", "delivered") in trail(ledger)


@pytest.mark.parametrize(("by", "who"), [(("--by", "Ann"), "Ann"), ((), ME)])
@pytest.mark.parametrize(
    ("words", "action"),
    [
        (("report", "fetch", *DATE, "--out", "out"), "fetch"),
        (("report", "show", *DATE), "show"),
        (("report", "rebuild", *DATE), "rebuild"),
    ],
)
def test_who_looked_at_which_edition_is_in_the_trail(
    delivered: Job, ledger: Ledger, words: tuple[str, ...], action: str, by: tuple[str], who: str
) -> None:
    done = command_here(delivered, *words, *by)
    assert done.exit_code == 0, done.output
    entry = last_entry(ledger)
    assert (entry.who, entry.action, entry.outcome) == (who, action, "done")
    assert (entry.day, entry.edition) == (DAY.isoformat(), 1)


def test_fetched_files_are_plain_readable_by_their_owner_only_and_named(delivered: Job) -> None:
    done = command_here(delivered, "report", "fetch", *DATE, "--out", "out")
    paths = [delivered.work / line for line in done.stdout.splitlines()]
    assert {path.name for path in paths} >= FILES
    for path in paths:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    report = (delivered.work / "out" / "FirmESGRatings_20260310.csv").read_text("utf-8")
    assert len(list(csv.DictReader(io.StringIO(report)))) == 20


def test_show_says_what_was_delivered_and_as_many_rows_as_asked(delivered: Job) -> None:
    def shown(*words: str) -> list[str]:
        done = command_here(delivered, "report", "show", *DATE, *words)
        assert done.exit_code == 0, done.output
        return done.stdout.splitlines()

    lines = shown("--rows", "3")
    assert lines[0] == "FirmESGRatings_20260310.csv, edition 1, manual"
    counts = re.fullmatch(r"20 accounts: (\d+) Successful, (\d+) Partial, (\d+) Failed", lines[1])
    assert counts is not None
    assert sum(map(int, counts.groups())) == 20
    assert re.fullmatch(r"Dagster run [0-9a-f-]{36}, code \S+", lines[2])
    command_here(delivered, "report", "fetch", *DATE, "--out", "out")
    report = (delivered.work / "out" / "FirmESGRatings_20260310.csv").read_text("utf-8")
    ids = [row["Account ID"] for row in csv.DictReader(io.StringIO(report))]

    def ids_in(lines: list[str]) -> list[str]:
        words = " ".join(lines).split()
        return [each for each in ids if each in words]

    assert ids_in(shown("--rows", "0")) == []
    assert ids_in(lines) == ids[:3]
    assert ids_in(shown()) == ids[:10]


def test_verify_tells_what_is_right(delivered: Job) -> None:
    done = command_here(delivered, "report", "verify", *DATE)
    assert (done.exit_code, done.stderr) == (0, "")
    assert re.fullmatch(
        rf"{DAY}: edition 1 is whole: \d files, 20 rows, hashes and signature are right\n",
        done.stdout,
    )


@pytest.mark.parametrize("pattern", ["*0310.csv*", "*_errors.csv*", "*_manifest.json"])
@pytest.mark.parametrize("command", ["verify", "fetch", "show"])
def test_a_changed_byte_is_exit_1_and_nothing_is_shown(
    delivered: Job, ledger: Ledger, command: str, pattern: str
) -> None:
    spoil(delivered, pattern)
    out = ("--out", "out") if command == "fetch" else ()
    said = refused(delivered, "report", command, *DATE, *out, code=1)
    assert len(said.splitlines()) == 1
    assert not list((delivered.work).rglob("Firm*"))
    if command != "verify":
        assert trail(ledger)[-1] == (ME, command, "failed")


def test_an_edition_made_again_has_the_same_bytes_and_can_be_kept(delivered: Job) -> None:
    done = command_here(delivered, "report", "rebuild", *DATE, "--edition", "1", "--out", "made")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert {line.partition(": ")[2] for line in lines} == {"the same bytes"}
    made = {path.name: path for path in (delivered.work / "made").iterdir()}
    assert set(made) == {line.partition(": ")[0] for line in lines}
    assert "FirmESGRatings_20260310.csv" in made
    command_here(delivered, "report", "fetch", *DATE, "--out", "out")
    for name, path in made.items():
        assert path.read_bytes() == (delivered.work / "out" / name).read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_edition_whose_results_were_changed_in_the_ledger_differs_and_is_exit_1(
    delivered: Job, ledger: Ledger
) -> None:
    edit(ledger, "UPDATE esg_results SET social = 100 - social WHERE status = 'Successful'")
    done = command_here(delivered, "report", "rebuild", *DATE)
    assert done.exit_code == 1
    assert "FirmESGRatings_20260310.csv: DIFFERS from the delivery" in done.stdout
    assert "FirmESGRatings_20260310_errors.csv: the same bytes" in done.stdout


def test_an_edition_that_never_was_is_exit_1(delivered: Job, ledger: Ledger) -> None:
    assert "7" in refused(delivered, "report", "rebuild", *DATE, "--edition", "7", code=1)
    assert trail(ledger)[-1] == (ME, "rebuild", "failed")


def test_the_history_is_a_table_and_a_page(delivered: Job, ledger: Ledger) -> None:
    done = command_here(delivered, "report", "history", "--out", "out", "--by", "Ann")
    assert done.exit_code == 0, done.output
    assert len(done.stdout.splitlines()) == len(list((delivered.work / "out").iterdir())) >= 2
    assert trail(ledger)[-1] == ("Ann", "history", "done")
    assert last_entry(ledger).day is None


def test_an_export_of_the_trail_is_whole_and_in_the_trail(delivered: Job, ledger: Ledger) -> None:
    for kind in ("csv", "json"):
        done = command_here(
            delivered, "audit", "export", "--format", kind, "--out", f"trail.{kind}", "--by", "Ann"
        )
        assert done.exit_code == 0, done.output
        entry = last_entry(ledger)
        assert (entry.who, entry.action, entry.outcome) == ("Ann", "export audit trail", "done")
        assert json.loads(entry.details) == {"format": kind}
        assert done.stderr == f"{entry.seq} entries exported\n"
    lines = (delivered.work / "trail.json").read_text("utf-8").splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(1, entry.seq + 1))
    with (delivered.work / "trail.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) == entry.seq  # a header, and not the second export
    assert command_here(delivered, "audit", "export").stdout.startswith("seq,at,who,action,")


def test_a_whole_trail_is_exit_0_and_a_changed_one_exit_1(delivered: Job, ledger: Ledger) -> None:
    entries = last_entry(ledger).seq
    done = command_here(delivered, "audit", "verify")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"audit trail: {entries} entries, the chain is whole\n"
    edit(ledger, "UPDATE esg_audit SET who = 'nobody' WHERE seq = 2")
    said = refused(delivered, "audit", "verify", code=1)
    assert said.startswith("audit trail: entry 2 was changed or removed; ")


def files_of(job: Job) -> dict[str, str]:
    """The store's files of the day by name, hashed; not the pages about many days."""
    return {
        path.relative_to(job.store).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in job.store.rglob("*")
        if path.is_file() and re.search("2026-?03-?10", str(path))
    }


def test_a_dry_run_of_a_purge_counts_and_deletes_nothing(delivered: Job, ledger: Ledger) -> None:
    before, entries = files_of(delivered), trail(ledger)
    done = command_here(delivered, "purge", "--dry-run", ESG_RETENTION_DAYS="1")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("Would delete everything before 20")
    counts = f": {len(before)} files of 1 dates, 1 editions and 20 results of the ledger\n"
    assert done.stdout.endswith(counts)
    assert files_of(delivered) == before
    assert trail(ledger) == entries
    assert command_here(delivered, "report", "verify", *DATE).exit_code == 0
    done = command_here(delivered, "purge", "--by", "Ann", ESG_RETENTION_DAYS="1")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("Deleted everything before 20")
    assert done.stdout.endswith(counts)
    assert files_of(delivered) == {}
    assert ledger.editions.of_day(DAY) == []
    assert trail(ledger) == [*entries, ("Ann", "purge", "purged")]


def test_a_purge_keeps_what_is_young_enough(delivered: Job, ledger: Ledger) -> None:
    before = files_of(delivered)
    done = command_here(delivered, "purge", ESG_RETENTION_DAYS="36500")
    assert done.stdout.endswith(": 0 files of 0 dates, 0 editions and 0 results of the ledger\n")
    assert files_of(delivered) == before
    assert ledger.editions.of_day(DAY) != []


def test_a_legal_hold_keeps_files_and_ledger_until_it_is_released(
    delivered: Job, ledger: Ledger
) -> None:
    day, before = DAY.isoformat(), files_of(delivered)
    claim = ("--reason", "case 7", "--by", "Ann")
    done = command_here(delivered, "legal-hold", "place", day, *claim)
    assert (done.exit_code, done.stdout) == (0, f"{DAY}: under a legal hold\n")
    assert trail(ledger)[-1] == ("Ann", "place_hold", "held")
    done = command_here(delivered, "legal-hold", "place", day, "--reason", "case 8")
    assert (done.exit_code, done.stdout) == (0, f"{DAY}: under a legal hold already\n")
    done = command_here(delivered, "legal-hold", "list")
    assert re.fullmatch(rf"{DAY}  since \d{{4}}-\d\d-\d\d, Ann: case 7\n", done.stdout)
    done = command_here(delivered, "purge", ESG_RETENTION_DAYS="1")
    assert done.stdout.splitlines()[1:] == [f"{DAY}: kept, under a legal hold"]
    assert files_of(delivered) == before
    assert ledger.editions.of_day(DAY) != []
    done = command_here(delivered, "legal-hold", "release", day, "--reason", "closed")
    assert (done.exit_code, done.stdout) == (0, f"{DAY}: released\n")
    assert trail(ledger)[-1] == (ME, "release_hold", "released")
    assert command_here(delivered, "legal-hold", "list").stdout == (
        "no date is under a legal hold\n"
    )
    command_here(delivered, "purge", ESG_RETENTION_DAYS="1")
    assert files_of(delivered) == {}
    assert trail(ledger)[-1] == (ME, "purge", "purged")
