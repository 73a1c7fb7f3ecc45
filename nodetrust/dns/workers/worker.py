"""The worker: a process that answers DNS on sockets it was given, and does as its parent says."""

from __future__ import annotations

import dataclasses
import socket
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.dns.answering import Answering
from nodetrust.dns.challenges.table import ChallengeTable
from nodetrust.dns.settings import DnsSettings
from nodetrust.dns.transport.sockets import DnsSockets
from nodetrust.dns.workers.messages import (
    MAX_BYTES,
    AddChallenge,
    Counted,
    Done,
    Order,
    RemoveChallenge,
    ReplaceLists,
    ReplaceZone,
    Report,
    Start,
    Stop,
    decode_order,
    encode,
    lists_from_image,
    zone_from_image,
)
from nodetrust.libp2p.framing import FrameDecoder
from nodetrust.settings import HostPort, settings_from_bytes

REPORT_SECONDS = 1.0
"""How often the counters are reported."""


class Worker(Protocol):
    """The orders of the parent, carried out one after the other. When the parent goes, so does the worker."""

    log = Logger()

    def __init__(self, reactor: Any, seconds: Callable[[], float] = time.monotonic) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._frames = FrameDecoder(MAX_BYTES)
        self._answering: Answering | None = None
        self._reported: dict[str, int] = {}
        self._reports = LoopingCall(self.report_counters)
        self._reports.clock = reactor
        self._lost: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """Orders."""
        for message in self._frames.receive_data(data):
            numbered = decode_order(message)
            self._obey(numbered.order)
            self._say(Done(numbered.number))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The parent is gone, or all that it was told has been written."""
        self._lost.callback(None)
        self._end()

    def _obey(self, order: Order) -> None:
        match order:
            case Start():
                self._start(order)
            case Stop():
                self._end()
            case _ if self._answering is None:
                self.log.error("the first order was not to start")
                self._end()
            case AddChallenge(challenge):
                self._answering.table.add(challenge, self._seconds())
            case RemoveChallenge(challenge):
                self._answering.table.remove(challenge)
            case ReplaceZone(zone):
                self._answering.replace_zone(zone_from_image(zone))
            case ReplaceLists(lists):
                self._answering.replace_lists(lists_from_image(lists))

    def _start(self, order: Start) -> None:
        settings = settings_from_bytes(DnsSettings, order.settings)
        table = ChallengeTable(settings.challenge_seconds)
        now = self._seconds()
        for challenge, left in order.challenges:
            table.restore(challenge, left, now)
        zone, lists = zone_from_image(order.zone), lists_from_image(order.lists)
        answering = Answering(
            self._reactor, settings, zone, table, self._seconds, cookie_root=order.cookie_root, lists=lists
        )
        descriptor = order.first_descriptor
        for place in order.places:
            udp, tcp = (socket.socket(fileno=number) for number in (descriptor, descriptor + 1))
            answering.answer_on(DnsSockets(HostPort.parse(place), udp, tcp))
            descriptor += 2
        self._answering = answering
        self._reports.start(REPORT_SECONDS, now=False)

    def _end(self) -> None:
        if self._reactor.running:
            self._reactor.stop()

    def finish(self) -> Deferred[None]:
        """Answer what has arrived and close; called before the reactor stops."""
        return Deferred.fromCoroutine(self._finish())

    async def _finish(self) -> None:
        if self._reports.running:
            self._reports.stop()
        if self._answering is not None:
            await self._answering.close()
            self.report_counters()
        if self.transport is not None:
            self.transport.loseConnection()
            await self._lost

    def report_counters(self) -> None:
        """Tell the parent by how much they have grown."""
        if self._answering is None:
            return
        counted = dataclasses.asdict(self._answering.responder.counters)
        growth = {name: value - self._reported.get(name, 0) for name, value in counted.items()}
        self._reported = counted
        if any(growth.values()):
            self._say(Counted(growth))

    def _say(self, report: Report) -> None:
        if self.transport is not None:
            self.transport.write(encode(report))
