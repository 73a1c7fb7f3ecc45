"""A Chromium or Chrome of this machine with a profile that is thrown away, which finds the demo's names."""

from __future__ import annotations

import os
import shutil
import tempfile
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Any

from cryptography import x509
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from nodetrust.certificates import public_key_der
from nodetrust.errors import NodetrustError

PROGRAMS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "brave",
)
"""All of them take the same options."""

END_SECONDS = 5.0
"""How long a browser may take to close before it is killed."""

REMOVE_TRIES = 10
"""Its helpers, which die with it, may still write to the profile for a moment."""

_ROOT = 0


class NoBrowser(NodetrustError):
    """There is none on this machine that the demo can open."""


def find_browser() -> str:
    """The path of the first that is on PATH. Raises `NoBrowser`."""
    for program in PROGRAMS:
        if path := shutil.which(program):
            return path
    raise NoBrowser(f"--browser: none of {', '.join(PROGRAMS)} is on PATH; install Chromium or Chrome, or leave it out")


def browser_arguments(zone: str, profile: str, authority: x509.Certificate | None, url: str) -> list[str]:
    """The options: names of `zone` lead to this machine, and nothing but `url` is asked for.

    A certificate below `authority` is taken as it is, in this profile alone; the CA is of no worth to anybody else.
    """
    arguments = [
        f"--user-data-dir={profile}",
        f"--host-resolver-rules=MAP *.{zone} 127.0.0.1",
        "--no-first-run",
        "--no-default-browser-check",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-proxy-server",
    ]
    if authority is not None:
        digest = b64encode(sha256(public_key_der(authority.public_key())).digest()).decode()
        arguments.append(f"--ignore-certificate-errors-spki-list={digest}")
    if os.geteuid() == _ROOT:
        arguments.append("--no-sandbox")  # it refuses to run as root with one
    return [*arguments, url]


class Browser(ProcessProtocol):
    """A browser that runs until it is stopped, or its user closes it."""

    def __init__(self, reactor: Any, program: str) -> None:
        self._running = False
        self._waiting: list[Deferred[None]] = []
        self._reactor = reactor
        self._program = program
        self.profile = tempfile.mkdtemp(prefix="nodetrust-browser-")
        """The folder of its profile, which goes with it."""

    def start(self, arguments: Sequence[str], environment: Mapping[str, str] = os.environ, **how: Any) -> None:
        """Open it; see `browser_arguments`. `how` is for `spawnProcess`."""
        self._running = True
        self._reactor.spawnProcess(self, self._program, [self._program, *arguments], dict(environment), **how)

    async def stop(self) -> None:
        """Close it, and remove its profile."""
        await self._end()
        for _ in range(REMOVE_TRIES):
            shutil.rmtree(self.profile, ignore_errors=True)
            if not os.path.exists(self.profile):
                return
            await deferLater(self._reactor, 0.1)

    def closed(self) -> Deferred[None]:
        """Fires when it has ended."""
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        if self._running:
            self._waiting.append(waiting)
        else:
            waiting.callback(None)
        return waiting

    def processEnded(self, reason: Failure) -> None:
        self._running = False
        while self._waiting:
            self._waiting.pop().callback(None)

    async def _end(self) -> None:
        if not self._running:
            return
        kill = self._reactor.callLater(END_SECONDS, self._signal, "KILL")
        self._signal("TERM")
        await self.closed()
        if kill.active():
            kill.cancel()

    def _signal(self, name: str) -> None:
        if self.transport is not None:
            with suppress(ProcessExitedAlready):
                self.transport.signalProcess(name)
