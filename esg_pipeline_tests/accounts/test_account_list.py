"""What every list must be, whatever source it comes from, and its hash."""

from datetime import UTC, datetime
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esg_pipeline.accounts import AccountListError, account_list_sha256, look_alike_ids
from esg_pipeline.accounts.account_list import account_batch, checked_accounts
from esg_pipeline.ratings import ACCOUNTS_SCHEMA


def listed(*rows: tuple[object, ...]) -> pa.Table:
    """A checked list of (id, name, focus, last_modified); the last two may be left out."""
    columns = ("account_id", "account_name", "primary_esg_focus", "last_modified")
    values = {name: [row[at] if at < len(row) else None for row in rows]
              for at, name in enumerate(columns)}  # fmt: skip
    return checked_accounts([account_batch(values, range(1, len(rows) + 1))])


def refusal_of(*rows: tuple[object, ...]) -> str:
    with pytest.raises(AccountListError) as refused:
        listed(*rows)
    assert not refused.value.retryable
    assert "\n" not in str(refused.value)
    assert "Canary" not in str(refused.value)
    return str(refused.value)


def test_a_list_is_sorted_by_code_point_and_ids_are_kept_to_the_byte() -> None:
    ids = ["😀", "Ä", "a1", "A1", "A1 ", "3-12", "1E5", "00123", 'x,"\r\n', "../x", "7" * 40]
    table = listed(*[(each, "n") for each in ids])
    assert table.schema == ACCOUNTS_SCHEMA
    assert table["account_id"].to_pylist() == sorted(ids, key=str.encode)


def test_focus_is_trimmed_and_lower_case_and_empty_means_none() -> None:
    rows = [("A1", "n", " Social "), ("A2", "n", ""), ("A3", "n", None), ("A4", "n", "GOVERNANCE")]
    assert listed(*rows)["primary_esg_focus"].to_pylist() == ["social", None, None, "governance"]


def test_an_unknown_focus_is_told_with_its_ids_and_the_allowed_words() -> None:
    assert refusal_of(("A1", "Canary", "ethics"), ("A2", "Canary", "social")) == (
        "account list: primary_esg_focus is none of environmental, social, governance (or empty) "
        "for 1 accounts: 'A1'; correct it in the source"
    )


def test_an_empty_list_is_never_right() -> None:
    assert refusal_of() == (
        "account list: the source gave no active account; an empty list is never right. Check the "
        "source and, if it is set, ESG_ACCOUNTS_QUERY"
    )


@pytest.mark.parametrize("empty", [None, "", " ", "\t\n", "\u3000"])
def test_an_empty_id_is_told_with_its_row(empty: str | None) -> None:
    problem = refusal_of(("A1", "Canary"), (empty, "Canary"))
    assert problem == "account list: account_id is empty in row 2; correct it in the source"


def test_many_wrong_rows_are_counted_and_the_first_are_shown() -> None:
    problem = refusal_of(*[(None, "Canary")] * 8)
    assert "account_id is empty in 8 rows: 1, 2, 3, 4, 5 …;" in problem
    problem = refusal_of(*[(None, "Canary")] * 5)
    assert "account_id is empty in 5 rows: 1, 2, 3, 4, 5;" in problem


def test_an_id_with_nul_is_refused() -> None:
    assert "account_id holds a NUL character in row 1" in refusal_of(("A\0", "Canary"))


def test_an_id_too_long_for_the_ledger_is_refused_before_any_call() -> None:
    assert "account_id is longer than 2600 bytes in row 2" in refusal_of(
        ("A" * 2600, "Canary"), ("é" * 1301, "Canary")
    )


def test_a_missing_name_is_told_with_its_row_and_an_empty_one_is_a_name() -> None:
    assert "account_name is missing in row 2" in refusal_of(("A1", "Canary"), ("A2", None))
    assert listed(("A1", ""))["account_name"].to_pylist() == [""]


@pytest.mark.parametrize("number", [123, 1.5, True, b"A1"])
def test_an_id_that_is_not_text_is_refused(number: object) -> None:
    problem = refusal_of(("A1", "Canary"), (number, "Canary"))
    assert problem == (
        f"account list: account_id must be text, but is {type(number).__name__} in row 2; a number "
        "could have lost leading zeros, so have the source give text (SQL: CAST(account_id AS "
        "TEXT) in ESG_ACCOUNTS_QUERY)"
    )


