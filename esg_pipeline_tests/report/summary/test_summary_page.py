"""The summary page answers its reader's questions, and can load nothing and run nothing."""

import unicodedata
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esg_pipeline.ratings import Reason
from esg_pipeline.report.summary import (
    BaseDay,
    DayFigures,
    NoBase,
    day_figures,
    drift,
    format_summary_html,
    format_summary_json,
)
from esg_pipeline.report.summary.formats import LONGEST_SHOWN, shown, shown_name
from esg_pipeline.report.summary.words import reason_words
from esg_pipeline.safe_text import guarded
from esg_pipeline.safe_text.controls import JOINERS
from esg_pipeline_tests.report.summary.days import (
    BEFORE,
    DAY,
    account_id,
    accounts_of,
    day_of,
    edition_facts,
    firm,
    moved,
    rating,
    ratings_of,
    usual_scores,
)
from esg_pipeline_tests.report.summary.page import Page, assert_accessible, assert_harmless

SIZE = 100
SCORES = usual_scores(SIZE)
YESTERDAY = day_of(SCORES, failed=[1])
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=https://example.com/x onerror=alert(1)>',
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; &amp; ' \"",
    "</style><style>body{display:none}",
    "]]><!-- --><![CDATA[",
    "Ада́м 株式会社 עברית 🏦👩‍💻",
)


def figures_of(
    ratings: pa.Table,
    *,
    base: BaseDay | NoBase = NoBase.FIRST_DAY,
    accounts: pa.Table | None = None,
) -> DayFigures:
    return day_figures(
        firm(ratings.num_rows) if accounts is None else accounts,
        ratings,
        day=DAY,
        failure_threshold=0.05,
        max_staleness_days=7,
        base=base,
    )


def usual_day(*, failed: int = 3) -> DayFigures:
    return figures_of(day_of(moved(SCORES), failed=range(failed)), base=BaseDay(BEFORE, YESTERDAY))


def page_of(figures: DayFigures, **edition: Any) -> Page:
    return Page(format_summary_html(figures, edition_facts(**edition)))


def named(name: str, account: str = "A", **edition: Any) -> bytes:
    """The page of one failed account with this name, and one that moved."""
    accounts = accounts_of({account: name, "~": name})
    today = ratings_of([rating(account, None), rating("~", "60.00")])
    base = BaseDay(BEFORE, ratings_of([rating("~", "50.00")]))
    figures = figures_of(today, base=base, accounts=accounts)
    return format_summary_html(figures, edition_facts(**edition))


DAYS = {
    "usual": usual_day(),
    "first day": figures_of(day_of(SCORES, failed=[0])),
    "no base": figures_of(day_of(SCORES), base=NoBase.NOT_AVAILABLE),
    "all failed": usual_day(failed=SIZE),
    "two fifths failed": usual_day(failed=40),
    "all failed twice": figures_of(
        day_of(SCORES, failed=range(SIZE)), base=BaseDay(BEFORE, day_of(SCORES, failed=range(SIZE)))
    ),
    "one account": figures_of(day_of(SCORES[:1])),
    "no account": figures_of(day_of(SCORES[:0])),
}


@pytest.mark.parametrize("day", DAYS)
def test_every_page_is_harmless_and_accessible(day: str) -> None:
    page = page_of(DAYS[day])
    assert_harmless(page)
    assert_accessible(page)


@pytest.mark.parametrize(
    ("day", "sentence"),
    [
        (
            "usual",
            "The report is whole: all 100 active accounts are in it; 3 of them failed (3.00%), "
            "within the 5% threshold; the average overall score ",
        ),
        (
            "first day",
            "1 of them failed (1.00%), within the 5% threshold; it is the first day, so there is "
            "nothing to compare with.",
        ),
        (
            "no base",
            "none failed; the ratings of an earlier day are not available to compare with.",
        ),
        ("all failed", "all of them failed (100%), over the 5% threshold; there is no average"),
        ("two fifths failed", "40 of them failed (40.00%), over the 5% threshold; the average"),
        ("one account", "The report is whole: the one active account is in it; none failed; "),
    ],
)
def test_the_verdict_tells_the_day_in_one_sentence(day: str, sentence: str) -> None:
    assert sentence in page_of(DAYS[day]).text


