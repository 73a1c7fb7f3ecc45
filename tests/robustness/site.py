"""All roles on loopback, and what must hold after each attack on them."""

from __future__ import annotations

import gc
import os
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Barrier
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import blockingCallFromThread, deferToThread
from twisted.logger import LogLevel, globalLogPublisher
from twisted.names.client import Resolver
from twisted.trial.unittest import TestCase

from nodetrust.command.deployment import ZONE, Deployment, full_addresses
from nodetrust.dns.transport.tcp import DnsStream
from nodetrust.libp2p.channel import Channel
from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.ping import ping
from nodetrust.libp2p.yamux import YamuxSession
from nodetrust.messages import ISSUE_INFO_PROTOCOL, MAX_ISSUE_INFO_BYTES, IssueInfo, parse
from tests.robustness.attacker import Place

SETTLE_SECONDS = 8.0
"""How long after an attack everything may take to be as before. No deadline of the servers has to pass for it."""

COUNTED = (Channel, Connection, DnsStream, YamuxSession)
"""What there must be exactly as many of after an attack as before it."""


class SiteCase(TestCase):
    """Starts a deployment, with plain WebSocket as well, for each test; `attack` runs one and looks for harm."""

    timeout = 300
    tolerated = "\0"
    """How a warning begins that this attack may cause."""

    async def setUp(self) -> None:
        self.alarms: list[str] = []
        globalLogPublisher.addObserver(self._watch)
        self.addCleanup(globalLogPublisher.removeObserver, self._watch)
        self.site = Deployment(reactor, Path(self.mktemp()))
        self.addCleanup(lambda: Deferred.fromCoroutine(self.site.stop()))
        await self.site.start(lambda _: None)
        self.hosts = [role.host for role in (self.site.dns, self.site.proof, self.site.issue, self.site.client)]
        await self.site.proof.host.listen(Multiaddr.parse("/ip4/127.0.0.1/tcp/0/ws"))
        self.tcp = [_place(host) for host in self.hosts]
        self.ws = _place(self.site.proof.host, "ws")
        self.wss = _place(self.site.client.host, "tls")
        self.dns = Place(self.site.dns_place.host, self.site.dns_place.port)
        self.visitor = Host(reactor, PrivateKey.generate())
        self.addCleanup(self.visitor.stop)
        await self._open_store()
        await self._be_honest()
        self.before = await self._quiet()

    async def attack(self, attack: Callable[..., object], *arguments: object) -> None:
        """Run `attack` in a thread; then nothing may be left of it, and everyone must be served."""
        await deferToThread(self._explained, attack, *arguments)
        await self.check()

    def _explained(self, attack: Callable[..., object], *arguments: object) -> None:
        """Trial shows no notes, and Hypothesis puts the example that failed into them."""
        try:
            attack(*arguments)
        except Exception as reason:
            notes = "\n".join(getattr(reason, "__notes__", ()))
            raise self.failureException(f"{reason!r}\n{notes}") from reason

    async def check(self) -> None:
        """No alarm, everything as before, and honest peers get what they ask for."""
        await self._be_honest()
        await self._until_as_before()
        self.assert_silent()

    def assert_silent(self) -> None:
        """Nothing was logged that asks for anybody's attention. May be called from an attacker's thread."""
        self.assertEqual([], self.alarms)

    def barrier(self) -> None:
        """From an attacker's thread: the reactor has dealt with everything that it had to do until now."""
        for _ in range(2):
            blockingCallFromThread(reactor, deferLater, reactor, 0)
        self.assert_silent()

    def _watch(self, event: dict[str, Any]) -> None:
        level = event.get("log_level")
        if (level is not None and level >= LogLevel.warn) or event.get("isError") or "log_failure" in event:
            failure = event.get("log_failure")
            if failure is None and str(event.get("log_format")).startswith(self.tolerated):
                return
            trace = failure.getTraceback() if failure is not None else ""
            self.alarms.append(f"{event.get('log_format')} {event.get('log_namespace')} {trace}")

    async def _open_store(self) -> None:
        """A question that comes beside a change has a connection of its own, which the store keeps from then on."""
        database, both = self.site.issue.store._database, Barrier(2)
        together = (ask(lambda _: both.wait()) for ask in (database.write, database.read))
        await gatherResults(map(Deferred.fromCoroutine, together))

    # Honest peers.

    async def _be_honest(self) -> None:
        """A new peer connects to each host and pings it; it gets the issue server's info, and DNS over UDP and TCP."""
        honest = Host(reactor, PrivateKey.generate())
        try:
            for host in self.hosts:
                [address, *_] = full_addresses(host)
                connection = await honest.connect([address])
                await ping(connection, os.urandom(32), reactor)
            issuer = self.site.issue.host.peer_id
            messages = await honest.open_messages(issuer, [ISSUE_INFO_PROTOCOL], MAX_ISSUE_INFO_BYTES, 5.0)
            self.assertEqual(ZONE, parse(IssueInfo, await messages.read()).domain)
            messages.close()
        finally:
            await honest.stop()
        resolver = Resolver(servers=[(self.dns.host, self.dns.port)])
        answers, _, _ = await resolver.lookupAddress(f"ip41-2-3-4.{ZONE}", timeout=(5,))
        self.assertEqual("1.2.3.4", answers[0].payload.dottedQuad())
        answered = await deferToThread(_tcp_answer, self.dns)
        self.assertIn(socket.inet_aton("1.2.3.4"), answered)

    # What is there.

    def _count(self) -> dict[str, int]:
        gc.collect()
        counts: Counter[str] = Counter()
        for thing in gc.get_objects():
            if isinstance(thing, COUNTED):
                counts[type(thing).__name__] += 1
        for number, host in enumerate(self.hosts):
            counts[f"sockets of host {number}"] = host._budget.open
            counts[f"handshakes of host {number}"] = host._budget.handshakes
            counts[f"tasks of host {number}"] = len(host._tasks)
        counts["descriptors"] = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        return dict(counts)

    async def _quiet(self) -> dict[str, int]:
        """The counts, once they stay the same."""
        before = self._count()
        while True:
            await deferLater(reactor, 0.2)
            now = self._count()
            if now == before:
                return now
            before = now

    async def _until_as_before(self) -> None:
        deadline = reactor.seconds() + SETTLE_SECONDS
        while not self._as_before(now := self._count()):
            if reactor.seconds() > deadline:
                self.assertEqual(self.before, now)
            await deferLater(reactor, 0.05)

    def _as_before(self, now: dict[str, int]) -> bool:
        # Fewer descriptors are no harm: idle HTTP connections of the issue server to the CA end by themselves.
        fewer = now.get("descriptors", 0) < self.before.get("descriptors", 0)
        return (now | {"descriptors": self.before["descriptors"]} if fewer else now) == self.before


def _place(host: Host, layer: str | None = None) -> Place:
    """Where one of the host's listeners is: the one with `layer`, or the plain one."""
    for address in (listener.address for listener in host._listeners):
        if address.has(layer) if layer else not address.has("ws"):
            return Place(address.get("ip4") or "", int(address.get("tcp") or 0))
    raise LookupError(f"no listener with {layer}")


def _tcp_answer(place: Place) -> bytes:
    query = (
        bytes.fromhex("12340100000100000000 0000".replace(" ", ""))
        + b"".join(bytes([len(label)]) + label for label in (b"ip41-2-3-4", *ZONE.encode().split(b"."), b""))
        + bytes.fromhex("00010001")
    )
    with socket.create_connection(place, 5) as connection:
        connection.sendall(len(query).to_bytes(2, "big") + query)
        return connection.recv(4096)
