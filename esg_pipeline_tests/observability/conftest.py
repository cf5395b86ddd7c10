"""A home of its own for each test, and records read back from the file."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from esg_pipeline.settings import Settings

DAY = date(2026, 11, 24)

MakeSettings = Callable[..., Settings]


@pytest.fixture
def make_settings(tmp_path: Path) -> MakeSettings:
    """Settings in a temporary home; standard output is left to pytest."""

    def make(**given: Any) -> Settings:
        return Settings(_env_file=None, DAGSTER_HOME=tmp_path, **({"log_stdout": False} | given))

    return make


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    return tmp_path / "logs" / f"esg_pipeline_{DAY:%Y%m%d}.jsonl"


@pytest.fixture
def records(log_file: Path) -> Callable[[], list[dict[str, Any]]]:
    """Reads the day's log file: one JSON object in each line, nothing else."""
    return lambda: [json.loads(line) for line in log_file.read_text("ascii").splitlines()]


@pytest.fixture
def told() -> Iterator[threading.Event]:
    """An event: a sink has said something about itself."""
    said = threading.Event()
    ear = logging.Handler()
    ear.emit = lambda _: said.set()
    observer = logging.getLogger("esg_pipeline.observability")
    observer.addHandler(ear)
    yield said
    observer.removeHandler(ear)