@pytest.mark.parametrize(
    ("day", "word"),
    [
        ("usual", "In order, with exceptions"),
        ("no base", "In order"),
        ("two fifths failed", "Too many failures"),
    ],
)
def test_the_verdict_has_a_word_beside_its_colour(day: str, word: str) -> None:
    assert f"{word} The report is whole" in page_of(DAYS[day]).text


def test_the_verdict_does_not_sell_a_failed_account_as_a_better_average() -> None:
    figures = figures_of(
        ratings_of([rating("A", None), rating("B", "60.00"), rating("C", "61.00")]),
        base=BaseDay(BEFORE, ratings_of([rating("A", "10.00"), rating("B", "62.00")])),
        accounts=accounts_of(dict.fromkeys("ABC", "name")),
    )
    assert "rose by 24.50 to 60.50 since November 23, 2026 (−2.00 for the same accounts)." in (
        page_of(figures).text
    )


def test_a_report_that_is_not_whole_says_so_first() -> None:
    figures = replace(usual_day(), is_whole=False)
    text = page_of(figures).text
    assert "Not whole The report is not whole: its rows are not the 100 active accounts" in text


def test_a_report_that_came_late_says_by_how_much() -> None:
    late = datetime(2026, 11, 24, 15, 12, tzinfo=UTC)
    text = page_of(usual_day(), finished_at=late).text
    assert "it was finished 12 min 0 s after the deadline" in text
    assert "09:12:00 CST, 12 min 0 s after the deadline" in text


def test_unusual_scores_are_told_under_the_verdict() -> None:
    today = day_of(10_000 - SCORES)
    figures = figures_of(today, base=BaseDay(BEFORE, YESTERDAY))
    page = Page(format_summary_html(figures, edition_facts(), drift(today, YESTERDAY)))
    assert "Unusual scores The report is whole" in page.text
    assert page.text.index("may have changed places") < page.text.index("Totals")


def test_the_reader_finds_who_failed_and_why() -> None:
    text = page_of(usual_day()).text
    assert "Failed: No answer in time, 3 accounts" in text
    for number in range(3):
        assert account_id(number) in text
    assert "FirmESGRatings_20261124_errors.csv" in text


def test_a_long_list_is_cut_and_points_to_the_error_log() -> None:
    figures = figures_of(day_of(usual_scores(500), failed=range(300)))
    text = page_of(figures).text
    assert account_id(199) in text
    assert account_id(200) not in text
    assert "The first 200 of 300 are listed here. All of them are in the error log." in text


def test_the_reader_finds_what_moved_and_since_when() -> None:
    before = ratings_of([rating("A", "50.00"), rating("B", None), rating("GONE", "1.00")])
    older = ratings_of([rating("B", "60.00")])
    last_good = older.select(["account_id", "overall_esg_score"]).add_column(
        1, "day", pa.array([date(2026, 11, 20)])
    )
    figures = figures_of(
        ratings_of([rating("A", "55.50"), rating("B", "59.00"), rating("NEW", "70.00")]),
        base=BaseDay(BEFORE, before, last_good),
        accounts=accounts_of({"A": "Alder", "B": "Birch", "NEW": "Elm"}),
    )
    text = page_of(figures).text
    assert "2 accounts could be compared with their last good overall score: 1 rose, 1 fell" in text
    assert "Alder A 50.00 55.50 +5.50" in text
    assert "Birch B 60.00 Nov 20 59.00 −1.00" in text
    assert "New accounts: 1 Elm NEW" in text
    assert "Accounts no longer on the list: 1" in text


def test_the_reader_finds_how_to_check_that_the_file_is_whole() -> None:
    text = page_of(usual_day()).text
    facts = edition_facts()
    assert facts.report_sha256 in text
    assert facts.key_fingerprint in text
    assert "esg-pipeline report verify --date 2026-11-24" in text
    assert "sha256sum FirmESGRatings_20261124.csv" in text


def test_a_rerun_says_who_asked_why_and_what_it_changed() -> None:
    text = page_of(
        usual_day(),
        number=2,
        previous=1,
        mode="failed_only",
        label="manual",
        asked_by="R. Okafor",
        reason="Vendor outage <OPS-4411>",
        changed_cells=182,
    ).text
    assert "daily summary, edition 2" in text
    assert "2, replaces edition 1" in text
    assert "182 cells compared with edition 1" in text
    assert "R. Okafor, by hand" in text
    assert "Vendor outage <OPS-4411>" in text


