"""Logs without what only a programmer wants.

What peers do wrong is logged at the level debug, and `twistd` writes every level: on the open internet its log would
fill with it. `twistd --logger nodetrust.logs.info …` writes from info on, to stderr, for whatever keeps logs.
"""

from __future__ import annotations

import sys
from typing import Any, TextIO

from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    textFileLogObserver,
)


def from_level(level: Any, file: TextIO) -> ILogObserver:
    """An observer that writes events of this `LogLevel` and above to `file`."""
    observer: ILogObserver = FilteringLogObserver(textFileLogObserver(file), [LogLevelFilterPredicate(level)])
    return observer


def info() -> ILogObserver:
    """What `twistd --logger` takes: from info on, to stderr."""
    return from_level(LogLevel.info, sys.__stderr__ or sys.stderr)
