"""The account management system of the simulated firm: a SQLite database of invented accounts.

Names and ids are awkward on purpose (scripts, quotes, formulas, leading zeros). Nothing outside
the demo and the tests may ever read it.
"""

import os
import sqlite3
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from random import Random

from esg_pipeline.sandbox.invented_scores import registered_focus

AWKWARD_NAMES = (
    "Müller, Söhne & Co.",
    'The "Evergreen" Trust',
    "=SUM(A1:A9) Capital",
    "+1 Growth Fund",
    "-Alpha Short Fund",
    "@Home Savings",
    'Smith, "Sonny" & Daughters, LLC',
    '=HYPERLINK("http://127.0.0.1/","Click")',
    "O'Brien; Family Office",
)
AWKWARD_EVERY = 25

NAMES = (
    (
        ("Ångström", "Núñez", "Łukasiewicz", "Österreicher", "Çelik", "Smith", "Dvořák", "Nguyễn"),
        (" Family Trust", " Pension Plan", " Growth Fund", " Endowment", " Retirement Account"),
    ),
    (("Île-de-France", "São Paulo", "Kraków", "Zürich"), (" Teachers", " Équité", " Prévoyance")),
    (("王小明", "李娜", "陳大文", "张伟"), ("成長基金", "退休帳戶", "家族信託")),
    (("佐藤", "鈴木", "高橋"), ("年金ファンド", "さくら信託", "グロース口座")),
    (("صندوق", "محفظة"), (" النمو", " التقاعد", " المستقبل")),
    (("Фонд", "Портфель"), (" «Надежда»", " Роста", " Пенсионный")),
    (("Ταμείο", "Χαρτοφυλάκιο"), (" Ανάπτυξης", " Συντάξεων")),
    (("विकास", "भविष्य"), (" निधि", " पेंशन न्यास")),
    (("🌱 Green", "🚀 Orbit", "🏔️ Summit"), (" Fund", " Savings 💶")),
)
"""First and second parts of names, by script. Latin comes most often, see `_name`."""

LATIN_SHARE = 0.5
FIRST_DAY = date(2019, 1, 1)
DAYS = 2500
ROW = tuple[str, str, str | None, str, str]


def create_accounts_database(
    path: Path, *, active: int = 1000, retired: int = 50, seed: int = 7
) -> None:
    """Write the accounts database to `path`, replacing what is there.

    Table `accounts(account_id, account_name, primary_esg_focus, last_modified, status)`; the
    same arguments give the same rows. Takes a few seconds for a million accounts.

    Args:
        active: Number of accounts with status `active`.
        retired: Number of accounts with status `retired`.
        seed: Chooses names, dates and which accounts are retired.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.new")
    unfinished.unlink(missing_ok=True)
    connection = sqlite3.connect(unfinished)
    try:
        # A crash here only loses an invented file, so no journal and no fsync.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(
            "CREATE TABLE accounts (account_id TEXT PRIMARY KEY, account_name TEXT NOT NULL, "
            "primary_esg_focus TEXT NULL, last_modified TEXT, status TEXT)"
        )
        connection.executemany(
            "INSERT INTO accounts VALUES (?, ?, ?, ?, ?)", _rows(active, retired, seed)
        )
        connection.commit()
    finally:
        connection.close()
    unfinished.replace(path)


def _rows(active: int, retired: int, seed: int) -> Iterator[ROW]:
    rng = Random(seed)  # noqa: S311 - invented data, not a secret
    days = [(FIRST_DAY + timedelta(days=day)).isoformat() for day in range(DAYS)]
    retired_numbers = set(rng.sample(range(1, active + retired + 1), retired))
    for number in range(1, active + retired + 1):
        account_id = _account_id(number)
        status = "retired" if number in retired_numbers else "active"
        name = _name(number, rng)
        yield account_id, name, registered_focus(account_id), rng.choice(days), status


def _account_id(number: int) -> str:
    """An id that is text: some have leading zeros, some look like 1E5 or a date; all differ."""
    match number % 20:
        case 1 | 11:
            return f"00{number}"
        case 2:
            return f"{number}E5"
        case 3:
            return f"{number}-12"
        case _:
            return f"A{number:07d}"


def _name(number: int, rng: Random) -> str:
    if number % AWKWARD_EVERY == 1:
        return AWKWARD_NAMES[number // AWKWARD_EVERY % len(AWKWARD_NAMES)]
    first, second = NAMES[0] if rng.random() < LATIN_SHARE else rng.choice(NAMES)
    return rng.choice(first) + rng.choice(second)
