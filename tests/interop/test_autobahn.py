"""The Autobahn test suite, which `kosoku` runs, against our WebSocket endpoint, plain and through TLS.

Compression (12.* and 13.*) is left out, as we have none. The report of the last run, a page for each case, is in
`build/autobahn`.
"""

import json
from collections import Counter
from typing import Any

from twisted.internet import reactor as default_reactor
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.portforward import ProxyClientFactory, ProxyServer

from nodetrust.libp2p.limits import ConnectionBudget, Limits
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.transports import (
    CertificateStore,
    RawConnection,
    TransportAddress,
    WebSocketTransport,
    websocket,
    websocket_channel,
)
from nodetrust.libp2p.transports.certificates import client_options
from tests.interop.harness import InteropTestCase, Program
from tests.interop.toolchain import CHECKOUT
from tests.libp2p.throwaway_ca import ThrowawayCa

reactor: Any = default_reactor

NAME = "node.example"
CASES = 301
INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}
"""A Close right behind a large message, and close codes to which RFC 6455 gives no meaning: any answer is right."""

LARGEST_BYTES, LARGEST_FRAGMENTS = 16 << 20, 1 << 16
"""Of the messages in 9.*: 16 MiB in one frame, and 4 MiB in frames of 64 bytes."""


class Gathered(Protocol):
    """The upper end of the channel: bytes, as libp2p gets them."""

    def __init__(self) -> None:
        self.data = bytearray()

    def dataReceived(self, data: bytes) -> None:
        self.data += data


class Echo(websocket._Accepted):
    """The endpoint itself; only that it sends a message back when it is complete, as text if it was text."""

    def onMessageBegin(self, isBinary: bool) -> None:
        super().onMessageBegin(isBinary)
        self._opcode = 2 if isBinary else 1

    def onMessageEnd(self) -> None:
        super().onMessageEnd()
        gathered: Any = self.channel.protocol
        if self.state == self.STATE_OPEN:
            self.sendFrame(opcode=self._opcode, payload=bytes(gathered.data))
        gathered.data.clear()


class TlsForwarder(Factory):
    """Connects whoever comes to a TLS server: kosoku speaks none."""

    noisy = False

    def __init__(self, port: int, trust_root: object) -> None:
        self._port = port
        self._trust_root = trust_root

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        forwarding = _Forwarding()
        forwarding.connect = self._connect
        return forwarding

    def _connect(self, client: ProxyClientFactory) -> None:
        reactor.connectSSL("127.0.0.1", self._port, client, client_options(NAME, self._trust_root))


class _Forwarding(ProxyServer):
    connect: Any

    def connectionMade(self) -> None:
        self.transport.pauseProducing()
        client = self.clientProtocolFactory()
        client.noisy = False
        client.setServer(self)
        self.connect(client)


class AutobahnTests(InteropTestCase):
    """Every case is passed strictly, or is one that judges nothing."""

    async def listen(self, layers: str, store: CertificateStore | None = None) -> int:
        """Run the endpoint; its port.

        The limits for one message, in bytes and in frames, are lifted to what 9.* sends. All others are as they are,
        that of pings among them.
        """
        self.patch(websocket_channel, "MAX_MESSAGE_BYTES", LARGEST_BYTES)
        self.patch(websocket_channel, "MAX_FRAGMENTS", LARGEST_FRAGMENTS)
        self.patch(websocket, "_Accepted", Echo)
        target = TransportAddress.from_multiaddr(Multiaddr.parse(f"/ip4/127.0.0.1/tcp/0{layers}"))
        transport = WebSocketTransport(reactor, ConnectionBudget(Limits()))
        listener = await transport.listen(target, self.accept, store)
        self.addCleanup(listener.stop)
        return int(listener.address.get("tcp") or 0)

    def accept(self, raw: RawConnection) -> None:
        raw.channel.attach(Gathered())

    async def run_suite(self, name: str, port: int) -> None:
        folder = CHECKOUT / "build" / "autobahn" / name
        suite = Program("kosoku")
        left_out = ["-x", "12.*", "-x", "13.*"]
        suite.spawn([self.tools.kosoku, *left_out, "-p", "2", "-o", folder, f"ws://127.0.0.1:{port}"])
        self.addCleanup(suite.kill)
        await suite.when_ended()
        self.assertEqual(0, suite.status, suite.printed())
        [cases] = json.loads((folder / "index.json").read_text()).values()
        behaviours = Counter(case[part] for case in cases.values() for part in ("behavior", "behaviorClose"))
        print(f"Autobahn test suite, {name}: {len(cases)} cases, {dict(behaviours)}")
        strict = {"behavior": "OK", "behaviorClose": "OK"}
        others = {number: case for number, case in cases.items() if not strict.items() <= case.items()}
        self.assertEqual((CASES, INFORMATIONAL), (len(cases), set(others)), others)

    async def test_plain(self) -> None:
        """On /ws."""
        await self.run_suite("ws", await self.listen("/ws"))

    async def test_secure(self) -> None:
        """On /tls/ws."""
        ca, store = ThrowawayCa(), CertificateStore()
        store.set([NAME], *ca.issue([NAME]))
        port = await self.listen("/tls/ws", store)
        forwarder = reactor.listenTCP(0, TlsForwarder(port, ca.trust_root), interface="127.0.0.1")
        self.addCleanup(forwarder.stopListening)
        await self.run_suite("wss", forwarder.getHost().port)
