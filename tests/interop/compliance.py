"""What a real peer and our host must do with each other, whichever implementation the peer is."""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Sequence
from os import urandom
from pathlib import Path
from random import SystemRandom
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.internet.task import LoopingCall

from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.errors import DialError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.noise import NoiseSecurity
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.ping import ping
from nodetrust.libp2p.pubsub.effects import SendRpc
from nodetrust.libp2p.pubsub.ids import SEQNO_BYTES, message_ids
from nodetrust.libp2p.pubsub.messages import PubSubMessage
from nodetrust.libp2p.pubsub.numbers import Numbers
from nodetrust.libp2p.pubsub.parameters import GOSSIPSUB_1_2
from nodetrust.libp2p.pubsub.service import PubSub
from nodetrust.libp2p.pubsub.wire import Rpc
from nodetrust.libp2p.security import Security
from nodetrust.libp2p.tls import TlsSecurity
from nodetrust.libp2p.transports import CertificateStore
from nodetrust.libp2p.upgrade import MUXERS
from tests.interop import nameserver
from tests.interop.certificates import make_certificate
from tests.interop.harness import COMMAND_SECONDS, InteropTestCase, Peer
from tests.interop.nameserver import NAME
from tests.interop.streams import DIGEST, ECHO, handle_streams, pattern, send_and_receive

TCP, WEB_SOCKET = "/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/0/ws"
SECURE_WEB_SOCKET = "/ip4/127.0.0.1/tcp/0/tls/ws"
TOPIC = "nodetrust-test"
AGENT = "nodetrust-interop/1"
NEW_ADDRESS = "/ip4/127.0.0.1/tcp/65432/ws"
NEW_PROTOCOL = "/nodetrust-test/new/1.0.0"
TEN_MEGABYTES = 10_000_000
PING_BYTES = 32
LOOK_AGAIN_SECONDS = 0.02


def by_name(address: str) -> str:
    """The address with NAME in the place of its IP address."""
    return address.replace("/ip4/127.0.0.1/", f"/dns4/{NAME}/")


class OurHostTestCase(InteropTestCase):
    """Starts hosts of ours and connects them to peers."""

    async def start_host(self, *securities: str, listen: Sequence[str] = (TCP, WEB_SOCKET), **options: Any) -> Host:
        """A host that speaks `securities` ("noise", "tls") and serves the test protocols; `options` are Host's."""
        key = PrivateKey.generate()
        layers: dict[str, Callable[[], Security]] = {
            "noise": lambda: NoiseSecurity(key, MUXERS),
            "tls": lambda: TlsSecurity(key, MUXERS, self.reactor),
        }
        chosen = [layers[name]() for name in securities]
        host = Host(self.reactor, key, securities=chosen, agent_version=AGENT, **options)
        self.addCleanup(host.stop)
        handle_streams(host)
        for address in listen:
            await host.listen(Multiaddr.parse(address))
        return host

    @property
    def reactor(self) -> Any:
        """The real one."""
        return reactor

    def start_pubsub(self, host: Host, numbers: Numbers | None = None) -> tuple[PubSub, list[PubSubMessage]]:
        """Pubsub on the host, and a growing list of what it receives in TOPIC."""
        pubsub = PubSub(host, self.reactor, SystemRandom(), numbers=numbers)
        received: list[PubSubMessage] = []
        pubsub.subscribe(TOPIC, received.append)
        pubsub.start()
        self.addCleanup(pubsub.stop)
        return pubsub, received

    @staticmethod
    def address_of(host: Host, web_socket: bool = False) -> str:
        """One of the host's listening addresses, in full."""
        address = next(a for a in host.addresses() if a.has("ws") == web_socket)
        return str(address.with_peer_id(host.peer_id))


