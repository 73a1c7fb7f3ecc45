"""Runs a coroutine on the reactor as a whole program."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import LogLevel, globalLogBeginner
from twisted.python.failure import Failure

from nodetrust.logs import from_level

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""

UNREAD = 141
"""The exit status where whoever read our output reads no more, such as `head`: as shells have it of SIGPIPE."""

Work = Callable[[Any], Coroutine[Any, Any, int]]
"""Called with the reactor; returns the exit status. Ctrl-C and SIGTERM cancel it, and wait for what it does then."""


def run(work: Work, *, verbose: bool) -> None:
    """Run `work` and end the process with its status; `verbose` logs to stderr from info on, else from warn on."""
    from twisted.internet import reactor as global_reactor  # noqa: PLC0415  # importing it installs it

    reactor: Any = global_reactor
    observer = from_level(LogLevel.info if verbose else LogLevel.warn, sys.stderr)
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    statuses: list[int] = []
    running: list[Deferred[None]] = []

    def begin() -> None:
        finished = Deferred.fromCoroutine(work(reactor))
        running.append(finished.addCallbacks(statuses.append, failed).addBoth(end))

    def failed(failure: Failure) -> None:
        if failure.check(CancelledError):
            statuses.append(INTERRUPTED)
        elif failure.check(BrokenPipeError, SystemExit):  # rich makes the one of the other
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still to be flushed
            statuses.append(UNREAD)
        else:
            failure.printTraceback(sys.stderr)
            statuses.append(1)

    def end(_: object) -> None:
        if reactor.running and not stopping:
            reactor.stop()

    stopping: list[bool] = []

    def stop() -> Deferred[None] | None:
        stopping.append(True)
        if not running or running[0].called:
            return None
        running[0].cancel()
        return running[0]

    reactor.callWhenRunning(begin)
    reactor.addSystemEventTrigger("before", "shutdown", stop)
    reactor.run()
    sys.exit(statuses[0] if statuses else 1)
