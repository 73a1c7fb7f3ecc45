"""A client that renews its certificate while two hundred hosts are connected, and ever new ones come."""

import os
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle, islice
from time import monotonic
from typing import Any

from cryptography import x509
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.internet.task import deferLater

from nodetrust.certificates import key_to_pem
from nodetrust.client.client import Client
from nodetrust.client.files import COMBINED_FILE, load
from nodetrust.client.forward import Target
from nodetrust.client.obtain import Obtained
from nodetrust.command.deployment import LOOPBACK
from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.ping import PING_BYTES, ping
from nodetrust.service import dial_options
from nodetrust.testing.ca import CASettings
from tests.servers import ServersTestCase, reactor

OPEN = 200
DIALERS = 25
"""Of them each holds eight connections, which is as many as one peer may."""

AT_ONCE = 5
"""While the two hundred are opened."""

NEWCOMERS = 8
"""At any time, and so many in a second where the machine is fast enough for them."""

LIFE = timedelta(seconds=45)
"""Renewed after 30: a machine that is slow and busy has the other fifteen for it, for all of this is one process."""

AFTER_SECONDS = 2.0
"""For so long newcomers still come when the certificate is renewed."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A newcomer: when it began to dial, after how many certificates, how long it took, and which it was shown."""

    certificates: int
    seconds: float
    shown: x509.Certificate


class RenewalUnderLoadTests(ServersTestCase):
    """`taken` has the certificates that the client has told, in their order."""

    async def prepare_client(self, **changes: Any) -> Client:
        """A client that is announced, whose hook appends each certificate to a file."""
        self.servers = await self.start(CASettings(profiles={"default": LIFE}))
        self.hooked = self.servers.folder / "hooked.pem"
        changes["hook"] = f'cat "$NODETRUST_FOLDER/{COMBINED_FILE}" >> {self.hooked}'
        self.servers.changes["client"] = changes
        self.taken: list[Obtained] = []
        client = Client(reactor, self.servers.client_settings())
        self.addCleanup(client.stop)
        client.on_certificate(self.take)
        await client.start()
        await client.announced()
        self.client_under_load = client
        return client

    def take(self, obtained: Obtained) -> None:
        """What the program is told is in the folder already."""
        stored = load(self.servers.client_settings().state)
        assert stored is not None
        self.assertEqual(stored.chain, obtained.chain)
        self.taken.append(obtained)

    def dialer(self) -> Host:
        options = dial_options(reactor, self.servers.dns_place, None)
        root = Certificate.loadPEM(self.servers.ca.root_pem_path.read_bytes())
        host = Host(reactor, PrivateKey.generate(), trust_root=trustRootFromCertificates([root]), **options)
        self.addCleanup(host.stop)
        return host

    async def open(self, host: Host) -> Connection:
        client = self.client_under_load
        connection = await host.connect(client.addresses, anew=True)
        await ping(connection, os.urandom(PING_BYTES), reactor)
        return connection

    async def open_all(self) -> list[Connection]:
        """Two hundred, a few at a time."""
        hosts = islice(cycle([self.dialer() for _ in range(DIALERS)]), OPEN)

        async def some() -> list[Connection]:
            return [await self.open(host) for host in hosts]

        opened = await gatherResults([Deferred.fromCoroutine(some()) for _ in range(AT_ONCE)], consumeErrors=True)
        return [connection for connections in opened for connection in connections]

    async def visit(self) -> Visit:
        """Come, ping, and go."""
        certificates, began, host = len(self.taken), monotonic(), self.dialer()
        connection = await self.open(host)
        channel: Any = connection._raw.channel
        tls = channel._websocket.transport
        visit = Visit(certificates, monotonic() - began, tls.getPeerCertificate().to_cryptography())
        await host.stop()
        return visit

    async def keep_coming(self, number: int) -> list[Visit]:
        """One newcomer after the other, a second apart, or as soon as there was time for the one before."""
        visits = []
        await deferLater(reactor, number / NEWCOMERS)
        while self.coming:
            began = monotonic()
            visits.append(await self.visit())
            await deferLater(reactor, max(0.0, began + 1 - monotonic()))
        return visits

    async def under_load(self) -> None:
        """Nobody is dropped, nobody refused, and whoever comes later is shown the new certificate."""
        began, self.coming = monotonic(), True
        coming = [Deferred.fromCoroutine(self.keep_coming(number)) for number in range(NEWCOMERS)]
        connections = await self.open_all()
        opened, before = monotonic(), len(self.taken)
        while len(self.taken) == before:
            await deferLater(reactor, 0.1)
        await deferLater(reactor, AFTER_SECONDS)
        self.coming = False
        came = await gatherResults(coming, consumeErrors=True)
        self.assertGreaterEqual(min(map(len, came)), 2)
        visited = [visit for visits in came for visit in visits]
        rate = len(visited) / (monotonic() - began)
        self.assertEqual([], [connection for connection in connections if connection.closed])
        await gatherResults(
            [Deferred.fromCoroutine(ping(one, os.urandom(PING_BYTES), reactor)) for one in connections],
            consumeErrors=True,
        )
        visited.append(await self.visit())
        self.check_shown(visited)
        slowest = max(visit.seconds for visit in visited)
        print(
            f"{OPEN} connections in {opened - began:.1f} s; {len(visited)} newcomers, {rate:.1f} a second, the slowest "
            f"in {slowest:.2f} s; {len(self.taken)} certificates"
        )

    def check_shown(self, visited: list[Visit]) -> None:
        """Never one that was renewed before the newcomer came; and all, as of when the last one came, to somebody."""
        leaves = [obtained.chain.leaf for obtained in self.taken]
        for visit in visited:
            self.assertGreaterEqual(leaves.index(visit.shown) + 1, visit.certificates)
        self.assertLessEqual(set(leaves[: visited[-1].certificates]), {visit.shown for visit in visited})

    async def check_told(self, client: Client) -> None:
        """The hook has run with each certificate and its key; the newest is in the folder, and is served."""
        wanted = b"".join(self.combined(obtained) for obtained in self.taken)
        while self.hooked.stat().st_size < len(wanted):
            await deferLater(reactor, 0.1)
        self.assertEqual(self.hooked.read_bytes(), wanted)
        self.assertEqual(client.settings.state.joinpath(COMBINED_FILE).read_bytes(), self.combined(self.taken[-1]))
        assert client.current is not None
        self.assertEqual(client.current.chain, self.taken[-1].chain)

    def combined(self, obtained: Obtained) -> bytes:
        return key_to_pem(obtained.key) + obtained.chain.full_pem

    async def test_of_its_own(self) -> None:
        """The client serves WSS itself."""
        client = await self.prepare_client()
        await self.under_load()
        await self.check_told(client)

    async def test_in_front_of_a_node(self) -> None:
        """What comes over WSS is for a node behind, which knows nothing of it."""
        node = Host(reactor, PrivateKey.generate())
        self.addCleanup(node.stop)
        port = (await node.listen(LOOPBACK[0])).get("tcp")
        client = await self.prepare_client(forward=Target.parse(f"tcp:127.0.0.1:{port}"))
        self.assertEqual(client.addresses[0].peer_id, node.peer_id)
        await self.under_load()
        await self.check_told(client)
