"""Files only their owner may read: keys, and fetched reports. Whole or not there, never in part.

Nothing here knows what is in them.
"""

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4


def create_private(path: Path, content: bytes) -> bool:
    """Make a file, mode 0600, durable; an existing one is never touched.

    Safe when two processes make it at once: one wins, the other is told.

    Returns:
        Whether this call made it.
    """
    staged = _write_staged(path, content)
    try:
        os.link(staged, path)
    except FileExistsError:
        return False
    finally:
        staged.unlink()
    sync_folder(path.parent)
    return True


def replace_private(path: Path, content: bytes) -> None:
    """Write a file, mode 0600, durable; one of the same name is replaced in one step."""
    staged = _write_staged(path, content)
    try:
        os.replace(staged, path)
    except BaseException:
        staged.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable (fsync of the folder itself)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that must not exist yet, mode 0600, and fsync it; gone again if that fails."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            left = memoryview(content)
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def _write_staged(path: Path, content: bytes) -> Path:
    _make_private_folder(path.parent)
    staged = path.with_name(f".{path.name}.{uuid4().hex}")
    write_new(staged, content)
    return staged


def _make_private_folder(folder: Path) -> None:
    # Not mkdir(parents=True): it gives the folders above the mode of the umask.
    if not folder.is_dir():
        _make_private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)
