"""In which order the disk hears of a delivery; a killed process alone cannot show it.

A kill keeps what the kernel holds, so "old or new" also passes where a power cut would leave a new
manifest over old files. strace lists the calls of an undisturbed second edition instead: what was
synced before it got its name, what was read back, and which name moved last.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from esg_pipeline_tests.delivery.test_crash_loop import Deliverer, start_home

pytestmark = [pytest.mark.servers, pytest.mark.needs("strace")]

READERS = {
    "FirmESGRatings_20261124.csv.age",
    "FirmESGRatings_20261124_errors.csv.age",
}
MANIFEST = "FirmESGRatings_20261124_manifest.json"
CALL = re.compile(
    r"^(?:(?P<named>rename|link)\(\"(?P<source>[^\"]+)\", \"(?P<target>[^\"]+)\"\)"
    r"|(?P<settled>fsync|fchmod)\(\d+<(?P<file>[^>]+)>(?:, \d+)?\)"
    r"|(?P<open>openat)\([^,]+, \"(?P<opened>[^\"]+)\", (?P<flags>[A-Z_|]+)).*= (?P<result>-?\d+)"
)


@dataclass(frozen=True)
class Event:
    """One call that succeeded. `path` is its file; of a rename or link, the new name."""

    call: str
    path: Path
    source: Path | None = None


def events_of(trace: str) -> Iterator[Event]:
    for line in trace.splitlines():
        match = CALL.match(line)
        if match is None or int(match["result"]) < 0:
            continue
        if match["named"]:
            yield Event(match["named"], Path(match["target"]), Path(match["source"]))
        elif match["settled"]:
            yield Event(match["settled"], Path(match["file"]))
        elif "O_DIRECTORY" not in match["flags"] and "O_WRONLY" not in match["flags"]:
            yield Event("read", Path(match["opened"]))


@dataclass(frozen=True)
class Traced:
    """What a delivery did below the Dagster home, in order."""

    home: Path
    events: list[Event]

    @property
    def store(self) -> Path:
        return self.home / "store"

    def move_to(self, target: Path) -> int:
        """Where the one move to a name stands."""
        (found,) = [
            at
            for at, each in enumerate(self.events)
            if each.call == "rename" and each.path == target
        ]
        return found

    def names_given(self) -> list[int]:
        return [at for at, each in enumerate(self.events) if each.call in {"rename", "link"}]


def traced(folder: Path, edition: int) -> Traced:
    home = folder / "home"
    start_home(home, edition)
    delivering = Deliverer(folder)
    try:
        trace = delivering.trace(home, edition, "openat,fsync,fchmod,rename,link")
    finally:
        delivering.stop()
    return Traced(home, [each for each in events_of(trace) if each.path.is_relative_to(home)])


@pytest.fixture(scope="module")
def second_edition(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    return traced(tmp_path_factory.mktemp("second"), 2)


@pytest.fixture(scope="module")
def first_edition(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    """The first one makes the keys, too."""
    return traced(tmp_path_factory.mktemp("first"), 1)


def test_the_manifest_takes_its_readers_name_after_all_that_it_speaks_of(second_edition):
    store, events = second_edition.store, second_edition.events
    manifest = second_edition.move_to(store / MANIFEST)
    for name in READERS:
        assert second_edition.move_to(store / name) < manifest, name
    assert second_edition.names_given()[-1] == manifest
    assert events[-1] == Event("fsync", store), "the name of the manifest is durable at the end"


def test_what_readers_get_is_read_back_under_its_own_name_before_the_manifest(second_edition):
    store, events = second_edition.store, second_edition.events
    manifest = second_edition.move_to(store / MANIFEST)
    for name in READERS:
        moved = second_edition.move_to(store / name)
        assert Event("read", store / name) in events[moved:manifest], name


def test_every_name_is_given_to_bytes_that_are_on_the_disk(first_edition):
    events = first_edition.events
    files = [
        events[at]
        for at in first_edition.names_given()
        if events[at].path.suffix in {".age", ".json", ".txt", ".pem", ".pub"}
    ]
    keys = [each for each in files if each.path.is_relative_to(first_edition.home / "keys")]
    assert len(keys) >= 2
    assert len(files) - len(keys) >= 2 * len(READERS) + 2
    for each in files:
        assert Event("fsync", each.source) in events[: events.index(each)], each


def test_readers_may_read_a_file_before_it_gets_its_name_also_after_a_power_cut(second_edition):
    events = second_edition.events
    for at in (second_edition.move_to(second_edition.store / name) for name in READERS):
        before = [each for each in events[:at] if each.path == events[at].source]
        assert [each.call for each in before[-2:]] == ["fchmod", "fsync"]


def test_every_new_name_is_on_the_disk_before_the_next_one_is_given(first_edition):
    events, given = first_edition.events, first_edition.names_given()
    for at, following in zip(given, [*given[1:], len(events)], strict=True):
        assert Event("fsync", events[at].path.parent) in events[at:following], events[at]


def test_the_edition_lies_whole_in_its_own_folder_before_any_readers_name_changes(second_edition):
    store = second_edition.store
    kept = second_edition.move_to(store / "editions/20261124/0002" / MANIFEST)
    for name in [*READERS, MANIFEST]:
        assert kept < second_edition.move_to(store / name), name