def test_dates_and_uuids_that_a_database_gives_are_written_as_text() -> None:
    number = UUID("9e0c2b9e-0000-4000-8000-000000000001")
    when = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
    rows = listed(
        (number, "n", None, when), ("A1", "n", None, None), ("B1", "n", None, when.date())
    )
    assert [tuple(row.values()) for row in rows.to_pylist()] == [
        (str(number), "n", None, "2026-11-20T08:00:00+00:00"),
        ("A1", "n", None, None),
        ("B1", "n", None, "2026-11-20"),
    ]
    assert "account_name must be text, but is date in row 1" in refusal_of(("A1", when.date()))


def test_doubled_ids_are_told_whether_the_rows_are_equal_or_not() -> None:
    rows = [("A\n1", "Canary"), ("A\n1", "Canary"), ("B", "Canary"), ("B", "x"), ("C", "Canary")]
    assert refusal_of(*rows) == (
        "account list: account_id is there more than once for 2 ids: 'A\\n1', 'B'; each active "
        "account must be listed once, so correct the source"
    )


def test_five_doubled_ids_are_all_shown_and_of_more_the_first_five_each_cut_when_long() -> None:
    five = refusal_of(*[(each, "n") for each in "ABCDE"] * 2)
    assert "for 5 ids: 'A', 'B', 'C', 'D', 'E'; each" in five
    six = refusal_of(*[(each, "n") for each in ("A" * 70, *"BCDEF")] * 2)
    assert f"for 6 ids: '{'A' * 59}, 'B', 'C', 'D', 'E' …; each" in six


def test_look_alike_ids_are_kept_apart_and_told() -> None:
    alike = [("A1", "a1", "A1 ", "\uff211"), ("\u00c4", "A\u0308")]
    table = listed(*[(each, "n") for group in alike for each in group], ("B1", "n"))
    assert table.num_rows == 7
    groups = {frozenset(group) for group in look_alike_ids(table)}
    assert groups == {frozenset(group) for group in alike}
    assert look_alike_ids(listed(("A1", "n"), ("A2", "n"))) == []


TEXTS = st.text(st.characters(codec="utf-8"), max_size=4)
LISTS = st.dictionaries(
    TEXTS.filter(lambda text: text.strip() and "\0" not in text),
    st.tuples(TEXTS, st.sampled_from([None, "social"]), st.none() | TEXTS),
    min_size=1,
    max_size=5,
)


@given(LISTS, st.integers(1, 5))
def test_the_hash_depends_on_the_rows_and_not_on_how_they_are_chunked(
    rows: dict[str, tuple[object, ...]], size: int
) -> None:
    table = listed(*[(key, *rest) for key, rest in rows.items()])
    slices = [table.slice(at, size) for at in range(0, table.num_rows, size)]
    again = listed(*[(key, *rest) for key, rest in reversed(rows.items())])
    assert account_list_sha256(pa.concat_tables(slices)) == account_list_sha256(table)
    assert account_list_sha256(again) == account_list_sha256(table)


@given(LISTS, LISTS)
def test_different_lists_have_different_hashes(
    one: dict[str, tuple[object, ...]], two: dict[str, tuple[object, ...]]
) -> None:
    hashes = [account_list_sha256(listed(*[(key, *row) for key, row in rows.items()]))
              for rows in (one, two)]  # fmt: skip
    assert (hashes[0] == hashes[1]) == (one == two)


def test_the_hash_tells_null_from_empty_and_where_a_value_ends() -> None:
    lists = [listed(("A1", "n", None, None)), listed(("A1", "n", None, "")),
             listed(("A1n", "", None, None)), listed(("A", "1n", None, None))]  # fmt: skip
    assert len({account_list_sha256(each) for each in lists}) == 4


def test_the_hash_of_a_list_never_changes_over_versions() -> None:
    rows = [("00123", "Müller", "social"), ("A1", "")]
    assert account_list_sha256(listed(*rows)) == (
        "62b4fca199e9d9f8ffa5855f7d24793dd9d48d5f4dbd0bb9d7af346d72d10374"
    )