class ComplianceTests(OurHostTestCase):
    """Mixed into a test case for one implementation, which says how its peer is started."""

    agent = ""
    """A part of the agent version that the implementation announces."""

    async def start_peer(self, *, root: Path | None = None, **options: Any) -> Peer:
        """A node of the implementation that trusts the PEM file `root`; the other options are those of its `start`."""
        raise NotImplementedError

    async def check_connection(self, security: str, web_socket: bool, we_dial: bool) -> None:
        """Connect, then everything that both sides can ask of each other on the connection."""
        host = await self.start_host(security)
        peer = await self.start_peer(listen=[TCP, WEB_SOCKET], security=[security])
        connection = await self.connect(host, peer, web_socket, we_dial)
        self.assertEqual(connection.outbound, we_dial)
        self.assertEqual(connection.security.strip("/").split("/")[0], security)
        await self.check_identify(host, peer, connection)
        self.assertLess(await ping(connection, urandom(PING_BYTES), self.reactor), COMMAND_SECONDS)
        await peer.command("ping", peer=str(host.peer_id))
        data = pattern(300_000)
        digest = await send_and_receive(connection, DIGEST, data)
        self.assertEqual(digest.data.decode(), hashlib.sha256(data).hexdigest())
        self.assertTrue((await peer.command("digest", peer=str(host.peer_id), bytes=300_000))["same"])

    async def connect(self, host: Host, peer: Peer, web_socket: bool, we_dial: bool) -> Connection:
        """One side dials the other; our connection once both know of it."""
        if we_dial:
            connection = await host.connect([Multiaddr.parse(peer.address(web_socket))])
            await peer.event("connected", peer=str(host.peer_id))
            return connection
        connected: Deferred[Connection] = Deferred()
        host.on_connected(connected.callback)
        await peer.command("dial", addr=self.address_of(host, web_socket))
        return await connected.addTimeout(COMMAND_SECONDS, self.reactor)

    async def check_identify(self, host: Host, peer: Peer, connection: Connection) -> None:
        """Each side learns who the other is, what it speaks, and where it is seen."""
        theirs = await peer.command("identify", peer=str(host.peer_id))
        self.assertEqual(theirs["agent"], AGENT)
        self.assertTrue({ECHO, DIGEST, "/ipfs/ping/1.0.0"} <= set(theirs["protocols"]), theirs)
        self.assertTrue(theirs["observed"].startswith("/ip4/127.0.0.1/tcp/"), theirs)
        self.assertTrue(theirs["signed"], "our signed peer record was not accepted")
        if connection.remote_identify is None:
            identified: Deferred[Connection] = Deferred()
            host.on_identified(lambda one: None if identified.called else identified.callback(one))
            await identified.addTimeout(COMMAND_SECONDS, self.reactor)
        ours = connection.remote_identify
        assert ours is not None
        self.assertIn(self.agent, ours.agent_version)
        self.assertIn(ECHO, ours.protocols)
        self.assertTrue(str(ours.observed_address).startswith("/ip4/127.0.0.1/tcp/"), ours)
        self.assertEqual(connection.remote_peer, connection.remote_key.peer_id)

    async def test_we_dial_tcp_noise(self) -> None:
        """Our host as the dialer over TCP with Noise."""
        await self.check_connection("noise", web_socket=False, we_dial=True)

    async def test_we_dial_tcp_tls(self) -> None:
        """Our host as the dialer over TCP with TLS."""
        await self.check_connection("tls", web_socket=False, we_dial=True)

    async def test_we_dial_web_socket_noise(self) -> None:
        """Our host as the dialer over WebSocket with Noise."""
        await self.check_connection("noise", web_socket=True, we_dial=True)

    async def test_we_dial_web_socket_tls(self) -> None:
        """Our host as the dialer over WebSocket with TLS."""
        await self.check_connection("tls", web_socket=True, we_dial=True)

    async def test_they_dial_tcp_noise(self) -> None:
        """Our host as the listener over TCP with Noise."""
        await self.check_connection("noise", web_socket=False, we_dial=False)

    async def test_they_dial_tcp_tls(self) -> None:
        """Our host as the listener over TCP with TLS."""
        await self.check_connection("tls", web_socket=False, we_dial=False)

    async def test_they_dial_web_socket_noise(self) -> None:
        """Our host as the listener over WebSocket with Noise."""
        await self.check_connection("noise", web_socket=True, we_dial=False)

    async def test_they_dial_web_socket_tls(self) -> None:
        """Our host as the listener over WebSocket with TLS."""
        await self.check_connection("tls", web_socket=True, we_dial=False)

    async def test_news_are_pushed(self) -> None:
        """What changes after identify is pushed: our address reaches the peer, its new protocol reaches us."""
        host = await self.start_host("noise")
        peer = await self.start_peer(listen=[TCP], security=["noise"])
        connection = await self.connect(host, peer, web_socket=False, we_dial=True)
        await self.check_identify(host, peer, connection)
        host.announce([Multiaddr.parse(NEW_ADDRESS)])
        await peer.command("awaitAddress", peer=str(host.peer_id), addr=NEW_ADDRESS)
        told: Deferred[None] = Deferred()

        def identified(one: Connection) -> None:
            if one.remote_identify is not None and NEW_PROTOCOL in one.remote_identify.protocols and not told.called:
                told.callback(None)

        host.on_identified(identified)
        await peer.command("handle", protocol=NEW_PROTOCOL)
        await told.addTimeout(COMMAND_SECONDS, self.reactor)

    async def check_echo(self, web_socket: bool) -> None:
        """Ten megabytes go out and come back on one stream at the same time, whoever opened it."""
        host = await self.start_host("noise")
        peer = await self.start_peer(listen=[TCP, WEB_SOCKET], security=["noise"])
        connection = await self.connect(host, peer, web_socket, we_dial=True)
        data = pattern(TEN_MEGABYTES)
        returned = await send_and_receive(connection, ECHO, data)
        self.assertEqual(len(returned.data), len(data))
        self.assertTrue(returned.data == data, "other bytes came back")
        theirs = await peer.command("echo", peer=str(host.peer_id), bytes=TEN_MEGABYTES)
        self.assertTrue(theirs["same"], theirs)

    async def test_ten_megabytes_over_tcp(self) -> None:
        """Flow control on both sides keeps a long stream going over TCP."""
        await self.check_echo(web_socket=False)

    async def test_ten_megabytes_over_web_socket(self) -> None:
        """The same over WebSocket, whose messages cut the stream at will."""
        await self.check_echo(web_socket=True)

    async def test_they_dial_verified_web_socket(self) -> None:
        """The peer dials our WSS address by its name and verifies our certificate."""
        files = make_certificate(Path(self.mktemp()), [NAME])
        store = CertificateStore()
        store.set([NAME], files.key.read_bytes(), files.certificate.read_bytes())
        host = await self.start_host("noise", listen=[])
        listening = await host.listen(Multiaddr.parse(SECURE_WEB_SOCKET), store)
        peer = await self.start_peer(root=files.root, nameServer=self.serve_name())
        told = await peer.command("dial", addr=by_name(str(listening.with_peer_id(host.peer_id))))
        self.assertEqual(told["peer"], str(host.peer_id))
        await peer.command("ping", peer=str(host.peer_id))

    async def test_we_dial_verified_web_socket(self) -> None:
        """We dial the peer's WSS address by its name and verify its certificate."""
        files = make_certificate(Path(self.mktemp()), [NAME])
        server = self.serve_name()
        root = trustRootFromCertificates([Certificate.loadPEM(files.root.read_bytes())])
        resolver = nameserver.resolver(int(server.rpartition(":")[2]))
        host = await self.start_host("noise", listen=[], resolver=resolver, trust_root=root)
        stranger = await self.start_host("noise", listen=[], resolver=resolver)
        peer = await self.start_peer(
            listen=[SECURE_WEB_SOCKET], certificate=str(files.certificate), key=str(files.key), nameServer=server
        )
        address = Multiaddr.parse(by_name(peer.listening[0]))
        connection = await host.connect([address])
        self.assertLess(await ping(connection, urandom(PING_BYTES), self.reactor), COMMAND_SECONDS)
        await self.assertFailure(Deferred.fromCoroutine(stranger.connect([address])), DialError)

    async def test_either_security_is_agreed_on(self) -> None:
        """A dialer that prefers TLS and a listener that has only Noise agree on Noise."""
        host = await self.start_host("tls", "noise")
        peer = await self.start_peer(listen=[TCP], security=["noise"])
        connection = await host.connect([Multiaddr.parse(peer.address())])
        self.assertEqual(connection.security, "/noise")

    async def test_gossipsub_keeps_us_in_its_mesh(self) -> None:
        """The peer grafts us, its messages reach us, and ours reach it."""
        await self.check_pubsub("gossipsub")

    async def test_floodsub_peer(self) -> None:
        """A peer that speaks nothing but floodsub gets our messages and we get its."""
        await self.check_pubsub("floodsub")

    async def check_pubsub(self, kind: str) -> None:
        """A message each way between us and one peer."""
        host = await self.start_host("noise")
        pubsub, received = self.start_pubsub(host)
        peer = await self.start_peer(listen=[TCP], security=["noise"], pubsub=kind)
        await peer.command("subscribe", topic=TOPIC)
        await host.connect([Multiaddr.parse(peer.address())])
        us = [str(host.peer_id)]
        await peer.command("awaitPubsub", topic=TOPIC, subscribers=us, mesh=us if kind == "gossipsub" else [])
        await self.until(lambda: PeerId.parse(peer.peer_id) in pubsub.peers(TOPIC))
        pubsub.publish(TOPIC, b"from us")
        told = await peer.event("message", topic=TOPIC)
        self.assertEqual((told["data"], told["source"]), ("ZnJvbSB1cw==", str(host.peer_id)))
        await peer.command("publish", topic=TOPIC, data="ZnJvbSB0aGVt")
        await peer.command("ping", peer=str(host.peer_id))
        await self.until_received(pubsub, received, 1)
        self.assertEqual((received[0].data, str(received[0].source)), (b"from them", peer.peer_id))

    async def test_newest_gossipsub_is_agreed_on(self) -> None:
        """Both streams speak gossipsub v1.2, the newest that we know."""
        _, (pubsub, _), _ = await self.start_line()
        (remote,) = pubsub._remotes.values()
        assert remote.reader is not None
        self.assertEqual((remote.protocols[0], remote.reader.protocol_id), (GOSSIPSUB_1_2, GOSSIPSUB_1_2))

    async def test_peer_refuses_large_messages(self) -> None:
        """Through the peer comes a large message, and before it the peer's refusal of that message and no other."""
        peer, (left, _), (right, received) = await self.start_line(numbers=iter((5, 6)).__next__)
        for data in (bytes(100), bytes(2000)):
            left.publish(TOPIC, data)
        await self.until_received(right, received, 2)
        refused = right._router._peers[PeerId.parse(peer.peer_id)].unwanted
        for message in received:
            ids = message_ids(message.source, message.seqno.to_bytes(SEQNO_BYTES, "big"), None)
            self.assertEqual(ids in refused, len(message.data) == 2000)

    async def test_peer_heeds_our_refusals(self) -> None:
        """What we have refused the peer does not send us; the next message it does."""
        peer, (left, _), (right, received) = await self.start_line(numbers=iter((5, 6)).__next__)
        author = left._host.peer_id
        refused = message_ids(author, (5).to_bytes(SEQNO_BYTES, "big"), None)
        right._run([SendRpc(PeerId.parse(peer.peer_id), Rpc(idontwant=tuple(refused)))])
        right.publish(TOPIC, b"after the refusal")
        await peer.event("message", topic=TOPIC, source=str(right._host.peer_id))
        left.publish(TOPIC, b"refused")
        await peer.event("message", topic=TOPIC, data=b64encode(b"refused").decode())
        left.publish(TOPIC, b"wanted")
        await self.until_received(right, received, 1)
        self.assertEqual([message.data for message in received], [b"wanted"])

    async def start_line(
        self, numbers: Numbers | None = None
    ) -> tuple[Peer, tuple[PubSub, list[PubSubMessage]], tuple[PubSub, list[PubSubMessage]]]:
        """A peer in the mesh of two hosts of ours that do not know each other; `numbers` are those of the first."""
        peer = await self.start_peer(listen=[TCP], security=["noise"], pubsub="gossipsub")
        await peer.command("subscribe", topic=TOPIC)
        ends = []
        for source in (numbers, None):
            host = await self.start_host("noise")
            ends.append(self.start_pubsub(host, source))
            await host.connect([Multiaddr.parse(peer.address())])
            await peer.command("awaitPubsub", topic=TOPIC, mesh=[str(host.peer_id)])
            await self.until(lambda: PeerId.parse(peer.peer_id) in ends[-1][0].mesh(TOPIC))
        return peer, ends[0], ends[1]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds."""

        def look() -> None:
            if holds():
                looking.stop()

        looking = LoopingCall(look)
        await looking.start(LOOK_AGAIN_SECONDS).addTimeout(COMMAND_SECONDS, self.reactor)

    async def until_received(self, pubsub: PubSub, received: list[PubSubMessage], count: int) -> None:
        """Wait until so many messages have come in."""
        if len(received) >= count:
            return
        enough: Deferred[None] = Deferred()

        def look(_: PubSubMessage) -> None:
            if len(received) >= count and not enough.called:
                enough.callback(None)

        pubsub.subscribe(TOPIC, look)
        await enough.addTimeout(COMMAND_SECONDS, self.reactor)
