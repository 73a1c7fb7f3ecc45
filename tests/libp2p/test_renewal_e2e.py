"""A certificate that is renewed while a host is in use, over real loopback sockets."""

from __future__ import annotations

import os

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.internet.task import deferLater

from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.ping import PING_BYTES, ping
from nodetrust.libp2p.transports import CertificateStore
from tests.libp2p.test_host_e2e import NAME, HostCase, address
from tests.libp2p.throwaway_ca import ThrowawayCa

OPEN = 200
NEWCOMERS = 10
"""At any time; twice as many in a second where the machine is fast enough for them."""

RENEWALS = 5
PAUSE_SECONDS = 1.0
"""Between two renewals, and between two pings on a connection."""


class RenewalTests(HostCase):
    """Each certificate is of a CA of its own, so that whoever trusts only the newest ones has seen which it was."""

    timeout = 300

    async def serve(self) -> None:
        self.cas = [ThrowawayCa() for _ in range(RENEWALS + 1)]
        self.store = CertificateStore()
        self.renew(0)
        self.listener = self.host()
        self.there = await self.listener.listen(address(f"/ip4/127.0.0.1/tcp/0/tls/sni/{NAME}/ws"), self.store)

    def renew(self, number: int) -> None:
        self.newest = number
        self.store.set([NAME], *self.cas[number].issue([NAME]))

    async def connect(self, dialer: Host) -> Connection:
        return await dialer.connect([self.there], self.listener.peer_id)

    def dialer(self) -> Host:
        """One that accepts the certificate of this moment, and those that come meanwhile, and none from before."""
        roots = [Certificate.loadPEM(ca.root_pem) for ca in self.cas[self.newest :]]
        return self.host(trust_root=trustRootFromCertificates(roots))

    async def keep_coming(self) -> None:
        """One newcomer after the other, half a second apart, or as soon as there was time for the one before."""
        while self.busy:
            begun = reactor.seconds()
            dialer = self.dialer()
            await ping(await self.connect(dialer), os.urandom(PING_BYTES), reactor)
            await dialer.stop()
            self.came += 1
            await deferLater(reactor, max(0.0, begun + 0.5 - reactor.seconds()))

    async def keep_pinging(self, connection: Connection, pause: float) -> int:
        answered = 0
        while self.busy:
            await deferLater(reactor, pause)
            await ping(connection, os.urandom(PING_BYTES), reactor)
            answered, pause = answered + 1, PAUSE_SECONDS
        return answered

    async def test_under_load(self) -> None:
        """Of 200 connections in use none is dropped, of ever new comers none is refused or shown an old one."""
        await self.serve()
        connections = [await self.connect(self.dialer()) for _ in range(OPEN)]
        self.busy = True
        pinging: list[Deferred[int]] = [
            Deferred.fromCoroutine(self.keep_pinging(connection, PAUSE_SECONDS * number / OPEN))
            for number, connection in enumerate(connections)
        ]
        self.came = 0
        coming = gatherResults(
            [Deferred.fromCoroutine(self.keep_coming()) for _ in range(NEWCOMERS)], consumeErrors=True
        )
        for number in range(1, RENEWALS + 1):
            self.renew(number)
            enough = self.came + NEWCOMERS
            await deferLater(reactor, PAUSE_SECONDS)
            await self.until(lambda enough=enough: self.came >= enough or coming.called)
        self.busy = False
        await coming
        answered = await gatherResults(pinging, consumeErrors=True)
        self.assertGreaterEqual(min(answered), 2)
        self.assertEqual([], [connection for connection in connections if connection.closed])
        await self.until(lambda: len(self.listener.connections()) == OPEN)
