"""A pytest plugin of `make mutants`: a change is noticed by the quickest test that can notice it.

mutmut stops at the first failure, so the tests run by the time they took unchanged, those with a
server of the whole session last. Hypothesis looks for a failure, and not for the smallest one.
"""

import json
from pathlib import Path

import pytest
from hypothesis import Phase, settings

STATS = Path("mutmut-stats.json")  # written by mutmut, in the folder that its tests run in
SERVER_START_S = 5.0


def pytest_configure() -> None:
    settings.register_profile(
        "mutants", deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate)
    )
    settings.load_profile("mutants")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    durations_s = json.loads(STATS.read_text())["duration_by_test"] if STATS.exists() else {}

    def expected_s(item: pytest.Item) -> float:
        return durations_s.get(item.nodeid, 0.0) + SERVER_START_S * _needs_a_server(item)

    items.sort(key=expected_s)


def _needs_a_server(item: pytest.Item) -> bool:
    fixtures = getattr(item, "_fixtureinfo", None)
    return fixtures is not None and any(
        fixture.scope == "session" and fixture.func.__module__.startswith("esg_pipeline_tests")
        for found in fixtures.name2fixturedefs.values()
        for fixture in found
    )
