"""One sandbox process for all tests of this folder, healthy at the start of each."""

from collections.abc import Iterator

import pytest

from esg_pipeline.sandbox import Sandbox, start_sandbox


@pytest.fixture(scope="session")
def started_sandbox(servers, tmp_path_factory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("sandbox")
    with start_sandbox(folder, accounts=20) as sandbox:
        yield sandbox
    # A fault is played, never suffered: the server itself has nothing to complain about.
    assert (folder / "sandbox.log").read_text() == ""


@pytest.fixture
def sandbox(started_sandbox) -> Sandbox:
    started_sandbox.heal()
    return started_sandbox
