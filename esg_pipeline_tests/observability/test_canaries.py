"""A real scoring with names and a token that must be nowhere in its log (docs/faults.md#l2)."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from esg_pipeline import clock
from esg_pipeline.accounts import open_account_source
from esg_pipeline.ledger import Ledger
from esg_pipeline.observability.logs import log_to
from esg_pipeline.sandbox import start_sandbox
from esg_pipeline.scoring import score_accounts
from esg_pipeline_tests.observability.conftest import DAY

ACCOUNTS = 40


@pytest.fixture
def firm(servers, tmp_path):
    faults = {"echo_token": "0.3", "http_500": "0.2:1", "string_score": "0.2", "reset": "0.1"}
    with start_sandbox(tmp_path / "firm", accounts=ACCOUNTS, faults=faults) as sandbox:
        yield sandbox


def with_names(accounts: pa.Table, name: str) -> pa.Table:
    names = pa.array([f"{name} {number}" for number in range(accounts.num_rows)])
    column = accounts.schema.get_field_index("account_name")
    return accounts.set_column(column, accounts.schema.field(column), names)


def test_every_failure_is_logged_by_account_id_and_no_name_or_token_is(
    firm, make_settings, records, log_file, monkeypatch, tmp_path
):
    for name, value in firm.env().items():
        monkeypatch.setenv(name, value)
    settings = make_settings(
        log_level="DEBUG", api_backoff_base=0.01, api_backoff_max=0.02, api_rate_limit=500
    )
    accounts = with_names(open_account_source(settings).read_active_accounts(), "Canary Trust")
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")
    day = clock.business_date(datetime.now(UTC))
    end = datetime.now(UTC) + timedelta(minutes=5)
    with log_to(settings, run_id="r", day=DAY, step="esg_scores"):
        lease = ledger.leases.acquire(day, run_id="r")
        edition = ledger.editions.open(
            lease, run_id="r", root_run_id="r", mode="full", asked_by=None, reason=None,
            label="manual", code_version="0", reask=None, deadline_at=end,
        )  # fmt: skip
        outcome = score_accounts(
            accounts, settings=settings, day=day, writer=ledger.results.writer(lease, edition),
            rate_limit=ledger.shared_rate_limit(lease),
            resume=ledger.results.resume_state(edition), calls_end_at=end, deadline_at=end,
        )  # fmt: skip
        lease.release()
    ledger.close()

    text = log_file.read_text("ascii")
    assert settings.api_token.get_secret_value() not in text
    assert "Canary" not in text
    assert outcome.progress.failed > 0
    failures = [each for each in records() if each["level"] == "WARNING"]
    ids = set(accounts["account_id"].to_pylist())
    named = [each for each in failures if any(ascii(one) in each["message"] for one in ids)]
    assert len(named) == outcome.progress.failed
    assert {each["level"] for each in records()} >= {"DEBUG", "INFO", "WARNING"}
    assert {each["step"] for each in records()} == {"esg_scores"}
