"""The files of the lists, read again when they change; what is wrong with one leaves the others in force."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class _Read:
    stamp: Stamp
    entries: Entries


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
        self._read = {file: _Read(stamp(file.path), _load(file)) for file in self._files}
        return self._together()

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
        old = self._read[file].entries
        found = stamp(file.path)  # before the reading: what changes meanwhile is read once more
        try:
            entries = await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), _load, file)
        except ListError as error:
            self.log.error("a list is refused, and stays as it was: {error}", error=str(error))
            entries = old
        else:
            self.log.info(
                "list {path} has changed: {count} entries, {added} new, {removed} gone",
                path=str(file.path),
                count=len(entries),
                added=entries.without(old),
                removed=old.without(entries),
            )
        self._read[file] = _Read(found, entries)

    def _together(self) -> Lists:
        return Lists(self._union(allows=False), self._union(allows=True))

    def _union(self, *, allows: bool) -> Entries:
        return together(self._read[file].entries for file in self._files if file.allows == allows)


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
