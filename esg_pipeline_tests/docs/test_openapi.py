"""The OpenAPI documents are valid, and say what the pipeline sends and what it takes."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from openapi_spec_validator import validate

from esg_pipeline.accounts.rest import RestAccounts
from esg_pipeline.ratings import Focus, ProcessingStatus
from esg_pipeline.sandbox import Sandbox, start_sandbox
from esg_pipeline.sandbox.faults import FAULTS
from esg_pipeline.scoring import score_accounts
from esg_pipeline.scoring.api.answer import AnswerPaths, read_answer
from esg_pipeline.settings import Settings
from esg_pipeline_tests.accounts.accounts_service import AccountsService
from esg_pipeline_tests.docs.openapi_document import Document, Exchange
from esg_pipeline_tests.docs.pages import DOCS, block_with
from esg_pipeline_tests.docs.recorder import recording
from esg_pipeline_tests.scoring.checkpoints import MemoryCheckpoint, MemoryRateLimit
from esg_pipeline_tests.scoring.conftest import read_accounts

DAY = date(2026, 3, 10)
ESG, ACCOUNTS = Document("esg-api.yaml"), Document("accounts-api.yaml")
ANSWERS_AMISS = (
    "out_of_range", "string_score", "bool_score", "container_score", "null_scores",
    "missing_overall", "missing_pillar", "pillar_out_of_range", "missing_analysis",
    "missing_account", "missing_date", "slash_date", "status_error", "status_unknown",
    "unknown_focus",
)  # fmt: skip
"""Faults of the sandbox that break the document's schema."""
ANSWERS_ALLOWED = ("status_partial", "yesterday_date", "stale_date")
STATUSES = (400, 401, 403, 404, 408, 422, 429, 500, 502, 503, 504)


@pytest.fixture(scope="module")
def firm(servers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, str]]:
    folder = tmp_path_factory.mktemp("firm")
    with start_sandbox(folder, accounts=40, retired=0) as sandbox:
        yield sandbox, str(folder / "accounts.db")


def score(firm: tuple[Sandbox, str], url: str, **settings: str) -> list[Exchange]:
    """Rate all accounts by way of a recorder; what went over the wire."""
    _, database = firm
    origin = "http://" + urlsplit(url).netloc
    now = datetime.now(UTC)
    with recording(origin) as recorder:
        given = {name: recorder.url(value) for name, value in settings.items()}
        score_accounts(
            read_accounts(database),
            settings=Settings(
                _env_file=None,
                api_url=recorder.url(url),
                api_rate_limit=2000,
                api_backoff_base=0.01,
                api_backoff_max=0.05,
                **given,
            ),
            day=DAY,
            writer=MemoryCheckpoint(),
            rate_limit=MemoryRateLimit(MemoryCheckpoint()),
            resume=MemoryCheckpoint(),
            calls_end_at=now + timedelta(seconds=30),
            deadline_at=now + timedelta(seconds=60),
        )
    return recorder.exchanges


def check(exchanges: list[Exchange]) -> None:
    assert len(exchanges) >= 40
    for exchange in exchanges:
        assert ESG.problems(exchange) == [], exchange


@pytest.mark.parametrize("document", [ESG, ACCOUNTS], ids=["esg-api", "accounts-api"])
def test_the_document_is_valid_and_its_examples_too(document):
    validate(document.content)
    problems = document.example_problems()
    assert problems
    assert not any(problems.values()), problems


def test_what_goes_to_the_api_and_comes_back_is_in_the_document(firm):
    firm[0].heal()
    exchanges = score(firm, firm[0].api_url, api_token=firm[0].token)
    check(exchanges)
    assert any(b"primary_esg_focus" in exchange.request_body for exchange in exchanges)


def test_the_get_form_is_in_the_document(firm):
    firm[0].heal()
    exchanges = score(firm, firm[0].api_get_url, api_token=firm[0].token)
    check(exchanges)
    assert {exchange.method for exchange in exchanges} == {"GET"}


def test_the_token_endpoint_is_in_the_document(firm):
    firm[0].heal()
    env = firm[0].oauth_env()
    exchanges = score(
        firm,
        firm[0].api_url,
        api_oauth_token_url=env["ESG_API_OAUTH_TOKEN_URL"],
        api_oauth_client_id=env["ESG_API_OAUTH_CLIENT_ID"],
        api_oauth_client_secret=env["ESG_API_OAUTH_CLIENT_SECRET"],
    )
    check(exchanges)
    assert "/oauth/token" in {urlsplit(exchange.target).path for exchange in exchanges}


