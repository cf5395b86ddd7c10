"""Fixtures of the S3 tests: the environment of the pipeline, a prefix for each test."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from esg_pipeline.delivery import Store, open_store
from esg_pipeline.settings import Settings
from esg_pipeline_tests.servers.faulty_proxy import FaultyProxy, run_faulty_proxy
from esg_pipeline_tests.servers.seaweedfs import BUCKET, SeaweedFS

_numbers = itertools.count(1)

OpenS3 = Callable[..., Store]


@pytest.fixture
def prefix() -> str:
    return f"test-{next(_numbers)}"


@pytest.fixture
def s3_environment(seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> SeaweedFS:
    """The environment of the pipeline's identity."""
    for name, value in seaweedfs.environment().items():
        monkeypatch.setenv(name, value)
    return seaweedfs


@pytest.fixture
def open_s3(s3_environment: SeaweedFS, home: Path, prefix: str) -> OpenS3:
    """Opens the test's store as `open_store` does from settings; extra settings may be given."""

    def open_it(**settings: str) -> Store:
        given = {
            "store_url": f"s3://{BUCKET}/{prefix}",
            "store_kms_key_id": s3_environment.kms_key_id,
            **settings,
        }
        return open_store(Settings(_env_file=None, DAGSTER_HOME=home, **given))

    return open_it


@pytest.fixture
def proxy(s3_environment: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """A faulty proxy in front of the server; the environment points to it."""
    with run_faulty_proxy(s3_environment.endpoint, s3_environment.ca_file) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", running.endpoint)
        yield running


@pytest.fixture
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore retries as often as always, but does not wait in between."""
    monkeypatch.setattr(
        "botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.001
    )
