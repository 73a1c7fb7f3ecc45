"""The files of the lists, read again when they change; what is wrong with one leaves the others in force."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from nodetrust.files import Stamp, stamp
from nodetrust.lists.entries import Entries, together
from nodetrust.lists.errors import ListError
from nodetrust.lists.lists import Lists
from nodetrust.lists.wire import MAX_LIST_BYTES, read_list

POLL_SECONDS = 5.0
"""How often the files are looked at: an order to block takes effect within seconds and needs no signal."""


@dataclass(frozen=True, slots=True)
class ListFile:
    """Where a list is, and what it does. A `fetched` one may be missing until it has been fetched."""

    path: Path
    allows: bool = False
    fetched: bool = False
    name: str = ""
    """What operators know it by, where that is not the path."""


@dataclass(frozen=True, slots=True)
class ListState:
    """What is in force of one list. `written_at`: when, in seconds since the epoch; None while it is still missing."""

    name: str
    allows: bool
    entries: int
    written_at: float | None


@dataclass(frozen=True, slots=True)
class _Read:
    stamp: Stamp
    """Of the file that was looked at."""
    entries: Entries
    entries_stamp: Stamp
    """Of the file that they are from, which the last one may not have replaced."""


class ListFiles:
    """Reads files off the reactor thread and hands what they say together to `put_in_force`.

    A file that is refused, or gone, is in force as it was last read, and the log says why, once for each change.
    """

    log = Logger()

    def __init__(self, reactor: Any, files: Sequence[ListFile], put_in_force: Callable[[Lists], None]) -> None:
        self._reactor = reactor
        self._files = files
        self._put_in_force = put_in_force
        self._read: dict[ListFile, _Read] = {}
        self._polling = LoopingCall(self.poll)
        self._polling.clock = reactor

    def load(self) -> Lists:
        """Read every file now, blocking, for the start. Raises ListError for one that is refused or missing."""
        self._read = {file: _read(file) for file in self._files}
        return self._together()

    @property
    def states(self) -> tuple[ListState, ...]:
        """Each list as it is in force."""
        return tuple(_state(file, read) for file, read in self._read.items())

    def start(self) -> None:
        """Look at the files from now on."""
        if self._files:
            self._polling.start(POLL_SECONDS, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._polling.running:
            self._polling.stop()

    def poll(self) -> Deferred[None]:
        """Read what has changed; fires when it is in force."""
        return Deferred.fromCoroutine(self._poll())

    async def _poll(self) -> None:
        changed = [file for file in self._files if stamp(file.path) != self._read[file].stamp]
        for file in changed:
            await self._reread(file)
        if changed:
            self._put_in_force(self._together())

    async def _reread(self, file: ListFile) -> None:
        last = self._read[file]
        old = last.entries
        found = stamp(file.path)  # before the reading: what changes meanwhile is read once more
        try:
            entries = await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), _load, file)
        except ListError as error:
            self.log.error("a list is refused, and stays as it was: {error}", error=str(error))
            self._read[file] = replace(last, stamp=found)
        else:
            self._read[file] = _Read(found, entries, found)
            self.log.info(
                "list {path} has changed: {count} entries, {added} new, {removed} gone",
                path=str(file.path),
                count=len(entries),
                added=entries.without(old),
                removed=old.without(entries),
            )

    def _together(self) -> Lists:
        return Lists(self._union(allows=False), self._union(allows=True))

    def _union(self, *, allows: bool) -> Entries:
        return together(self._read[file].entries for file in self._files if file.allows == allows)


def _read(file: ListFile) -> _Read:
    found = stamp(file.path)  # before the reading: what changes meanwhile is read once more
    return _Read(found, _load(file), found)


def _state(file: ListFile, read: _Read) -> ListState:
    written_at = None if read.entries_stamp is None else read.entries_stamp[0] / 1e9
    return ListState(file.name or str(file.path), file.allows, len(read.entries), written_at)


def _load(file: ListFile) -> Entries:
    try:
        with file.path.open("rb") as opened:
            content = opened.read(MAX_LIST_BYTES + 1)
    except FileNotFoundError:
        if file.fetched:
            return Entries()
        raise ListError(f"{file.path}: is missing") from None
    except OSError as error:
        raise ListError(f"{file.path}: cannot be read: {error.strerror}") from error
    return read_list(content, str(file.path), from_others=file.fetched)
