"""A folder as a store's place: a disk or a network share.

Every write goes to `.staging/` first (mode 0600), is synced, gets its group and mode, and takes its
name in one rename; then the folder is synced. A file is never readable by everyone at any moment,
and a reader never sees a part of one.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from uuid import uuid4

from esg_pipeline.delivery.durable_files import sync_folder, write_new
from esg_pipeline.delivery.errors import DeliveryError, DeliveryInvalid, MissingFromStore
from esg_pipeline.delivery.layout import AGE_SUFFIX, STAGING
from esg_pipeline.delivery.store import StoredObject

_ADVICE = {
    errno.ENOSPC: "free space there, then run again",
    errno.EDQUOT: "raise the quota or free space, then run again",
    errno.EACCES: "give the pipeline's user the right to write there",
    errno.EPERM: "give the pipeline's user the right to set group and mode there",
    errno.EROFS: "mount it for writing",
    errno.ESTALE: "mount the share again",
    errno.EIO: "the disk or share is faulty; check it, then run again",
}


class FolderPlace:
    """Objects as files below `root`; see `Place` for the methods.

    Args:
        group: Id of the group that owns delivered files and folders; None leaves it.
        file_mode: Of delivered files. Staged ones are 0600.
        folder_mode: Of folders made here. Existing folders are left as they are.
    """

    encryption: str | None = None

    def __init__(
        self,
        root: Path,
        *,
        group: int | None = None,
        file_mode: int = 0o640,
        folder_mode: int = 0o750,
    ) -> None:
        self._root = root
        self._group = group
        self._file_mode = file_mode
        self._folder_mode = folder_mode

    def describe(self) -> str:
        return f"folder {self._root}"

    def put(self, key: str, content: bytes) -> None:
        if key.startswith(STAGING):
            with self._told("write", key):
                self._write_staged(key, content)
            return
        staged = f"{STAGING}{uuid4().hex}"
        with self._told("write", key):
            self._write_staged(staged, content)
            try:
                self._publish(staged, key)
            except BaseException:
                with suppress(OSError):
                    self._path(staged).unlink()
                raise

    def get(self, key: str) -> bytes:
        with self._told("read", key):
            return self._path(key).read_bytes()

    def copy(self, source: str, target: str) -> None:
        self.put(target, self.get(source))

    def move(self, source: str, target: str) -> None:
        with self._told("move to", target):
            self._publish(source, target)

    def delete(self, key: str) -> None:
        path = self._path(key)
        with self._told("delete", key), suppress(FileNotFoundError):
            path.unlink()
            sync_folder(path.parent)
        # Empty folders go too, but never the top ones: another day's run may be about to use them.
        with suppress(OSError):
            for folder in path.relative_to(self._root).parents[:-2]:
                (self._root / folder).rmdir()

    def list(self, prefix: str) -> list[StoredObject]:
        found = []
        with self._told("list", prefix):
            pending = [prefix.rpartition("/")[0]]
            while pending:
                for entry in _entries(self._root / pending.pop()):
                    key = Path(entry.path).relative_to(self._root).as_posix()
                    if entry.is_dir(follow_symlinks=False):
                        unasked = f"{key}/" == STAGING and not prefix
                        if f"{key}/".startswith(prefix) and not unasked:
                            pending.append(key)
                    elif key.startswith(prefix) and entry.is_file(follow_symlinks=False):
                        with suppress(FileNotFoundError):
                            found.append(_listed(key, entry.stat(follow_symlinks=False)))
        return sorted(found, key=lambda each: each.key)

    def check_encryption(self, key: str) -> None:
        if not key.endswith(AGE_SUFFIX):
            raise DeliveryInvalid(f"{key} is not encrypted; in a folder age must do it")

    def abort_uploads(self, unit: str, begun_before: datetime) -> None:
        """A folder has no uploads; what was begun is a staged file."""

    def _write_staged(self, key: str, content: bytes) -> None:
        path = self._path(key)
        self._make_folder(path.parent)
        write_new(path, content)

    def _publish(self, source: str, target: str) -> None:
        """Give a staged file its group, mode and final name, durably."""
        staged, final = self._path(source), self._path(target)
        self._make_folder(final.parent)
        if not target.startswith(STAGING):
            descriptor = os.open(staged, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                self._give_to_group(descriptor, self._file_mode)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        os.replace(staged, final)
        sync_folder(final.parent)

    def _make_folder(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        # Under another name until group and mode are right: a crash in between must not leave a
        # folder that readers cannot enter.
        new = folder.with_name(f".{folder.name}.new")
        new.mkdir(mode=0o700, exist_ok=True)
        try:
            if folder.is_relative_to(self._root) and not self._is_staging(folder):
                descriptor = os.open(new, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    self._give_to_group(descriptor, self._folder_mode)
                finally:
                    os.close(descriptor)
            new.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster
                raise
        sync_folder(folder.parent)

    def _is_staging(self, folder: Path) -> bool:
        return folder.is_relative_to(self._root / STAGING)

    def _give_to_group(self, descriptor: int, mode: int) -> None:
        # The group first: until the mode is set, nobody but the owner may read.
        if self._group is not None:
            os.fchown(descriptor, -1, self._group)
        os.fchmod(descriptor, mode)

    def _path(self, key: str) -> Path:
        parts = PurePosixPath(key).parts
        if not parts or key.startswith("/") or ".." in parts or "\0" in key:
            raise ValueError(f"not a name in a store: {key!r}")
        return self._root.joinpath(*parts)

    @contextmanager
    def _told(self, action: str, key: str) -> Iterator[None]:
        """Turn the system's error into one line for the person who must act."""
        try:
            yield
        except OSError as error:
            if isinstance(error, FileNotFoundError) and action != "write":
                raise MissingFromStore(f"{key}: not in the store ({self.describe()})") from None
            advice = _ADVICE.get(error.errno or 0, "check the folder, then run again")
            raise DeliveryError(
                f"ESG_STORE_URL: {self.describe()}: cannot {action} {key}: "
                f"{error.strerror or error}; {advice}"
            ) from error


def _listed(key: str, status: os.stat_result) -> StoredObject:
    return StoredObject(key, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
