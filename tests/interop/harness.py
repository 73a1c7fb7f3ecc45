"""Starts programs of others as child processes and drives them.

`Program` is any child process whose output comes in lines, `Daemon` one whose log is read. `Peer` is one of ours in
`peers/`: it takes commands and tells events, one JSON object a line (`peers/js/lines.mjs` says how). `InteropTestCase`
starts them for a test and ends them after it.

Nothing here waits without a deadline, and a program is ended by its own process id.
"""

import contextlib
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, TestCase

from tests.interop import nameserver, toolchain

COMMAND_SECONDS = 90.0
"""Beyond the peers' own deadlines (20 and 30 s), so that their more telling errors come first.

On a slow machine twenty that start at once, as in `test_mesh.py`, need half a minute.
"""

LOG_SECONDS = 60.0
STOP_SECONDS = 20.0
"""Beyond the five that our own programs give their connections to close."""

KEPT_LINES = 200
"""Of each program's last output, shown when something goes wrong."""


class ProgramError(Exception):
    """A program said that a command failed, or ended, or did not answer in time."""


class Program(ProcessProtocol):
    """A child process. Subclasses get its standard output by `line_received`; standard error is kept for messages.

    When `ended`, `status` is its exit status, None if a signal ended it.
    """

    def __init__(self, name: str, reactor: Any = default_reactor) -> None:
        self.name = name
        self.ended = False
        self.status: int | None = None
        self.process: IProcessTransport
        self._reactor = reactor
        self._partial = {1: b"", 2: b""}
        self._kept: list[str] = []
        self._waiting_for_end: list[Deferred[None]] = []

    def spawn(self, command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> None:
        """Start the program, with `environment` on top of our own."""
        arguments = [str(part) for part in command]
        merged = {**os.environ, **(environment or {})}
        self.process = self._reactor.spawnProcess(self, arguments[0], arguments, env=merged)

    def line_received(self, line: str) -> None:
        """Called with each line of standard output, without its end."""
        self._keep(line)

    def program_ended(self) -> None:
        """Called once, when the process is gone."""

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        *lines, self._partial[childFD] = (self._partial[childFD] + data).split(b"\n")
        for line in lines:
            text = line.decode("utf-8", "replace")
            if childFD == 1:
                self.line_received(text)
            else:
                self._keep(text)

    def processEnded(self, reason: Failure) -> None:
        self.ended = True
        self.status = getattr(reason.value, "exitCode", None)
        self._keep(f"({reason.getErrorMessage()})")
        self.program_ended()
        waiting, self._waiting_for_end = self._waiting_for_end, []
        for deferred in waiting:
            deferred.callback(None)

    def _keep(self, line: str) -> None:
        self._kept.append(line)
        del self._kept[:-KEPT_LINES]

    def printed(self) -> str:
        """What it printed last, for an error message."""
        return "".join(f"\n  {self.name}| {line}" for line in self._kept)

    def when_ended(self) -> Deferred[None]:
        """Fires when the process is gone."""
        deferred: Deferred[None] = Deferred()
        if self.ended:
            deferred.callback(None)
        else:
            self._waiting_for_end.append(deferred)
        return deferred

    def kill(self) -> None:
        """End the process at once, by its id, if it still runs."""
        if self.ended:
            return
        with contextlib.suppress(ProcessExitedAlready):
            self.process.signalProcess("KILL")

    def ask_to_end(self) -> None:
        """Let the program end by itself; what it does not heed within STOP_SECONDS is followed by `kill`."""
        with contextlib.suppress(ProcessExitedAlready):  # but what it has printed is still on its way
            self.process.signalProcess("TERM")

    async def stop(self) -> None:
        """End the process and return when it is gone."""
        if self.ended:
            return
        self.ask_to_end()
        killing = self._reactor.callLater(STOP_SECONDS, self.kill)
        await self.when_ended()
        if killing.active():
            killing.cancel()


class Daemon(Program):
    """A program that runs until it is told to end, and that says on standard output how far it is."""

    def __init__(self, name: str, reactor: Any = default_reactor) -> None:
        super().__init__(name, reactor)
        self.lines: list[str] = []
        self._watchers: list[tuple[re.Pattern[str], Deferred[str]]] = []

    async def logged(self, pattern: str, seconds: float = LOG_SECONDS) -> str:
        """The group in the first line that has the pattern, which may be yet to come."""
        for line in self.lines:
            if found := re.search(pattern, line):
                return found[1]
        waiting: Deferred[str] = Deferred()
        self._watchers.append((re.compile(pattern), waiting))
        return await waiting.addTimeout(seconds, self._reactor)

    def line_received(self, line: str) -> None:
        super().line_received(line)
        self.lines.append(line)
        for watcher in list(self._watchers):
            if found := watcher[0].search(line):
                self._watchers.remove(watcher)
                watcher[1].callback(found[1])

    def program_ended(self) -> None:
        watchers, self._watchers = self._watchers, []
        for _, waiting in watchers:
            waiting.errback(AssertionError(f"{self.name} has ended{self.printed()}"))


class Peer(Program):
    """A libp2p node of another implementation. After `start`, `peer_id` and `listening` (full multiaddrs) are set."""

    patience_seconds = COMMAND_SECONDS
    """For each command and event."""

    def __init__(self, name: str, reactor: Any = default_reactor) -> None:
        super().__init__(name, reactor)
        self.peer_id = ""
        self.listening: list[str] = []
        self._last_id = 0
        self._commands: dict[int, Deferred[dict[str, Any]]] = {}
        self._events: list[dict[str, Any]] = []
        self._watchers: list[tuple[dict[str, Any], Deferred[dict[str, Any]]]] = []

    def ask_to_end(self) -> None:
        self.process.closeStdin()

    async def start(self, **options: Any) -> None:
        """Open the node; the options are those of the peers' `start`."""
        told = await self.command("start", **options)
        self.peer_id, self.listening = told["peer"], told["listening"]

    def address(self, web_socket: bool = False) -> str:
        """Its multiaddr for plain TCP, or the one that ends in /ws."""
        return next(addr for addr in self.listening if ("/ws/p2p/" in addr) == web_socket)

    async def command(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Have the peer do something, and return its result. Raises ProgramError."""
        if self.ended:
            raise ProgramError(f"{self.name}: {name}: the program has ended{self.printed()}")
        self._last_id += 1
        answer: Deferred[dict[str, Any]] = Deferred()
        self._commands[self._last_id] = answer
        line = json.dumps({"id": self._last_id, "command": name, **arguments})
        self.process.write(line.encode() + b"\n")
        return await self._in_time(answer, f"{name} {arguments}")

    async def event(self, name: str, **fields: Any) -> dict[str, Any]:
        """The next event of that name and with those fields that nobody has taken yet."""
        wanted = {"event": name, **fields}
        for index, event in enumerate(self._events):
            if wanted.items() <= event.items():
                return self._events.pop(index)
        found: Deferred[dict[str, Any]] = Deferred()
        self._watchers.append((wanted, found))
        return await self._in_time(found, f"the event {wanted}")

    async def _in_time(self, deferred: Deferred[dict[str, Any]], what: str) -> dict[str, Any]:
        try:
            return await deferred.addTimeout(self.patience_seconds, self._reactor)
        except TimeoutError:
            raise ProgramError(
                f"{self.name}: {what}: nothing within {self.patience_seconds:.0f} s{self.printed()}"
            ) from None
        finally:
            self._commands = {key: value for key, value in self._commands.items() if value is not deferred}
            self._watchers = [watcher for watcher in self._watchers if watcher[1] is not deferred]

    def line_received(self, line: str) -> None:
        try:
            told = json.loads(line)
        except ValueError:
            self._keep(line)
            return
        if "event" in told:
            self._event_received(told)
            return
        answer = self._commands.pop(told["id"], None)
        if answer is None:
            return
        if "error" in told:
            answer.errback(ProgramError(f"{self.name}: {told['error']}"))
        else:
            answer.callback(told["result"])

    def _event_received(self, told: dict[str, Any]) -> None:
        for wanted, found in self._watchers:
            if wanted.items() <= told.items():
                found.callback(told)
                return
        self._events.append(told)

    def program_ended(self) -> None:
        failure = ProgramError(f"{self.name}: the program has ended{self.printed()}")
        for answer in list(self._commands.values()):
            answer.errback(failure)
        for _, found in list(self._watchers):
            found.errback(failure)


def require_toolchain() -> toolchain.Toolchain:
    """The programs; a test that needs them is skipped where they are missing and nothing demands them."""
    if toolchain.is_left_out():
        raise SkipTest("`tox -e interop` runs it")
    if not toolchain.is_required() and not toolchain.is_prepared():
        raise SkipTest("the real peers are not here: `python -m tests.interop.toolchain` gets them")
    return toolchain.prepare()


class InteropTestCase(TestCase):
    """A test with real processes, real sockets and real time."""

    timeout = 180

    def setUp(self) -> None:
        self.tools = require_toolchain()

    def serve_name(self) -> str:
        """Run the DNS server of `nameserver.py` for this test; its "host:port"."""
        port = nameserver.listen()
        self.addCleanup(port.stopListening)
        return f"127.0.0.1:{nameserver.port_number(port)}"

    async def start_js(self, *, extra_roots: Path | None = None, **options: Any) -> Peer:
        """A js-libp2p node; `extra_roots` is a PEM file whose certificates it trusts for WSS."""
        environment = {} if extra_roots is None else {"NODE_EXTRA_CA_CERTS": str(extra_roots)}
        return await self._start("js", [self.tools.node, self.tools.js / "peer.mjs"], environment, options)

    async def start_go(self, **options: Any) -> Peer:
        """A go-libp2p node; `roots` is a PEM file whose certificates it trusts for WSS."""
        return await self._start("go", [self.tools.go_peer], {}, options)

    async def start_ours(self, **options: Any) -> Peer:
        """A host of ours in a process of its own (`our_peer.py`)."""
        environment = {"PYTHONPATH": str(toolchain.CHECKOUT)}
        return await self._start("ours", [sys.executable, "-m", "tests.interop.our_peer"], environment, options)

    async def _start(
        self, name: str, command: Sequence[str | Path], environment: Mapping[str, str], options: dict[str, Any]
    ) -> Peer:
        peer = Peer(name)
        peer.spawn(command, environment)
        self.addCleanup(lambda: Deferred.fromCoroutine(peer.stop()))
        await peer.start(**options)
        return peer
