"""A full disk loses nothing, and no file is readable by everyone at any moment."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from esg_pipeline_tests.delivery import on_a_full_disk
from esg_pipeline_tests.delivery.reports import REPOSITORY, deliver_day


@pytest.mark.servers
@pytest.mark.needs("mount rights")
def test_a_full_disk_is_one_clear_line_and_a_rerun_with_space_finishes(tmp_path):
    done = subprocess.run(
        ["unshare", "-m", sys.executable, "-m", on_a_full_disk.__name__, tmp_path / "home"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=REPOSITORY,
    )
    assert done.returncode == 0, done.stderr
    tries = [json.loads(line) for line in done.stdout.splitlines()]
    refused = [each for each in tries if each["told"]]
    assert len(refused) >= 5
    for each in refused:
        assert "No space left on device; free space there, then run again" in each["told"]
        assert each["seen"] == each["edition"] - 1
    assert [each["seen"] for each in tries if not each["told"]] == [
        each["edition"] for each in tries if not each["told"]
    ]
    assert all(each["healed"] == each["edition"] for each in tries)


class ModeWatcher(threading.Thread):
    """Looks at every file and folder below a folder, without pause, and keeps what is open."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._over = threading.Event()
        self.looks = 0
        self.open_to_all: set[str] = set()
        self.seen: set[str] = set()

    def run(self) -> None:
        while not self._over.is_set():
            for folder, _, names in os.walk(self._folder):
                for path in [folder, *(os.path.join(folder, name) for name in names)]:
                    try:
                        mode = os.stat(path).st_mode
                    except FileNotFoundError:
                        continue
                    self.looks += 1
                    self.seen.add(path)
                    if mode & 0o007:
                        self.open_to_all.add(path)

    def __enter__(self) -> "ModeWatcher":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


def test_no_file_is_readable_by_everyone_at_any_moment(store, signer, home):
    before = os.umask(0)
    try:
        with ModeWatcher(home) as watcher:
            deliver_day(store, signer, successful=40_000)
            deliver_day(store, signer, 2, successful=40_001)
    finally:
        os.umask(before)
    assert any(".staging" in path for path in watcher.seen)
    assert watcher.looks > 100
    assert watcher.open_to_all == set()
