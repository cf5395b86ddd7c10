"""Whatever cuts a delivery, at whichever system call, readers lose nothing and a rerun finishes.

The delivery is killed at every write, fsync, rename, link, unlink, mkdir and chmod (strace injects
the signal), and each of them fails once with an error of the disk
(docs/faults.md#the-crash-loop).
"""

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from esg_pipeline.delivery import (
    DeliveryInvalid,
    editions,
    open_signer,
    open_store,
    trusted_keys,
    verify,
)
from esg_pipeline.settings import Settings
from esg_pipeline_tests.delivery import deliverer
from esg_pipeline_tests.delivery.deliverer import REFUSED
from esg_pipeline_tests.delivery.reports import CANARY, DAY, REPOSITORY, deliver_day, report_files
from esg_pipeline_tests.delivery.test_folder_delivery import tree

pytestmark = [pytest.mark.servers, pytest.mark.needs("strace")]

CALLS = "write,fsync,rename,link,unlink,mkdir,fchmod"
REPORT = "FirmESGRatings_20261124.csv"


def points(times: int, *, sampled: bool) -> range:
    """Which of so many calls are cut: each one, or every third unless ESG_TEST_FULL=1."""
    return range(1, times + 1, 3 if sampled and os.environ.get("ESG_TEST_FULL") != "1" else 1)


class Deliverer:
    """The delivering process, and strace around each of its children."""

    def __init__(self, folder: Path) -> None:
        self._trace = folder / "trace"
        self._process = subprocess.Popen(
            [sys.executable, "-m", deliverer.__name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )

    def deliver(self, home: Path, edition: int, *inject: str, calls: str = CALLS) -> int:
        """Deliver under strace; return the exit status of the child (negative: the signal)."""
        self._process.stdin.write(f"{home} {edition}\n")
        self._process.stdin.flush()
        child = self._process.stdout.readline().strip()
        with subprocess.Popen(
            ["strace", "-p", child, "-o", self._trace, "-e", f"trace={calls}", *inject],
            stderr=subprocess.PIPE,
            text=True,
        ) as strace:
            attached = strace.stderr.readline()
            assert "attached" in attached, attached
            os.kill(int(child), signal.SIGUSR1)
            ended, status = self._process.stdout.readline().split()
            assert ended == "ended"
            strace.stderr.read()
        return int(status)

    def count_calls(self, home: Path, edition: int) -> Counter[str]:
        """Deliver undisturbed; return how often it made each system call."""
        assert self.deliver(home, edition) == 0
        names = re.findall(r"^(\w+)\(", self._trace.read_text(), re.MULTILINE)
        return Counter(names)

    def trace(self, home: Path, edition: int, calls: str) -> str:
        """Deliver undisturbed; return strace's list of these calls, with the paths of files."""
        assert self.deliver(home, edition, "-y", "-s", "4096", calls=calls) == 0
        return self._trace.read_text()

    def stop(self) -> None:
        self._process.stdin.close()
        assert self._process.wait(timeout=10) == 0
        self._process.stdout.close()


@pytest.fixture(scope="module")
def delivering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deliverer]:
    process = Deliverer(tmp_path_factory.mktemp("strace"))
    yield process
    process.stop()


def edition_files(edition: int) -> dict[str, bytes]:
    return report_files(failed=edition)


def check_what_readers_see(home: Path, newest: int) -> None:
    """At any moment: whole files only, the earlier edition safe, nothing plain, nothing open."""
    store = open_store(Settings(_env_file=None, DAGSTER_HOME=home))
    if store.place.list(REPORT):
        allowed = {edition_files(each)[".csv"] for each in range(1, newest + 1)}
        assert store.read(REPORT) in allowed
    for path in home.rglob("*"):
        assert path.stat().st_mode & 0o007 == 0, path
    assert all(CANARY.encode() not in content for content in tree(home).values())
    if newest == 1:
        return
    trusted = trusted_keys(home / "keys")
    earlier = verify(store, DAY, trusted=trusted, edition=newest - 1)
    assert earlier.manifest["counts"]["Failed"] == newest - 1
    try:
        assert verify(store, DAY, trusted=trusted).edition in (newest - 1, newest)
    except DeliveryInvalid as invalid:
        assert f"whole under editions/: edition {newest - 1}, {newest}" in str(invalid)