def test_each_error_of_the_api_is_in_the_document(firm):
    firm[0].heal()
    ids = read_accounts(firm[1])["account_id"].to_pylist()
    faults = {i: f"http_{status}:1" for i, status in zip(ids, STATUSES, strict=False)}
    firm[0].set_faults(account_faults=faults, throttle_headers={"Retry-After": "0"})
    exchanges = score(firm, firm[0].api_url, api_token=firm[0].token)
    check(exchanges)
    assert {exchange.status for exchange in exchanges} == {200, *STATUSES}


def test_the_schema_refuses_what_the_reader_refuses(firm):
    """An answer is right by the document exactly when it is Successful, or only old or partial."""
    sandbox, database = firm
    sandbox.heal()
    ids = read_accounts(database)["account_id"].to_pylist()
    faults = dict(zip(ids, [*ANSWERS_AMISS, *ANSWERS_ALLOWED], strict=False))
    assert set(faults.values()) <= set(FAULTS)
    sandbox.set_faults(account_faults=faults)
    exchanges = score(firm, sandbox.api_url, api_token=sandbox.token)
    refused = set()
    for exchange in exchanges:
        asked = json.loads(exchange.request_body)
        account_id, focus = asked["portfolio_id"], asked.get("primary_esg_focus")
        is_right = ESG.problems(exchange) == []
        status = _status(exchange.response_body, account_id, focus)
        if account_id in faults and not is_right:
            refused.add(faults[account_id])
        elif account_id not in faults:
            assert is_right
        assert is_right or status is not ProcessingStatus.SUCCESSFUL
    assert refused == set(ANSWERS_AMISS)


def _status(body: bytes, account_id: str, focus: str | None) -> ProcessingStatus:
    return read_answer(
        body,
        account_id=account_id,
        asked_focus=None if focus is None else Focus(focus),
        day=DAY,
        paths=AnswerPaths.from_settings(Settings(_env_file=None)),
        max_staleness_days=7,
    ).status


def test_the_examples_of_the_page_are_read_as_the_page_says():
    """The answer on the contract page is Successful."""
    page = DOCS / "api-contract.md"
    body = block_with(page, '"overall_esg_score"').encode()
    assert _status(body, "00123", "social") is ProcessingStatus.SUCCESSFUL
    assert ESG.schema_problems("Analysis", json.loads(body)) == []
    accounts = json.loads(block_with(page, '"account_name"'))
    assert ACCOUNTS.schema_problems("Page", accounts) == []


def test_another_vendors_contract_needs_only_the_settings_of_the_guide():
    page = DOCS / "developer-guide.md"
    lines = block_with(page, "ESG_API_FIELD_STATUS=").splitlines()
    given = dict(line.partition("=")[::2] for line in lines)
    settings = Settings(
        _env_file=None, **{name.removeprefix("ESG_").lower(): text for name, text in given.items()}
    )
    answer = read_answer(
        block_with(page, '"state": "partial"').encode(),
        account_id="00123",
        asked_focus=None,
        day=DAY,
        paths=AnswerPaths.from_settings(settings),
        max_staleness_days=7,
    )
    assert answer.status is ProcessingStatus.PARTIAL
    assert (answer.overall, answer.environmental, answer.social, answer.governance) == (
        7270, 8100, 6450, 7250,
    )  # fmt: skip
    assert settings.api_throttle_statuses == (429, 503)


@pytest.mark.servers
def test_what_goes_to_the_account_system_and_comes_back_is_in_the_document():
    with AccountsService() as service:
        service.page_limit = 2
        service.accounts = [
            {"account_id": f"00{n}", "account_name": f"Fund {n}", "primary_esg_focus": focus}
            for n, focus in enumerate([None, "Social", "governance", ""])
        ]
        service.accounts[0]["last_modified"] = "2026-03-09T08:00:00Z"
        service.extra = {"as_of": str(datetime.now(UTC).date())}  # today Central, or tomorrow
        with recording(service.url.removesuffix("/accounts")) as recorder:
            table = RestAccounts(recorder.url(service.url)).read_active_accounts()
    assert table.num_rows == 4
    assert len(recorder.exchanges) == 2
    for exchange in recorder.exchanges:
        assert ACCOUNTS.problems(exchange) == []


@pytest.mark.parametrize(
    "page",
    [
        {"accounts": [{"account_id": 123, "account_name": "a"}], "page": 1, "pages": 1, "total": 1},
        {"accounts": [{"account_id": "1"}], "page": 1, "pages": 1, "total": 1},
        {"accounts": [], "page": "1", "pages": 1, "total": 0},
        {"accounts": [], "page": 1, "pages": 1},
        {
            "accounts": [{"account_id": "1", "account_name": "a", "primary_esg_focus": "money"}],
            "page": 1, "pages": 1, "total": 1,
        },
    ],
)  # fmt: skip
def test_a_page_that_the_pipeline_refuses_is_not_in_the_document(page):
    assert ACCOUNTS.schema_problems("Page", page) != []