@pytest.mark.parametrize(
    ("started", "zone"),
    [
        (datetime(2026, 7, 1, 10, 0, tzinfo=UTC), "CDT"),
        (datetime(2026, 1, 5, 11, tzinfo=UTC), "CST"),
    ],
)
def test_times_are_central_with_their_zone(started: datetime, zone: str) -> None:
    figures = replace(usual_day(), day=started.date())
    finished = started + timedelta(hours=2, minutes=3)
    text = page_of(figures, started_at=started, finished_at=finished).text
    assert f"05:00:00 {zone}" in text
    assert f"07:03:00 {zone}" in text
    assert "2 h 3 min" in text


def test_the_same_day_gives_the_same_bytes() -> None:
    today = day_of(moved(SCORES), failed=[5])
    backwards = today.take(list(reversed(range(SIZE))))
    first, second = (
        format_summary_html(
            figures_of(table, base=BaseDay(BEFORE, YESTERDAY)),
            edition_facts(),
            drift(table, YESTERDAY),
        )
        for table in (today, backwards)
    )
    assert first == second


def test_every_reason_has_words() -> None:
    assert all(reason_words(reason).meaning != "See the error log." for reason in Reason)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_text(text: str) -> None:
    page = Page(named(text, account=text, asked_by=text, reason=text))
    assert_harmless(page)
    assert " ".join(text.split()) in page.text


@pytest.mark.parametrize(
    ("name", "seen"),
    [("=HYPERLINK(1)", "'=HYPERLINK(1)"), ("＝1+1", "'＝1+1"), ("\t=1", "'␉=1"), ("\n=1", "'␊=1")],
)
def test_a_name_that_looks_like_a_formula_has_the_mark_it_has_in_the_report(
    name: str, seen: str
) -> None:
    assert f"{seen} A" in Page(named(name)).text


def test_control_and_direction_characters_are_made_visible() -> None:
    text = "a\x00b\tc\u202egpj.exe\u2066d\x7f\ufeff\u2028"
    page = named(text)
    assert not {"\x00", "\t", "\u202e", "\u2066", "\x7f", "\ufeff", "\u2028"} & set(page.decode())
    assert "a␀b␉c[U+202E]gpj.exe[U+2066]d␡[U+FEFF][U+2028]" in Page(page).text


def test_a_very_long_name_is_cut() -> None:
    assert len(shown("x" * 10_000)) == 121
    assert len(named("x" * 1_000_000)) < 100_000


TEXTS = st.text(st.characters(codec="utf-8"), max_size=200)


@given(name=TEXTS, account=TEXTS, asked_by=TEXTS, reason=TEXTS)
def test_no_text_from_outside_gets_out_of_its_place(
    name: str, account: str, asked_by: str, reason: str
) -> None:
    usual = [tag for tag, _ in Page(named("x", asked_by="x", reason="x")).elements]
    page = Page(named(name, account=account + "A", asked_by=asked_by, reason=reason or "x"))
    assert [tag for tag, _ in page.elements] == usual
    assert_harmless(page)


@given(TEXTS)
def test_shown_text_has_nothing_invisible_and_keeps_what_is_visible(text: str) -> None:
    safe = shown_name(text)
    kinds = {unicodedata.category(character) for character in safe if character not in JOINERS}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    if text.isprintable() and guarded(text) == text:
        assert safe.removesuffix("…") == text[:LONGEST_SHOWN].removesuffix("…")


@given(
    scores=st.lists(st.none() | st.integers(0, 10_000), max_size=30),
    before=st.lists(st.none() | st.integers(0, 10_000), max_size=30),
)
def test_no_day_breaks_the_page(scores: list[int | None], before: list[int | None]) -> None:
    def table(values: list[int | None]) -> pa.Table:
        return ratings_of(
            rating(account_id(n), None if value is None else f"{value / 100:.2f}")
            for n, value in enumerate(values)
        )

    today, yesterday = table(scores), table(before)
    figures = figures_of(today, base=BaseDay(BEFORE, yesterday))
    look = drift(today, yesterday)
    page = Page(format_summary_html(figures, edition_facts(), look))
    assert_accessible(page)
    assert format_summary_json(figures, edition_facts(), look)
    comparison = figures.comparison
    assert comparison is not None
    assert (
        comparison.compared
        + comparison.new.count
        + comparison.no_score_today
        + comparison.no_earlier_score
        == figures.totals.accounts
        == len(scores)
    )
