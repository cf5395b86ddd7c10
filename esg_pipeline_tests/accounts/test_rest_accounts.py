"""Accounts from a REST service on a real socket: right, and wrong in every way we know."""

import gzip
import json
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import trustme
from pydantic import SecretStr

from esg_pipeline.accounts import AccountListError, AccountSourceError
from esg_pipeline.accounts.rest import RestAccounts
from esg_pipeline_tests.accounts.accounts_service import AccountsService, Answer

TOKEN = "canary-token"
NOW = datetime(2026, 11, 24, 11, 5, tzinfo=UTC)
JSON = {"Content-Type": "application/json"}


def accounts(count: int) -> list[dict[str, Any]]:
    return [{"account_id": f"{n:05}", "account_name": f"Canary {n}"} for n in range(count)]


def source_of(service: AccountsService, **limits: float) -> RestAccounts:
    return RestAccounts(service.url, SecretStr(TOKEN), now=lambda: NOW, **limits)


def refusal_of(source: RestAccounts) -> AccountSourceError:
    with pytest.raises(AccountSourceError) as refused:
        source.read_active_accounts()
    assert TOKEN not in str(refused.value)
    assert "Canary" not in str(refused.value)
    return refused.value


def test_all_pages_are_read_with_the_token(service: AccountsService) -> None:
    service.accounts = accounts(2500)
    service.accounts[7] |= {"primary_esg_focus": "Social", "last_modified": "2026-11-20", "x": 1}
    service.extra = {"as_of": "2026-11-24", "more": [1]}
    table = source_of(service).read_active_accounts()
    assert table["account_id"].to_pylist() == [f"{n:05}" for n in range(2500)]
    assert table.slice(7, 1).to_pylist()[0] == {
        "account_id": "00007",
        "account_name": "Canary 7",
        "primary_esg_focus": "social",
        "last_modified": "2026-11-20",
    }
    assert [(path, query) for path, query, _ in service.requests] == [
        ("/accounts", {"status": "active", "page": str(page), "page_size": "1000"})
        for page in (1, 2, 3)
    ]
    for _, _, headers in service.requests:
        sent = {name.lower(): value for name, value in headers.items()}
        assert (sent["authorization"], sent["accept"]) == (f"Bearer {TOKEN}", "application/json")


def test_the_service_may_give_smaller_pages_and_the_url_may_have_a_query(
    service: AccountsService,
) -> None:
    service.accounts, service.page_limit = accounts(10), 3
    source = RestAccounts(f"{service.url}?firm=7")
    assert source.read_active_accounts().num_rows == 10
    assert [query["firm"] for _, query, _ in service.requests] == ["7"] * 4
    assert "Authorization" not in service.requests[0][2]


def lost_page(page: dict[str, Any]) -> None:
    if page["page"] == 2:
        page["accounts"] = []


def repeated_page(page: dict[str, Any]) -> None:
    if page["page"] == 3:
        page["page"] = 2


def first_page_again(page: dict[str, Any]) -> None:
    page["accounts"] = accounts(3)


def no_accounts(page: dict[str, Any]) -> None:
    page |= {"accounts": [], "total": 0, "pages": 0}


def with_first(**values: object) -> Callable[[dict[str, Any]], None]:
    return lambda page: page["accounts"][0].update(values)


def with_page(**values: object) -> Callable[[dict[str, Any]], None]:
    return lambda page: page.update(values)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lost_page, "/accounts says it has 9 accounts and gave 6; a part of the list is missing or "
         "repeated"),
        (repeated_page, "/accounts gave page 2 when asked for page 3"),
        (first_page_again, "more than once for 3 ids: '00000', '00001', '00002'"),
        (no_accounts, "no active account"),
        (with_first(account_id=123), "account_id must be text, but is int in row 1"),
        (with_first(account_id=None), "account_id is empty in 3 rows: 1, 4, 7"),
        (with_first(account_name=None), "account_name is missing"),
        (with_first(primary_esg_focus="ethics"), "primary_esg_focus is none of"),
        (with_page(total="9"), "total: Input should be a valid integer"),
        (with_page(pages=10**9), "pages: Input should be less than or equal to 100000"),
        (with_page(accounts={}), "accounts: Input should be a valid array"),
        (with_page(accounts=["Canary"]),
         "/accounts is not of the agreed form: accounts.0: Input should be an object"),
        (with_page(as_of="yesterday"), "as_of: Input should be a valid date"),
        (lambda page: page.pop("total"), "total: Field required"),
    ],
)  # fmt: skip
def test_a_list_that_is_not_whole_or_not_as_agreed_is_refused(
    service: AccountsService, change: Callable[[dict[str, Any]], None], told: str
) -> None:
    service.accounts, service.page_limit, service.change_page = accounts(9), 3, change
    error = refusal_of(source_of(service))
    assert isinstance(error, AccountListError)
    assert told in str(error)


def test_a_list_that_changes_while_it_is_read_is_read_again(service: AccountsService) -> None:
    service.accounts, service.page_limit = accounts(9), 3
    service.change_page = lambda page: page.update(total=8) if page["page"] == 2 else None
    error = refusal_of(source_of(service))
    assert str(error) == (
        f"{service.url}: the list changed while it was read: (pages, total, as_of) was (3, 9, "
        "None) on page 1 and is (3, 8, None) on page 2; read it again"
    )
    assert error.retryable


def test_a_list_of_yesterday_is_refused(service: AccountsService) -> None:
    service.accounts, service.extra = accounts(3), {"as_of": "2026-11-23"}
    error = refusal_of(source_of(service))
    assert str(error) == (
        f"{service.url}: the list is of 2026-11-23, older than today, 2026-11-24; see why the "
        "source was not brought up to date"
    )
    assert error.retryable


