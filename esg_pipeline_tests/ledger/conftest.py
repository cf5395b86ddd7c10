"""Every test of the ledger runs on SQLite and on a real PostgreSQL."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from esg_pipeline.ledger import Edition, Lease, Ledger
from esg_pipeline_tests.ledger.runs import DAY, FIRST_RUN
from esg_pipeline_tests.ledger.worker import Worker


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def ledger_url(request, tmp_path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    return request.getfixturevalue("postgres").new_schema()


@pytest.fixture
def ledger(ledger_url) -> Iterator[Ledger]:
    ledger = Ledger.open(ledger_url)
    yield ledger
    ledger.close()


@pytest.fixture
def lease(ledger) -> Iterator[Lease]:
    with ledger.leases.acquire(DAY, run_id="run-1") as lease:
        yield lease


@pytest.fixture
def edition(ledger, lease) -> Edition:
    return ledger.editions.open(lease, **FIRST_RUN)


@pytest.fixture
def start_worker(servers, ledger_url):
    """Start another process that works on the same ledger; all are ended with the test."""
    with ExitStack() as running:
        yield lambda run_id, **options: running.enter_context(Worker(ledger_url, run_id, **options))