def check_a_rerun_finishes(home: Path, edition: int) -> None:
    settings = Settings(_env_file=None, DAGSTER_HOME=home)
    store, signer = open_store(settings), open_signer(settings.keys_folder)
    store.preflight()
    deliver_day(store, signer, edition, failed=edition)
    assert verify(store, DAY, trusted=signer.trusted).edition == edition
    assert editions(store, DAY) == list(range(1, edition + 1))
    assert store.read(REPORT) == edition_files(edition)[".csv"]
    for path in [home / "store", *(home / "store").rglob("*")]:
        if not any(part.startswith(".") for part in path.relative_to(home).parts):
            assert path.stat().st_mode & 0o777 == (0o750 if path.is_dir() else 0o640), path
    # A preflight of a dead run is random bytes, swept with everything a day old.
    left = [path.name for path in (home / "store/.staging").iterdir()]
    assert [name for name in left if name.startswith("20261124")] == []


def start_home(home: Path, edition: int) -> None:
    """Deliver the editions before this one, so that there is something to lose."""
    for each in range(1, edition):
        check_a_rerun_finishes(home, each)


@pytest.mark.parametrize("edition", [1, 2])
def test_killed_at_every_system_call(delivering, tmp_path, edition):
    start_home(tmp_path / "count", edition)
    calls = delivering.count_calls(tmp_path / "count", edition)
    assert calls["fsync"] > 10
    assert calls["rename"] > 5
    for call, times in calls.items():
        for when in points(times, sampled=edition == 1):
            home = tmp_path / f"{call}-{when}"
            start_home(home, edition)
            inject = f"inject={call}:signal=KILL:when={when}"
            assert delivering.deliver(home, edition, "-e", inject) == -signal.SIGKILL, inject
            check_what_readers_see(home, edition)
            check_a_rerun_finishes(home, edition)


@pytest.mark.parametrize(
    ("error", "calls"), [("EIO", CALLS), ("ENOSPC", "write,mkdir,rename"), ("EACCES", "fchmod")]
)
def test_every_system_call_fails_once(delivering, tmp_path, error, calls):
    start_home(tmp_path / "count", 2)
    counted = delivering.count_calls(tmp_path / "count", 2)
    for call in calls.split(","):
        for when in points(counted[call], sampled=True):
            home = tmp_path / f"{call}-{when}"
            start_home(home, 2)
            inject = f"inject={call}:error={error}:when={when}"
            assert delivering.deliver(home, 2, "-e", inject) == REFUSED, inject
            check_what_readers_see(home, 2)
            check_a_rerun_finishes(home, 2)


def test_killed_while_an_edition_is_replaced_the_old_content_is_kept(delivering, tmp_path):
    def start(home: Path) -> dict[str, bytes]:
        settings = Settings(_env_file=None, DAGSTER_HOME=home)
        deliver_day(open_store(settings), open_signer(settings.keys_folder), failed=5)
        return tree(home / "store/editions/20261124/0001")

    start(tmp_path / "count")
    counted = delivering.count_calls(tmp_path / "count", 1)
    for call in ("rename", "unlink"):
        for when in range(1, counted[call] + 1):
            home = tmp_path / f"{call}-{when}"
            old = start(home)
            inject = f"inject={call}:signal=KILL:when={when}"
            assert delivering.deliver(home, 1, "-e", inject) == -signal.SIGKILL, inject
            check_a_rerun_finishes(home, 1)
            kept = [tree(folder) for folder in (home / "store/editions/20261124").iterdir()]
            assert old in kept, inject