def test_a_list_of_today_or_tomorrow_is_taken(service: AccountsService) -> None:
    service.accounts = accounts(3)
    for day in ("2026-11-24", "2026-11-25"):
        service.extra = {"as_of": day}
        assert source_of(service).read_active_accounts().num_rows == 3


@pytest.mark.parametrize(
    ("answer", "told", "retryable"),
    [
        ((503, {}, b""), "HTTP 503: see whether it is up$", True),
        ((429, {}, b""), "HTTP 429: see whether it is up$", True),
        ((401, {}, b""), "HTTP 401: set ESG_ACCOUNTS_TOKEN to a token that may read the accounts$",
         False),
        ((403, {}, b""), "HTTP 403: set ESG_ACCOUNTS_TOKEN to a token that may read the accounts$",
         False),
        ((404, {}, b""), "HTTP 404: check ESG_ACCOUNTS_URL$", False),
        ((201, JSON, b'{"accounts": [], "page": 1, "pages": 0, "total": 0}'),
         "HTTP 201: check ESG_ACCOUNTS_URL$", False),
        ((200, {"Content-Type": "text/html"}, b"<html>Canary</html>"),
         "HTTP 200: the answer is text/html, not application/json$", False),
        ((200, JSON, b"<html>Canary</html>"),
         "is not of the agreed form: body: Invalid JSON: expected value", False),
        ((200, JSON, b'{"accounts": [{"account_id": "\\ud800"}]}'),
         "not of the agreed form", False),
        ((200, JSON, b'{"accounts":' + b"[" * 100_000), "not of the agreed form", False),
        ((200, JSON | {"Content-Length": "999"}, b'{"accounts": ['),
         "ClientPayloadError; see whether it is up$", True),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_page_is_refused(
    service: AccountsService, answer: Answer, told: str, retryable: bool
) -> None:
    service.answer = lambda number: answer
    error = refusal_of(source_of(service))
    assert re.search(told, str(error))
    assert f"http://{service.host}/accounts" in str(error)
    assert error.retryable is retryable
    assert len(service.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(service: AccountsService, status: int) -> None:
    with AccountsService() as elsewhere:
        service.answer = lambda number: (status, {"Location": elsewhere.url}, b"")
        error = refusal_of(source_of(service))
        assert elsewhere.requests == []
    assert str(error) == (
        f"{service.url}: HTTP {status}: redirects are not followed; give the final address in "
        "ESG_ACCOUNTS_URL"
    )
    assert not error.retryable


def test_a_page_that_unpacks_to_300_megabytes_is_cut(service: AccountsService) -> None:
    bomb = gzip.compress(b" " * 300_000_000, compresslevel=1)
    service.answer = lambda number: (200, JSON | {"Content-Encoding": "gzip"}, bomb)
    assert str(refusal_of(source_of(service))) == (
        f"account list: page 1 of {service.url} is larger than 33554432 bytes"
    )


def test_a_page_of_just_as_many_bytes_as_allowed_is_read(service: AccountsService) -> None:
    page = json.dumps({"accounts": accounts(1), "page": 1, "pages": 1, "total": 1}).encode()
    body = gzip.compress(page.ljust(33_554_432), compresslevel=1)
    service.answer = lambda number: (200, JSON | {"Content-Encoding": "gzip"}, body)
    assert source_of(service).read_active_accounts().num_rows == 1


def test_a_service_that_hangs_or_drips_does_not_hang_the_run(service: AccountsService) -> None:
    def hang(number: int) -> Answer:
        service.let_go.wait(10)
        return 503, {}, b""

    def drip() -> Iterator[bytes]:
        while not service.let_go.wait(0.01):
            yield b" "

    for answer in (hang, lambda number: (200, JSON, drip())):
        service.answer = answer
        error = refusal_of(source_of(service, page_timeout_s=0.2))
        assert str(error) == f"{service.url}: no whole page within 0.2 s"
        assert error.retryable


def test_many_slow_pages_hang_neither_the_run_nor_the_check(
    service: AccountsService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(number: int) -> Answer:
        service.let_go.wait(10)
        return 503, {}, b""

    monkeypatch.setattr("esg_pipeline.accounts.rest.CHECK_LIMIT_S", 0.1)
    service.answer = hang
    source = source_of(service, read_limit_s=0.1)
    for ask in (source.read_active_accounts, source.check):
        with pytest.raises(AccountSourceError) as refused:
            ask()
        assert refused.value.retryable
        assert str(refused.value) == (
            f"{service.url}: no whole answer within 0.1 s; see whether the source hangs"
        )


@pytest.mark.servers
def test_a_service_that_is_down_may_be_asked_later() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = refusal_of(
            RestAccounts(f"http://127.0.0.1:{unused.getsockname()[1]}/accounts?key=k")
        )
        where = f"http://127.0.0.1:{unused.getsockname()[1]}/accounts"
    assert re.fullmatch(rf"{where}: .*(Connect|refused).*; see whether it is up", str(error))
    assert error.retryable


@pytest.mark.servers
def test_a_certificate_of_an_unknown_authority_is_refused() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with AccountsService(context) as service:
        error = refusal_of(source_of(service))
        assert service.requests == []
    assert str(error) == (
        f"https://{service.host}/accounts: its certificate is not trusted: "
        "ClientConnectorCertificateError"
    )
    assert not error.retryable


def test_the_check_asks_for_one_account(service: AccountsService) -> None:
    service.accounts = accounts(12)
    assert source_of(service).check() == f"http://{service.host}/accounts: 12 active accounts"
    assert [(query["page"], query["page_size"]) for _, query, _ in service.requests] == [("1", "1")]
