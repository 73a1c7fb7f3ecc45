"""The command of a user that runs after each new certificate: what else has to load it does so then."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall, IProcessTransport, IReactorTime
from twisted.internet.process import reapAllProcesses
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

HOOK_SECONDS = 300.0
"""Then the command is killed: a server that takes longer to load a certificate has hung."""

DRAIN_SECONDS = 1.0
"""For what it has printed, once it has ended: what it started in the background may hold its output open for good."""

REAP_SECONDS = 0.5
"""How often it is looked whether it has ended. Twisted learns that from SIGCHLD, but not in a program whose signals are
another's, such as asyncio's: there, some ends were never noticed, and no hook ran any more."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 60.0, 3600.0
"""Before one that has failed is run again, twice as long each time: whom it tells of the certificate would serve the
last one to its end, weeks later."""

KEPT_BYTES = 2000
"""Of what it prints, the last: for the log."""

SHELL = "/bin/sh"

IN_A_GROUP = "import os, sys; os.setsid(); os.execv(sys.argv[1], [sys.argv[1], '-c', sys.argv[2]])"
"""The shell and all that it starts are a group of their own, so that a signal reaches every one of them."""


class _Running(ProcessProtocol):
    """One run; `ended` fires with its status and the end of what it printed."""

    def __init__(self, clock: IReactorTime) -> None:
        self.ended: Deferred[tuple[Failure, str]] = Deferred()
        self._clock = clock
        self._printed = b""
        self._draining: IDelayedCall | None = None

    def connectionMade(self) -> None:
        assert self.transport is not None  # noqa: S101  # as below
        self.transport.closeStdin()  # whoever reads there would wait for good

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self._printed = (self._printed + data)[-KEPT_BYTES:]

    def processExited(self, reason: Failure) -> None:
        assert self.transport is not None  # noqa: S101  # Twisted has set it before it calls anything
        self._draining = self._clock.callLater(DRAIN_SECONDS, self.transport.loseConnection)

    def processEnded(self, reason: Failure) -> None:
        if self._draining is not None and self._draining.active():
            self._draining.cancel()
        self.ended.callback((reason, self._printed.decode("utf-8", "replace").strip()))


class Hook:
    """Runs the command, one run after the other, and again where it fails; `stop` ends the one that runs."""

    log = Logger()

    def __init__(self, reactor: Any, command: str) -> None:
        self._reactor = reactor
        self._command = command
        self._process: IProcessTransport | None = None
        self._next: Mapping[str, str] | None = None
        self._pause = FIRST_PAUSE_SECONDS
        self._again: IDelayedCall | None = None
        self._stopped = False
        self._too_long: IDelayedCall | None = None
        self._reaping = LoopingCall(reapAllProcesses)
        self._reaping.clock = reactor

    def run(self, environment: Mapping[str, str]) -> None:
        """Run it with these variables beside our own; while it runs, only the newest wish waits."""
        if not self._command or self._stopped:
            return
        self._pause = FIRST_PAUSE_SECONDS
        self._begin(environment)

    def stop(self) -> None:
        """Begin nothing more, and end what runs."""
        self._stopped = True
        self._next = None
        self._not_again()
        self._kill(signal.SIGTERM)
        self._is_over()
        if self._process is not None:
            self._process.loseConnection()

    def _begin(self, environment: Mapping[str, str]) -> None:
        self._not_again()
        self._next = environment
        if self._process is None:
            Deferred.fromCoroutine(self._run_all()).addErrback(self._log_bug)

    async def _run_all(self) -> None:
        while self._next is not None:
            environment, self._next = self._next, None
            well = await self._run_once(environment)
            if not (well or self._stopped or self._next is not None):
                self.log.info("the hook is run again in {pause:g} seconds", pause=self._pause)
                self._again = self._reactor.callLater(self._pause, self._begin, environment)
                self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)

    async def _run_once(self, environment: Mapping[str, str]) -> bool:
        """Whether it has ended well."""
        running = _Running(self._reactor)
        arguments = [sys.executable, "-c", IN_A_GROUP, SHELL, self._command]
        environment = {**os.environ, **environment}
        try:
            self._process = self._reactor.spawnProcess(running, sys.executable, arguments, env=environment)
        except OSError as error:  # no more processes, file descriptors or memory at the moment
            self.log.error("the hook cannot be run: {reason}", reason=error.strerror)
            return False
        self._too_long = self._reactor.callLater(HOOK_SECONDS, self._give_up)
        self._reaping.start(REAP_SECONDS, now=False).addErrback(self._log_bug)
        reason, printed = await running.ended
        self._process = None
        self._is_over()
        well = reason.check(ProcessDone) is not None
        if well:
            self.log.info("the hook has run: {printed}", printed=printed or "it printed nothing")
        else:
            self.log.error("the hook has failed: {reason}: {printed}", reason=reason.getErrorMessage(), printed=printed)
        return well

    def _not_again(self) -> None:
        if self._again is not None and self._again.active():
            self._again.cancel()

    def _is_over(self) -> None:
        if self._too_long is not None and self._too_long.active():
            self._too_long.cancel()
        if self._reaping.running:
            self._reaping.stop()

    def _give_up(self) -> None:
        self.log.error("the hook has not ended within {seconds:g} seconds, and is killed", seconds=HOOK_SECONDS)
        self._kill(signal.SIGKILL)

    def _kill(self, number: signal.Signals) -> None:
        """The whole group; the process alone where it has not made one yet."""
        pid = getattr(self._process, "pid", None)
        if self._process is None or pid is None:
            return
        with suppress(ProcessExitedAlready, PermissionError):  # a moment ago, and it says so next
            try:
                os.killpg(pid, number)
            except ProcessLookupError:
                self._process.signalProcess(number)

    def _log_bug(self, failure: Failure) -> None:
        self.log.failure("the hook could not be run, which is a bug", failure=failure)
