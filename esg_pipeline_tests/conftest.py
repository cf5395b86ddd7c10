"""Servers that several stages' tests share, each started once for all of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from esg_pipeline.safe_text.secrets import OF_THIS_PROCESS
from esg_pipeline_tests.servers.postgres import Postgres, run_postgres
from esg_pipeline_tests.servers.receivers import Receivers, start_receivers

if TYPE_CHECKING:
    from esg_pipeline_tests.servers.seaweedfs import SeaweedFS

pytest_plugins = ["esg_pipeline_tests.lanes"]

settings.register_profile("untimed", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _no_secret_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test's settings make secret is forgotten at its end."""
    monkeypatch.setattr(OF_THIS_PROCESS, "_known", OF_THIS_PROCESS._known)


@pytest.fixture(scope="session")
def postgres(servers: None) -> Iterator[Postgres]:
    """A real PostgreSQL."""
    with run_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """The URL of a new, empty database."""
    return postgres.new_database()


@pytest.fixture(scope="session")
def seaweedfs(servers: None) -> Iterator["SeaweedFS"]:
    """A real S3 server."""
    # Its KMS takes seconds to import, which tests without it need not wait for.
    from esg_pipeline_tests.servers.seaweedfs import run_seaweedfs  # noqa: PLC0415

    with run_seaweedfs() as server:
        yield server


@pytest.fixture
def receivers(servers: None, tmp_path: Path) -> Iterator[Receivers]:
    """Mail, PagerDuty and webhook servers that count what reaches people."""
    with start_receivers(tmp_path) as receivers:
        yield receivers
