"""Numbers for our pubsub messages that rise for ever: over restarts, kill -9, and a clock that was set back.

Others take only a higher number than the last (`table.is_new`, Kubo, js-libp2p). The clock in nanoseconds is what
everybody numbers with, and does, until it is set back: then nobody would hear of us until it has caught up.

So a file has a ceiling, which is on the disk before the first number below it is used. The next life begins above it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from twisted.logger import Logger

from nodetrust.files import replace_file

SEQUENCE_FILE = "announce.sequence"
"""Its name in a role's state folder."""

AHEAD_NS = 3600 * 10**9
"""The ceiling above a number that is the time: one write an hour."""

AHEAD_OF_CLOCK = 1 << 20
"""The ceiling above a number that is not, for the clock is behind: a million messages. Much less than an hour's
nanoseconds, so that even a process that is killed every second does not run away from the clock."""

MAX_NUMBER = (1 << 63) - 1
"""A file with a greater one is not ours; half of the 64 bits that a message has, and the time until 2262."""


class SequenceNumbers:
    """Each call gives a number above all before it, as does each later object with the same file.

    One at a time for a file. A disk that is full or read-only costs the promise over restarts, and no number.
    """

    log = Logger()

    def __init__(self, path: Path, time_ns: Callable[[], int] = time.time_ns) -> None:
        self._path = path
        self._time_ns = time_ns
        self._unsaved = False
        self._last = self._ceiling = self._load()

    def __call__(self) -> int:
        """The time in nanoseconds, or the last number and one if that is higher."""
        now = self._time_ns()
        number = max(self._last + 1, now)
        if number > self._ceiling:
            self._ceiling = number + (AHEAD_NS if number == now else AHEAD_OF_CLOCK)
            self._save()
        self._last = number
        return number

    def _load(self) -> int:
        """The ceiling of the life before; 0 if there was none."""
        try:
            ceiling = int(self._path.read_bytes()[: len(str(MAX_NUMBER)) + 2])
        except FileNotFoundError:
            return 0
        except (OSError, ValueError) as error:
            self.log.warn("{path} cannot be read: {reason}", path=str(self._path), reason=str(error))
            return 0
        if not 0 <= ceiling <= MAX_NUMBER:
            self.log.warn("{path} has no number of ours", path=str(self._path))
            return 0
        return ceiling

    def _save(self) -> None:
        try:
            replace_file(self._path, b"%d\n" % self._ceiling)
            self._unsaved = False
        except OSError as error:
            if not self._unsaved:
                self._unsaved = True
                self.log.warn(
                    "announcements may be ignored after a restart if the clock is set back, for {path} cannot be "
                    "written: {reason}",
                    path=str(self._path),
                    reason=error.strerror,
                )
