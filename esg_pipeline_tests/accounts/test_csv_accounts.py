"""Accounts from a CSV file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from esg_pipeline.accounts import AccountListError, AccountSourceError
from esg_pipeline.accounts.csv_file import CsvAccounts


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "our accounts.csv"


def read(file: Path, content: bytes | str) -> list[dict[str, str | None]]:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    rows: list[dict[str, str | None]] = (
        CsvAccounts(file.as_uri()).read_active_accounts().to_pylist()
    )
    return rows


def refusal_of(file: Path, content: bytes | str) -> str:
    with pytest.raises(AccountListError) as refused:
        read(file, content)
    assert "Canary" not in str(refused.value)
    return str(refused.value)


def test_cells_stay_text_whatever_they_look_like(file: Path) -> None:
    content = (
        "\ufeffaccount_id,region,account_name,last_modified,primary_esg_focus\r\n"
        '00123,x,"Müller, ""the"" Fund",2026-11-20,Social\r\n'
        "1E5,x,=1+1,,\r\n"
        '3-12,x,"two\r\nlines",,governance'
    )
    assert [tuple(row.values()) for row in read(file, content)] == [
        ("00123", 'Müller, "the" Fund', "social", "2026-11-20"),
        ("1E5", "=1+1", None, ""),
        ("3-12", "two\r\nlines", "governance", ""),
    ]


def test_with_a_status_column_only_active_rows_count(file: Path) -> None:
    content = "status,account_id,account_name\nactive,A1,n\nretired,A2,n\n\n Active ,A3,n\n,A4,n\n"
    assert [row["account_id"] for row in read(file, content)] == ["A1", "A3"]


def test_a_wrong_row_is_told_by_the_number_a_spreadsheet_shows(file: Path) -> None:
    content = 'account_id,account_name,status\nA1,"a\nb",active\nA2,n,retired\n,Canary,active\n'
    assert "account_id is empty in row 4;" in refusal_of(file, content)
    assert "row 3 of the CSV file has 3 cells, the header has 2" in refusal_of(
        file, "account_id,account_name\nA1,n\nA2,Canary,x\n"
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "no column account_id, no column account_name"),
        ("id,account_name\nA1,Canary\n", "no column account_id"),
        ("account_id,account_name,account_id\nA1,Canary,A1\n", "column account_id twice"),
        ("account_id,account_name\n", "no active account"),
        ("account_id,account_name\nA1,Canary\nA1,Canary\n", "more than once for 1 ids: 'A1'"),
        ("account_id,account_name\nA1,Canary\xe4".encode("latin-1"), "is not UTF-8"),
        ('account_id,account_name\nA1,"Canary"x\n', "is not a readable CSV file"),
        ('account_id,account_name\nA1,"Canary\n', "is not a readable CSV file"),
        ("<html><body>Canary</body></html>", "no column account_id"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused(file: Path, content: bytes | str, told: str) -> None:
    assert told in refusal_of(file, content)


def test_a_file_without_the_columns_is_told_which_it_must_have(file: Path) -> None:
    assert refusal_of(file, "name\nCanary\n") == (
        "account list: the first line of the CSV file has no column account_id, no column "
        "account_name; it must name the columns account_id, account_name"
    )


def test_a_missing_file_is_told_and_not_waited_for(file: Path) -> None:
    with pytest.raises(AccountSourceError) as refused:
        CsvAccounts(file.as_uri()).read_active_accounts()
    assert str(refused.value).startswith(f"{file}: No such file or directory;")
    assert not refused.value.retryable
    assert not file.exists()


def test_a_share_that_hangs_hangs_neither_the_run_nor_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("esg_pipeline.accounts.csv_file.CHECK_LIMIT_S", 0.1)
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)  # opening it waits for a writer, as a dead network share does
    source = CsvAccounts(pipe.as_uri(), read_limit_s=0.1)
    for ask in (source.read_active_accounts, source.check):
        with pytest.raises(AccountSourceError) as refused:
            ask()
        assert str(refused.value) == (
            f"{pipe}: no whole answer within 0.1 s; see whether the source hangs"
        )
        assert refused.value.retryable
    pipe.open("w").close()


@pytest.mark.servers
def test_a_read_that_hangs_does_not_keep_the_process_alive(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    with pytest.raises(AccountSourceError):
        CsvAccounts(pipe.as_uri(), read_limit_s=0.1).read_active_accounts()
    hang = (
        "from esg_pipeline.accounts.csv_file import CsvAccounts\n"
        f"CsvAccounts({pipe.as_uri()!r}, read_limit_s=0.1).read_active_accounts()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", hang], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "no whole answer within 0.1 s" in ended.stderr
    pipe.open("w").close()


def test_the_check_tells_the_columns(file: Path) -> None:
    file.write_text("account_id,account_name,status\n")
    said = CsvAccounts(file.as_uri()).check()
    assert said == f"{file}: CSV file with columns account_id, account_name, status"
