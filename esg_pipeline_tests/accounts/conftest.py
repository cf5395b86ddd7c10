"""A real REST service for the account sources, on 127.0.0.1."""

from collections.abc import Iterator

import pytest

from esg_pipeline_tests.accounts.accounts_service import AccountsService


@pytest.fixture
def service(servers: None) -> Iterator[AccountsService]:
    with AccountsService() as server:
        yield server
