"""Challenges on the disk: a file to which each change is appended, and synced, before it is acknowledged.

A line is a checksum and a change. What a crash or a full disk cuts off is left out when the file is read, and cut away
before the next line. Everything here blocks: for a thread, and for the start.

A challenge's end is kept by two clocks. While the machine has not booted since, its monotonic clock has gone on, and
setting the wall clock changes nothing; after a boot only the wall clock knows how much time went by.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from nodetrust.dns.challenges.table import Challenge
from nodetrust.files import replace_file

MAX_JOURNAL_BYTES = 256 * 1024 * 1024
"""A larger file is none of ours: twice what a full table takes."""

COMPACT_BYTES = 64 * 1024
"""A smaller file is not worth rewriting while the server runs."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Now:
    """A moment on both clocks, in seconds. `boot` is empty where the system does not say which boot this is."""

    wall: float
    monotonic: float
    boot: str = ""


class Change(msgspec.Struct, frozen=True, array_like=True):
    """A challenge that is set, or removed if it has no end any more."""

    challenge: Challenge
    wall_end: float = 0.0
    monotonic_end: float = 0.0
    boot: str = ""

    def left(self, now: Now) -> float:
        """Seconds until it ends."""
        if self.boot and self.boot == now.boot:
            return self.monotonic_end - now.monotonic
        return self.wall_end - now.wall


def lasting(challenge: Challenge, seconds: float, now: Now) -> Change:
    """A challenge that is set for so long."""
    return Change(challenge, now.wall + seconds, now.monotonic + seconds, now.boot)


def boot_id() -> str:
    """The name of this boot."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""


class Journal:
    """The file. OSError of the system comes out of `append` alone: then nothing of it is in the file."""

    def __init__(self, path: Path, open_file: Callable[..., int] = os.open) -> None:
        self._path = path
        self._open_file = open_file
        self._descriptor: int | None = None
        self._bytes = 0
        self._compacted_bytes = 0
        self._news_file = 0
        self._news_at = 0

    def read(self) -> list[Change]:
        """The challenges that are set, as far as the file can be read; each as it was last set."""
        return [change for change in _last(_changes(_content(self._path))) if change.wall_end]

    def news(self) -> list[Change]:
        """What was written since the last call, by whichever server: the last change of each challenge."""
        try:
            with self._path.open("rb") as file:
                number = os.fstat(file.fileno()).st_ino
                if number != self._news_file:
                    self._news_file, self._news_at = number, 0
                file.seek(self._news_at)
                content = file.read(MAX_JOURNAL_BYTES)
        except OSError:
            return []
        self._news_at += content.rfind(b"\n") + 1
        return _last(_changes(content))

    def append(self, changes: Sequence[Change]) -> None:
        """Bring changes to the disk, all or none."""
        descriptor = self._open()
        lines = b"".join(map(_line, changes))
        self._bytes = os.fstat(descriptor).st_size  # another server may have written behind us: that is not to be cut
        try:
            _write_whole(descriptor, lines)
            os.fdatasync(descriptor)
        except OSError:
            self._cut()
            raise
        self._bytes += len(lines)

    def is_long(self) -> bool:
        """Whether most of the file may be of the past."""
        return self._bytes > max(COMPACT_BYTES, 4 * self._compacted_bytes)

    def compact(self, now: Now) -> None:
        """Rewrite the file without what is past; it stays as it is when that fails."""
        lines = b"".join(_line(change) for change in self.read() if change.left(now) > 0)
        with suppress(OSError):
            replace_file(self._path, lines)
            self.close()
            self._bytes = len(lines)
        self._compacted_bytes = self._bytes

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is not None and not _is_at(self._descriptor, self._path):
            self.close()  # the server that takes over has rewritten it: what went to the old file would be lost
        if self._descriptor is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = self._open_file(self._path, flags, 0o600)
            self._bytes = _whole_bytes(self._path)
            self._cut()
        return self._descriptor

    def _cut(self) -> None:
        """Leave nothing of what was not written whole. A disk that does not even allow that is opened anew later."""
        if self._descriptor is None:
            return
        try:
            os.ftruncate(self._descriptor, self._bytes)
        except OSError:
            self.close()


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _line(change: Change) -> bytes:
    text = msgspec.json.encode(change)
    return b"%08x %b\n" % (zlib.crc32(text), text)


def _last(changes: Sequence[Change]) -> list[Change]:
    """The last change of each challenge, in the order of these."""
    found: dict[Challenge, Change] = {}
    for change in changes:
        found.pop(change.challenge, None)
        found[change.challenge] = change
    return list(found.values())


def _changes(content: bytes) -> list[Change]:
    """What the whole lines of a file say; a line that is damaged is left out."""
    changes = []
    for line in content.split(b"\n")[:-1]:
        checksum, _, text = line.partition(b" ")
        if checksum == b"%08x" % zlib.crc32(text):
            with suppress(msgspec.DecodeError):
                changes.append(msgspec.json.decode(text, type=Change))
    return changes


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_JOURNAL_BYTES)
    except OSError:
        return b""


def _whole_bytes(path: Path) -> int:
    """How long a file is, up to the end of its last whole line."""
    return _content(path).rfind(b"\n") + 1


def _write_whole(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
