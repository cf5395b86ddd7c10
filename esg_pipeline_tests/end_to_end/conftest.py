"""A simulated firm in its own process, and a fresh installation for each test."""

from collections.abc import Iterator

import pytest

from esg_pipeline.sandbox import Sandbox, start_sandbox
from esg_pipeline_tests.end_to_end.job import Job

ACCOUNTS = 60
QUICK = {
    "ESG_API_RATE_LIMIT": "500",
    "ESG_API_TIMEOUT": "2",
    "ESG_API_BACKOFF_BASE": "0.05",
    "ESG_API_BACKOFF_MAX": "0.2",
}


@pytest.fixture(scope="session")
def shared_firm(servers, tmp_path_factory) -> Iterator[Sandbox]:
    with start_sandbox(tmp_path_factory.mktemp("firm"), accounts=ACCOUNTS, retired=7) as sandbox:
        yield sandbox


@pytest.fixture
def firm(shared_firm) -> Sandbox:
    """The firm, healthy and with no call made yet."""
    shared_firm.heal()
    return shared_firm


@pytest.fixture
def job(tmp_path, firm) -> Job:
    return Job(tmp_path / "home", {**QUICK, **firm.env()})
