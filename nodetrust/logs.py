"""Logs without what only a programmer wants.

What peers do wrong is logged at the level debug, and `twistd` writes every level: on the open internet its log would
fill with it. `twistd --logger nodetrust.logs.info …` writes from info on, to stderr, for whatever keeps logs.

Twisted tells at the level info of every port that is bound or closed, and of the factory of each connection. Our
listeners say themselves where they are; each datagram that a router or a DNS server is asked with takes a port of its
own, and each connection to a CA a factory: that is left out, too.
"""

from __future__ import annotations

import re
import sys
from typing import Any, TextIO

from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    PredicateResult,
    formatEvent,
    textFileLogObserver,
)

OF_A_PORT = re.compile(r"\S+( \(\w+\))? starting on \S+|\(\w+ Port \S+ Closed\)")
"""Twisted's words, in `twisted.internet.tcp` and `.udp`."""

OF_A_FACTORY = ("Starting factory {factory!r}", "Stopping factory {factory!r}")
"""Twisted's formats, in `twisted.internet.protocol`, for each that is not told to be silent, as `twisted.web`'s."""


def from_level(level: Any, file: TextIO) -> ILogObserver:
    """An observer that writes events of this `LogLevel` and above to `file`."""
    predicates: list[Any] = [_not_of_a_port, _not_of_a_factory, LogLevelFilterPredicate(level)]
    observer: ILogObserver = FilteringLogObserver(textFileLogObserver(file), predicates)
    return observer


def _not_of_a_port(event: Any) -> Any:
    """Twisted tells of them by its old `twisted.python.log`."""
    old = event.get("log_namespace") == "log_legacy"
    of_a_port = old and OF_A_PORT.fullmatch(formatEvent(event) or "")
    return PredicateResult.no if of_a_port else PredicateResult.maybe


def _not_of_a_factory(event: Any) -> Any:
    return PredicateResult.no if event.get("log_format") in OF_A_FACTORY else PredicateResult.maybe


def info() -> ILogObserver:
    """What `twistd --logger` takes: from info on, to stderr."""
    return from_level(LogLevel.info, sys.__stderr__ or sys.stderr)
