"""A Dagster home with a folder store in it, as `open_store` makes them."""

from pathlib import Path

import pytest

from esg_pipeline.delivery import Signer, Store, open_signer, open_store
from esg_pipeline.settings import Settings
from esg_pipeline_tests.delivery.s3_fixtures import (  # noqa: F401 - fixtures
    no_backoff,
    open_s3,
    prefix,
    proxy,
    s3_environment,
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(_env_file=None, DAGSTER_HOME=home)


@pytest.fixture
def store(settings: Settings) -> Store:
    return open_store(settings)


@pytest.fixture
def signer(settings: Settings) -> Signer:
    return open_signer(settings.keys_folder)


@pytest.fixture
def folder(home: Path) -> Path:
    """Where the store of `settings` lies."""
    return home / "store"
