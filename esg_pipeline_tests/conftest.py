"""Servers that several stages' tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from esg_pipeline_tests.servers.postgres import Postgres, run_postgres
from esg_pipeline_tests.servers.receivers import Receivers, start_receivers

settings.register_profile("untimed", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL, started once for all tests that ask for it."""
    with run_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres) -> str:
    """The URL of a new, empty database."""
    return postgres.new_database()


@pytest.fixture
def receivers(tmp_path: Path) -> Iterator[Receivers]:
    """Mail, PagerDuty and webhook servers that count what reaches people."""
    with start_receivers(tmp_path) as receivers:
        yield receivers
