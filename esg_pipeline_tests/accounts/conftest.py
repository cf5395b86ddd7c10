"""Real servers for the account sources: PostgreSQL and a REST service, both on 127.0.0.1."""

from collections.abc import Iterator

import pytest

from esg_pipeline_tests.accounts.accounts_service import AccountsService
from esg_pipeline_tests.servers.postgres import Postgres, run_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with run_postgres() as server:
        yield server


@pytest.fixture
def service() -> Iterator[AccountsService]:
    with AccountsService() as server:
        yield server
