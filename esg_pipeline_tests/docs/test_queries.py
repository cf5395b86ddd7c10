"""The queries of the page for BI people give the right answers, on files that the job delivered."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from statistics import mean
from typing import Any

import duckdb
import pytest

from esg_pipeline.daily_run.summarise import HISTORY_SCHEMA
from esg_pipeline.delivery.layout import file_stem
from esg_pipeline.ledger import AuditEntry, Edition, Ledger
from esg_pipeline.ratings import Reason
from esg_pipeline.sandbox import start_sandbox
from esg_pipeline_tests.docs.pages import DOCS, read
from esg_pipeline_tests.end_to_end.command_here import command_here
from esg_pipeline_tests.end_to_end.job import Job, read_rows

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Dagster's, about Dagster

PAGE = DOCS / "queries.md"
FRIDAY, MONDAY, TUESDAY = date(2026, 2, 27), date(2026, 3, 9), date(2026, 3, 10)
FAULTS = {
    FRIDAY: {},
    MONDAY: {3: "http_404", 5: "http_404", 7: "http_500", 9: "http_500"},
    TUESDAY: {7: "nan", 11: "missing_pillar"},
}
"""What is wrong on each delivered date, by the account's place in the list."""
ACCOUNTS = 60
SCORES = ("Overall ESG Score", "Environmental Score", "Social Score", "Governance Score")

Row = tuple[Any, ...]
Table = list[dict[str, str]]


