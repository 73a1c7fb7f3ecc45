"""Files that are there whole and on the disk, or not at all; and folders that are held."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

Stamp: TypeAlias = tuple[int, int, int] | None
"""Time of the last change, size and inode; None for a file that is not there."""


def stamp(path: Path) -> Stamp:
    """What differs when a file or folder has changed."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def replace_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Put `content` in the place of whatever `path` was. Raises OSError, and then leaves `path` as it was."""
    with _on_the_disk(path, content, mode) as temporary:
        os.replace(temporary, path)


def create_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Make `path` with `content`. Raises FileExistsError if there is one, also if another process just made it."""
    with _on_the_disk(path, content, mode) as temporary:
        os.link(temporary, path)  # unlike a rename, never over another's


def hold_folder(folder: Path) -> int:
    """Hold a folder against whoever else does so, here or in another process; returns a descriptor, to be closed.

    Nothing is written, and the end of the process lets go as well. Raises BlockingIOError where it is held already,
    another OSError where it cannot be (it is not there, or its file system has no locks).
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def _on_the_disk(path: Path, content: bytes, mode: int) -> Iterator[str]:
    """The name of a file beside `path` with the content; what the caller makes of it is brought to the disk, too."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        yield temporary
    finally:
        Path(temporary).unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Bring the new name itself to the disk: a crash may else bring the old file back."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
