"""The invented accounts: deterministic, and awkward where real ones are."""

import sqlite3
import unicodedata
from contextlib import closing

import pytest

from esg_pipeline.sandbox import create_accounts_database, registered_focus


def rows_of(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM accounts ORDER BY account_id").fetchall()


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("accounts") / "accounts.db"
    create_accounts_database(path)
    return rows_of(path)


def test_the_default_firm_has_1000_active_and_50_retired_accounts(rows):
    statuses = [row[4] for row in rows]
    assert (statuses.count("active"), statuses.count("retired")) == (1000, 50)
    assert len(rows) == 1050


def test_ids_are_text_that_looks_like_numbers_and_dates(rows):
    ids = [row[0] for row in rows]
    assert all(isinstance(account_id, str) for account_id in ids)
    assert {"0011", "2E5", "3-12"} <= set(ids)


def test_names_come_in_many_scripts_and_with_csv_traps(rows):
    names = [row[1] for row in rows]
    scripts = {unicodedata.name(c, "").split()[0] for name in names for c in name if c.isalpha()}
    wanted = {"LATIN", "CJK", "HIRAGANA", "KATAKANA", "ARABIC", "CYRILLIC", "GREEK", "DEVANAGARI"}
    assert wanted <= scripts
    assert {"=", "+", "-", "@"} <= {name[0] for name in names}
    for trap in (",", '"', "é", "🌱"):
        assert any(trap in name for name in names)


def test_about_70_percent_have_the_focus_the_api_knows_too(rows):
    assert all(row[2] == registered_focus(row[0]) for row in rows)
    assert 0.65 < sum(row[2] is not None for row in rows) / len(rows) < 0.75


def test_a_seed_gives_the_same_accounts_every_time(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        create_accounts_database(tmp_path / name, active=80, retired=8, seed=seed)
    assert rows_of(tmp_path / "a") == rows_of(tmp_path / "b") != rows_of(tmp_path / "c")


def test_a_database_that_lies_there_is_replaced(tmp_path):
    path = tmp_path / "accounts.db"
    create_accounts_database(path, active=9, retired=0)
    create_accounts_database(path, active=4, retired=0)
    assert len(rows_of(path)) == 4
    assert [each.name for each in tmp_path.iterdir()] == ["accounts.db"]
