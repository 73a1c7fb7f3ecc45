"""The parent's side of one worker: its process, the orders it has not done yet, and what it reports."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.dns.transport.sockets import DnsSockets
from nodetrust.dns.workers.messages import Counted, Done, Numbered, Order, Stop, decode_report, encode
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.framing import FrameDecoder

ORDER_SECONDS = 10.0
"""How long a worker may take for an order before it is killed: a large zone takes a second or two."""

MAX_REPORT_BYTES = 64 * 1024
MAX_LINE_BYTES = 16 * 1024
"""Of a worker's log; the rest of a longer line is a line of its own."""

FIRST_DESCRIPTOR = 3
_STDIN, _STDOUT, _STDERR = 0, 1, 2


class WorkerProcess(ProcessProtocol):
    """One process. `on_growth` gets what its counters have grown by, `on_end` is called once when it has ended."""

    log = Logger()

    def __init__(
        self, reactor: Any, on_growth: Callable[[dict[str, int]], None], on_end: Callable[[WorkerProcess], None]
    ) -> None:
        self._reactor = reactor
        self._on_growth = on_growth
        self._on_end = on_end
        self._frames = FrameDecoder(MAX_REPORT_BYTES)
        self._undone: dict[int, Deferred[None]] = {}
        self._deadline: IDelayedCall | None = None
        self._last_number = 0
        self._lines = b""
        self.pid: int | None = None
        self.has_ended = False
        self._whole_end: Deferred[None] | None = None

    def spawn(self, sockets: Sequence[DnsSockets]) -> None:
        """Start the process with these sockets, in order, UDP before TCP, from FIRST_DESCRIPTOR on."""
        descriptors: dict[int, str | int] = {_STDIN: "w", _STDOUT: "r", _STDERR: "r"}
        for pair in sockets:
            for one in (pair.udp, pair.tcp):
                descriptors[FIRST_DESCRIPTOR + len(descriptors) - 3] = one.fileno()
        # modules are found in the same places and order as here, wherever that may be
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", "nodetrust.dns.workers"]
        process = self._reactor.spawnProcess(self, sys.executable, command, environment, childFDs=descriptors)
        self.pid = process.pid

    def order(self, order: Order) -> Deferred[None]:
        """Send an order. The Deferred fires when it is done; also when the process has ended, which answers no more."""
        done: Deferred[None] = Deferred()
        if self.has_ended or self.transport is None:
            done.callback(None)
            return done
        self._last_number += 1
        self._undone[self._last_number] = done
        self.transport.write(encode(Numbered(self._last_number, order)))
        if len(self._undone) == 1:  # else an older one has the deadline, which new orders do not put off
            self._expect()
        return done

    def stop(self) -> Deferred[None]:
        """Tell it to stop; fires when it has ended."""
        self._whole_end = Deferred()
        if self.has_ended:
            self._whole_end.callback(None)
        else:
            self.order(Stop())
        return self._whole_end

    def kill(self) -> None:
        """End it now."""
        if self.transport is not None and not self.has_ended:
            with suppress(ProcessExitedAlready):
                self.transport.signalProcess(signal.SIGKILL)

    def _expect(self) -> None:
        """The oldest order has its deadline; when it is done, the next one."""
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        if self._undone:
            self._deadline = self._reactor.callLater(ORDER_SECONDS, self._overdue)

    def _overdue(self) -> None:
        self.log.error("DNS worker {pid} does not do as it is told: killed", pid=self.pid)
        self.kill()

    def outReceived(self, data: bytes) -> None:
        """Reports."""
        try:
            for message in self._frames.receive_data(data):
                self._read(message)
        except (Libp2pError, msgspec.DecodeError):
            self.log.error("DNS worker {pid} talks nonsense: killed", pid=self.pid)
            self.kill()

    def _read(self, message: bytes) -> None:
        match decode_report(message):
            case Done(number):
                done = self._undone.pop(number, None)
                self._expect()
                if done is not None:
                    done.callback(None)
            case Counted(growth):
                self._on_growth(growth)

    def errReceived(self, data: bytes) -> None:
        """Its log becomes part of ours."""
        *lines, self._lines = (self._lines + data).split(b"\n")
        if len(self._lines) > MAX_LINE_BYTES:
            lines, self._lines = [*lines, self._lines], b""
        for line in lines:
            self.log.info("DNS worker {pid}: {line}", pid=self.pid, line=line.decode("utf-8", "replace"))

    def processEnded(self, reason: Failure) -> None:
        """Nothing it was told can be answered otherwise any more, so all of it is done."""
        self.has_ended = True
        undone, self._undone = self._undone, {}
        self._expect()
        self.log.info("DNS worker {pid} has ended: {reason}", pid=self.pid, reason=reason.getErrorMessage())
        self._on_end(self)
        for done in undone.values():
            done.callback(None)
        if self._whole_end is not None:
            self._whole_end.callback(None)