def page_queries() -> dict[str, str]:
    """The query under each heading of the page."""
    sections = re.split(r"^##+ ", read(PAGE), flags=re.MULTILINE)
    return {
        section.partition("\n")[0]: sql
        for section in sections
        for sql in re.findall(r"^```sql\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    }


QUERIES = page_queries()


@dataclass(frozen=True)
class Delivered:
    """What a BI person has in the folder, and what the firm and the ledger know of the dates."""

    folder: Path
    calls: dict[date, int]
    editions: dict[date, Edition]
    trail: list[AuditEntry]

    def query(self, sql: str) -> list[Row]:
        """The answer of DuckDB, started in the folder, with the views made."""
        with duckdb.connect(config={"file_search_path": str(self.folder)}) as connection:
            connection.execute(QUERIES["The reports"])
            return connection.execute(sql).fetchall()

    def report(self, day: date) -> Table:
        return read_rows((self.folder / f"{file_stem(day)}.csv").read_bytes())

    def reasons(self, day: date) -> dict[str, str]:
        """The reason of each Failed account of the day, by its id."""
        errors = read_rows((self.folder / f"{file_stem(day)}_errors.csv").read_bytes())
        status = {row["Account ID"]: row["Processing Status"] for row in self.report(day)}
        return {
            row["Account ID"]: row["Reason"]
            for row in errors
            if status[row["Account ID"]] == "Failed"
        }

    def averages(self, day: date) -> list[Decimal]:
        """The four averages as the summary rounds them."""
        return [
            average(self.report(day), column).quantize(Decimal("0.01"), ROUND_HALF_UP)
            for column in SCORES
        ]


@pytest.fixture(scope="module")
def delivered(servers, tmp_path_factory) -> Delivered:
    """Three dates: delivered by the job, and fetched by the commands of the page."""
    folder = tmp_path_factory.mktemp("bi")
    calls: dict[date, int] = {}
    with start_sandbox(folder / "firm", accounts=ACCOUNTS, retired=0) as firm:
        job = Job(folder / "home", {"ESG_API_BACKOFF_BASE": "0.01", **firm.env()})
        made = Delivered(folder / "FOLDER", calls, {}, [])
        for day, faults in FAULTS.items():
            firm.heal()
            ids = [row["Account ID"] for row in made.report(FRIDAY)] if faults else []
            firm.set_faults({}, account_faults={ids[at]: fault for at, fault in faults.items()})
            ran = command_here(job, "run", "--date", f"{day}")
            assert ran.exit_code == (3 if day == MONDAY else 0), ran.output
            calls[day] = sum(firm.calls_by_account().values())
            command_here(job, "report", "fetch", "--date", f"{day}", "--out", f"{made.folder}")
    command_here(job, "report", "history", "--out", f"{made.folder}", "--by", "Bea Intell")
    with opened_ledger(job) as ledger:
        made.editions.update({each.day: each for each in ledger.editions.daily_history(10)})
        made.trail.extend(ledger.audit.entries())
    return made


@contextmanager
def opened_ledger(job: Job) -> Iterator[Ledger]:
    ledger = Ledger.open(f"sqlite:///{job.home / 'ledger.db'}")
    try:
        yield ledger
    finally:
        ledger.close()


def average(rows: Table, column: str) -> Decimal:
    return mean(Decimal(row[column]) for row in rows if row[column] != "N/A")


def about(number: Decimal | float, digits: int = 2) -> Any:
    """The number as the query rounds it, whichever way a tie goes."""
    return pytest.approx(float(number), abs=0.501 * 10**-digits)


def success_by_week(found: Delivered) -> list[Row]:
    def successful(*days: date) -> Any:
        rows = [row["Processing Status"] for day in days for row in found.report(day)]
        return about(100 * rows.count("Successful") / len(rows))

    return [
        (date(2026, 2, 23), 1, successful(FRIDAY)),
        (date(2026, 3, 9), 2, successful(MONDAY, TUESDAY)),
    ]


def days_above_the_threshold(found: Delivered) -> list[Row]:
    return [(MONDAY, 1, 4, ACCOUNTS, about(400 / ACCOUNTS))]


def days_without_delivery(found: Delivered) -> list[Row]:
    return [(FRIDAY + timedelta(days=n),) for n in range(1, 10)]


def average_by_month(found: Delivered) -> list[Row]:
    monday_tuesday = zip(found.averages(MONDAY), found.averages(TUESDAY), strict=True)
    return [
        (date(2026, 2, 1), *map(float, found.averages(FRIDAY))),
        (date(2026, 3, 1), *(about(mean(pair)) for pair in monday_tuesday)),
    ]


def change_from_day_to_day(found: Delivered) -> list[Row]:
    first, second, third = (found.averages(day)[0] for day in FAULTS)
    return [
        (FRIDAY, float(first), None),
        (MONDAY, float(second), float(second - first)),
        (TUESDAY, float(third), float(third - second)),
    ]


def slowest_days(found: Delivered) -> list[Row]:
    seconds = {day: each.metrics["day_row"]["duration_s"] for day, each in found.editions.items()}
    return [
        (day, about(taken / 60, 1), about(ACCOUNTS / taken, 1))
        for day, taken in sorted(seconds.items(), key=lambda each: -each[1])
    ]


def calls_per_account(found: Delivered) -> list[Row]:
    return [(day, calls, about(calls / ACCOUNTS)) for day, calls in found.calls.items()]


def failures_by_reason(found: Delivered) -> list[Row]:
    failed, days = Counter[str](), Counter[str]()
    for day in FAULTS:
        reasons = found.reasons(day).values()
        failed.update(reasons)
        days.update(set(reasons))
    in_order = sorted(failed, key=lambda reason: (-failed[reason], reason))
    return [(reason, failed[reason], days[reason]) for reason in in_order]


def accounts_by_focus(found: Delivered) -> list[Row]:
    rows: list[Row] = []
    for day in FAULTS:
        of_focus: dict[str, Table] = {}
        for row in found.report(day):
            of_focus.setdefault(row["Primary ESG Focus"], []).append(row)
        del of_focus["N/A"]
        for focus, accounts in sorted(of_focus.items()):
            overall = average(accounts, "Overall ESG Score")
            focus_score = average(accounts, "Primary Focus Score")
            rows.append((day, focus, len(accounts), about(overall), about(focus_score)))
    return rows


def biggest_movers(found: Delivered) -> list[Row]:
    before = {row["Account ID"]: row["Overall ESG Score"] for row in found.report(MONDAY)}
    moved = [
        (row["Account ID"], row["Account Name"], Decimal(was), Decimal(is_now))
        for row in found.report(TUESDAY)
        if "N/A" not in (was := before[row["Account ID"]], is_now := row["Overall ESG Score"])
    ]
    ordered = sorted(moved, key=lambda row: (-abs(row[3] - row[2]), row[0]))[:20]
    return [(*names, was, is_now, is_now - was) for *names, was, is_now in ordered]


def failed_on_several_days(found: Delivered) -> list[Row]:
    (both,) = found.reasons(MONDAY).keys() & found.reasons(TUESDAY).keys()
    return [(both, 2, MONDAY, TUESDAY, ["http_5xx", "invalid_response"])]


ANSWERS: dict[str, Callable[[Delivered], list[Row]]] = {
    "Success rate by week": success_by_week,
    "Days above the threshold": days_above_the_threshold,
    "Days without a delivery": days_without_delivery,
    "Average score by month": average_by_month,
    "Change from day to day": change_from_day_to_day,
    "Slowest days": slowest_days,
    "Calls per account": calls_per_account,
    "Failures by reason": failures_by_reason,
    "Accounts and averages by focus": accounts_by_focus,
    "Biggest movers": biggest_movers,
    "Accounts that failed on several days": failed_on_several_days,
}


@pytest.mark.parametrize("heading", ANSWERS)
def test_a_query_answers_what_the_files_and_the_ledger_say(delivered, heading):
    expected = ANSWERS[heading](delivered)
    assert delivered.query(QUERIES[heading]) == expected
    assert expected


def test_every_query_of_the_page_is_run():
    assert set(QUERIES) == {*ANSWERS, "The reports", "Straight from S3"}


def test_the_query_for_s3_is_good_grammar():
    assert len(duckdb.extract_statements(QUERIES["Straight from S3"])) == 4


def test_the_views_hold_every_cell_of_the_files(delivered):
    for day in FAULTS:
        read_back = delivered.query(f"SELECT * EXCLUDE (date) FROM report WHERE date = '{day}'")
        as_text = [["N/A" if cell is None else str(cell) for cell in row] for row in read_back]
        assert as_text == [list(row.values()) for row in delivered.report(day)]
        failed = delivered.query(
            'SELECT "Account ID", "Reason" FROM errors JOIN report USING (date, "Account ID") '
            f"WHERE \"Processing Status\" = 'Failed' AND date = '{day}'"
        )
        assert dict(failed) == delivered.reasons(day)


def test_the_history_holds_what_the_reports_say(delivered):
    rows = delivered.query(
        "SELECT date, accounts, successful, partial, failed FROM 'daily.parquet'"
    )
    for day, *counts in rows:
        found = Counter(row["Processing Status"] for row in delivered.report(day))
        assert counts == [
            found.total(),
            *(found[status] for status in ("Successful", "Partial", "Failed")),
        ]
    assert [row[0] for row in rows] == list(FAULTS)


def test_the_page_names_every_column_of_the_history():
    page = read(PAGE)
    reasons = {f"failed_{reason}" for reason in Reason}
    for column in set(HISTORY_SCHEMA.names) - reasons:
        assert f"`{column}`" in page, column
    assert {name for name in HISTORY_SCHEMA.names if name.startswith("failed_")} == reasons


def test_who_takes_the_history_is_in_the_trail_and_alone_can_read_it(delivered):
    taken = [(each.who, each.outcome) for each in delivered.trail if each.action == "history"]
    assert taken == [("Bea Intell", "done")]
    for name in ("daily.parquet", "FirmESGRatings_trend.html"):
        assert (delivered.folder / name).stat().st_mode & 0o777 == 0o600
    assert delivered.folder.stat().st_mode & 0o777 == 0o700


def test_without_a_delivery_there_is_no_history_and_the_try_is_in_the_trail(tmp_path):
    job = Job(tmp_path / "home", {})
    done = command_here(job, "report", "history", "--out", str(tmp_path / "FOLDER"))
    assert done.exit_code == 1
    assert done.output.endswith("no date is delivered yet; run one first\n")
    assert not (tmp_path / "FOLDER").exists()
    with opened_ledger(job) as ledger:
        trail = [(each.action, each.outcome) for each in ledger.audit.entries()]
    assert trail == [("history", "failed")]
