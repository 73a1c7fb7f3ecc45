"""A certificate that is renewed while a host is in use, over real loopback sockets."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.internet.task import LoopingCall, deferLater

from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.ping import PING_BYTES, ping
from nodetrust.libp2p.transports import CertificateStore
from tests.libp2p.test_host_e2e import NAME, HostCase, address
from tests.libp2p.throwaway_ca import ThrowawayCa

OPEN = 200
NEWCOMERS_PER_SECOND = 20
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

    async def come_and_go(self) -> None:
        dialer = self.dialer()
        await ping(await self.connect(dialer), os.urandom(PING_BYTES), reactor)
        await dialer.stop()

    async def keep_pinging(self, connection: Connection, pause: float) -> int:
        answered = 0
        while self.busy:
            await deferLater(reactor, pause)
            await ping(connection, os.urandom(PING_BYTES), reactor)
            answered, pause = answered + 1, PAUSE_SECONDS
        return answered

    async def test_under_load(self) -> None:
        """Of 200 connections in use none is dropped, of 20 newcomers a second none is refused or shown an old one."""
        await self.serve()
        connections = [await self.connect(self.dialer()) for _ in range(OPEN)]
        self.busy = True
        pinging: list[Deferred[int]] = [
            Deferred.fromCoroutine(self.keep_pinging(connection, PAUSE_SECONDS * number / OPEN))
            for number, connection in enumerate(connections)
        ]
        newcomers: list[Deferred[Any]] = []

        def arrive(count: int) -> None:
            # More than one, where the machine was too busy for the call before.
            newcomers.extend(Deferred.fromCoroutine(self.come_and_go()) for _ in range(count))

        arriving = LoopingCall.withCount(arrive)
        arriving.start(1 / NEWCOMERS_PER_SECOND)
        for number in range(1, RENEWALS + 1):
            self.renew(number)
            await deferLater(reactor, PAUSE_SECONDS)
        arriving.stop()
        await gatherResults(newcomers, consumeErrors=True)
        self.busy = False
        answered = await gatherResults(pinging, consumeErrors=True)
        self.assertGreaterEqual(len(newcomers), RENEWALS * PAUSE_SECONDS * NEWCOMERS_PER_SECOND - 1)
        self.assertGreaterEqual(min(answered), 2)
        self.assertEqual([], [connection for connection in connections if connection.closed])
        await self.until(lambda: len(self.listener.connections()) == OPEN)
