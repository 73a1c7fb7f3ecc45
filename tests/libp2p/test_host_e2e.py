"""Hosts over real loopback sockets."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.names import dns
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from nodetrust.libp2p import limits
from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.errors import (
    DialError,
    Libp2pError,
    ListenError,
    NegotiationError,
    StreamReset,
    TlsFailed,
    WrongPeer,
)
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.identify import IDENTIFY, PUSH
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.limits import Limits
from nodetrust.libp2p.message_stream import MessageStream
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.ping import PROTOCOL_ID as PING
from nodetrust.libp2p.ping import ping
from nodetrust.libp2p.records import open_peer_record
from nodetrust.libp2p.tls import TlsSecurity
from nodetrust.libp2p.transports import CertificateStore, sockets
from nodetrust.libp2p.upgrade import MUXERS
from tests.libp2p.throwaway_ca import ThrowawayCa

ECHO = "/test/echo/1.0.0"
SINK = "/test/sink/1.0.0"
NAME = "node.example.org"


def address(text: str) -> Multiaddr:
    return Multiaddr.parse(text)


class NameServer:
    """A resolver that knows one IPv4 address for every name."""

    def lookupAddress(self, name: str, timeout: object = None) -> Deferred[Any]:
        record = dns.Record_A("127.0.0.1")
        return succeed(([dns.RRHeader(name, dns.A, payload=record)], [], []))

    def lookupIPV6Address(self, name: str, timeout: object = None) -> Deferred[Any]:
        return succeed(([], [], []))


class HostCase(TestCase):
    timeout = 120

    def host(self, **options: Any) -> Host:
        host = Host(reactor, PrivateKey.generate(), **options)
        self.addCleanup(host.stop)
        return host

    async def pair(self, listen: str = "/ip4/127.0.0.1/tcp/0", **options: Any) -> tuple[Host, Host, Connection]:
        """A dialing and a listening host, and the dialer's connection."""
        dialer, listener = self.host(), self.host(**options)
        there = await listener.listen(address(listen))
        connection = await dialer.connect([there], listener.peer_id)
        await self.until(listener.connections)
        return dialer, listener, connection

    async def assertPingable(self, connection: Connection) -> None:
        self.assertGreater(await ping(connection, os.urandom(32), reactor), 0)

    async def until(self, condition: Any) -> None:
        while not condition():
            await deferLater(reactor, 0.01)


class ConnectionTests(HostCase):
    """Dialing and listening over every transport."""

    async def test_tcp(self) -> None:
        """A peer that is dialed by its address is the one that was named, and both know the other's socket."""
        dialer, listener, connection = await self.pair()
        await self.assertPingable(connection)
        [accepted] = listener.connections()
        self.assertEqual((listener.peer_id, dialer.peer_id), (connection.remote_peer, accepted.remote_peer))
        self.assertEqual(connection.local_address, accepted.remote_address)
        self.assertEqual(connection.remote_address, listener.addresses()[0])

    async def test_tls(self) -> None:
        """libp2p's TLS carries a connection as well as Noise, where the dialer proposes it."""
        listener = self.host()
        dialer = self.host(securities=[TlsSecurity(key := PrivateKey.generate(), MUXERS, reactor)])
        there = await listener.listen(address("/ip4/127.0.0.1/tcp/0"))
        connection = await dialer.connect([there], listener.peer_id)
        await self.assertPingable(connection)
        self.assertEqual("/tls/1.0.0", connection.security)
        self.assertEqual(key.peer_id, listener.connections()[0].remote_peer)

    async def test_ip6(self) -> None:
        """The same works over IPv6."""
        _, _, connection = await self.pair("/ip6/::1/tcp/0")
        await self.assertPingable(connection)

    async def test_websocket(self) -> None:
        """A plain WebSocket carries a connection, and its addresses say so."""
        _, listener, connection = await self.pair("/ip4/127.0.0.1/tcp/0/ws")
        await self.assertPingable(connection)
        self.assertEqual(connection.remote_address, listener.addresses()[0])
        self.assertTrue(str(listener.connections()[0].remote_address).endswith("/ws"))

    async def secure_listener(self, ca: ThrowawayCa, names: list[str]) -> tuple[Host, int, CertificateStore]:
        store = CertificateStore()
        store.set(names, *ca.issue(names))
        listener = self.host()
        there = await listener.listen(address("/ip4/127.0.0.1/tcp/0/wss"), store)
        self.assertTrue(str(there).endswith("/tls/ws"))
        return listener, int(there.get("tcp") or 0), store

    async def test_secure_websocket_by_name(self) -> None:
        """A name is resolved, sent as SNI, and the certificate checked against it."""
        ca = ThrowawayCa()
        listener, port, _ = await self.secure_listener(ca, [f"*.{NAME}"])
        dialer = self.host(resolver=NameServer(), trust_root=ca.trust_root)
        connection = await dialer.connect([address(f"/dns4/a.{NAME}/tcp/{port}/tls/ws")], listener.peer_id)
        await self.assertPingable(connection)
        self.assertEqual(f"/ip4/127.0.0.1/tcp/{port}/tls/ws", str(connection.remote_address))

    async def test_secure_websocket_by_address_and_sni(self) -> None:
        """An address with a server name is dialed as it stands, and TLS speaks of the name."""
        ca = ThrowawayCa()
        listener, port, _ = await self.secure_listener(ca, [NAME])
        dialer = self.host(trust_root=ca.trust_root)
        there = address(f"/ip4/127.0.0.1/tcp/{port}/tls/sni/{NAME}/ws")
        await self.assertPingable(await dialer.connect([there], listener.peer_id))

    async def test_secure_websocket_by_address(self) -> None:
        """Without any name the certificate must be for the IP address."""
        ca = ThrowawayCa()
        listener, port, _ = await self.secure_listener(ca, ["127.0.0.1"])
        dialer = self.host(trust_root=ca.trust_root)
        await self.assertPingable(await dialer.connect([address(f"/ip4/127.0.0.1/tcp/{port}/wss")], listener.peer_id))

    async def test_wrong_certificate(self) -> None:
        """A certificate for another name, or from an unknown authority, is refused with a reason."""
        ca = ThrowawayCa()
        listener, port, _ = await self.secure_listener(ca, ["other.example.org"])
        there = [address(f"/ip4/127.0.0.1/tcp/{port}/tls/sni/{NAME}/ws")]
        for root in (ca.trust_root, ThrowawayCa().trust_root):
            dialer = self.host(trust_root=root)
            with self.assertRaises(DialError) as caught:
                await dialer.connect(there, listener.peer_id)
            self.assertIn("certificate", str(caught.exception))
            self.assertIsInstance(caught.exception.cause, TlsFailed)

    async def test_renewed_certificate(self) -> None:
        """A certificate set while the listener runs is shown to the next connection; the last one lives on."""
        old_ca, new_ca = ThrowawayCa(), ThrowawayCa()
        listener, port, store = await self.secure_listener(old_ca, [NAME])
        there = [address(f"/ip4/127.0.0.1/tcp/{port}/tls/sni/{NAME}/ws")]
        before = await self.host(trust_root=old_ca.trust_root).connect(there, listener.peer_id)
        store.set([NAME], *new_ca.issue([NAME]))
        after = await self.host(trust_root=new_ca.trust_root).connect(there, listener.peer_id)
        await self.assertPingable(before)
        await self.assertPingable(after)

    async def test_two_names(self) -> None:
        """One listener has a certificate for each of two names, and picks it by SNI."""
        first_ca, second_ca = ThrowawayCa(), ThrowawayCa()
        listener, port, store = await self.secure_listener(first_ca, ["first.example.org"])
        store.set(["second.example.org"], *second_ca.issue(["second.example.org"]))
        for ca, name in ((first_ca, "first.example.org"), (second_ca, "second.example.org")):
            dialer = self.host(trust_root=ca.trust_root)
            await dialer.connect([address(f"/ip4/127.0.0.1/tcp/{port}/tls/sni/{name}/ws")], listener.peer_id)


class DialTests(HostCase):
    """Which connection `connect` leads to."""

    async def test_dead_addresses(self) -> None:
        """The address that works is found among those that refuse, never answer or are nonsense to us."""
        listener, dialer = self.host(), self.host()
        alive = await listener.listen(address("/ip4/127.0.0.1/tcp/0"))
        dead = [
            "/ip4/127.0.0.1/tcp/1",
            "/ip4/192.0.2.1/tcp/1",
            "/ip4/127.0.0.1/udp/1/quic-v1",
            "/ip4/127.0.0.1/tcp/2/ws",
        ]
        connection = await dialer.connect([*map(address, dead), alive], listener.peer_id)
        await self.assertPingable(connection)

    async def test_name_of_the_system(self) -> None:
        """Without a resolver of ours, names are looked up as the system does."""
        listener, dialer = self.host(), self.host()
        there = await listener.listen(address("/ip4/127.0.0.1/tcp/0"))
        connection = await dialer.connect([address(f"/dns4/localhost/tcp/{there.get('tcp')}")], listener.peer_id)
        await self.assertPingable(connection)

    async def test_a_source_that_cannot_be_had(self) -> None:
        """The address may have just gone, or nothing may be bound: then the system chooses from where to dial."""
        asked: list[str] = []
        self.patch(sockets, "bind_address", lambda place: asked.append(place) or ("2001:db8::1", 0))
        _, _, connection = await self.pair("/ip6/::1/tcp/0")
        self.assertEqual(["::1"], asked)
        await self.assertPingable(connection)

    async def test_nothing_works(self) -> None:
        """If no address works, the error names each."""
        dead = ["/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/udp/1/quic-v1"]
        with self.assertRaises(DialError) as caught:
            await self.host().connect([*map(address, dead)], PrivateKey.generate().peer_id)
        for text in dead:
            self.assertIn(text, str(caught.exception))

    async def test_reuse_and_sharing(self) -> None:
        """Simultaneous dials of a peer share one connection, and later ones use it."""
        dialer, listener = self.host(), self.host()
        there = (await listener.listen(address("/ip4/127.0.0.1/tcp/0"))).with_peer_id(listener.peer_id)
        dials = [Deferred.fromCoroutine(dialer.connect([there])) for _ in range(3)]
        found = {*(await gatherResults(dials)), await dialer.connect([there])}
        self.assertEqual(1, len(found))
        await self.until(listener.connections)
        self.assertEqual(1, len(listener.connections()))

    async def test_anew(self) -> None:
        """Who asks for a new connection gets one beside the live one."""
        dialer, listener, connection = await self.pair()
        again = await dialer.connect(listener.addresses(), listener.peer_id, anew=True)
        self.assertEqual([connection, again], dialer.connections())
        await self.assertPingable(again)

    async def test_anew_and_given_up(self) -> None:
        """Nobody has a connection whose only caller wants it no more: it is closed as soon as it is there."""
        dialer, listener, connection = await self.pair()
        closed: list[Connection] = []
        dialer.on_disconnected(closed.append)
        dial = Deferred.fromCoroutine(dialer.connect(listener.addresses(), listener.peer_id, anew=True))
        dial.cancel()
        await self.assertFailure(dial, CancelledError)
        await self.until(lambda: closed)
        self.assertEqual([connection], dialer.connections())

    async def test_brief_connection(self) -> None:
        """Others, who would lose it, are not given it beside another one; afterwards it is closed."""
        dialer, listener, connection = await self.pair()
        async with dialer.brief_connection(listener.addresses(), listener.peer_id) as brief:
            self.assertEqual([connection, brief], dialer.connections())
            self.assertIs(connection, await dialer.connect(listener.addresses(), listener.peer_id))
            stream = await dialer.open_stream(listener.peer_id, [PING])
            self.assertIs(connection, stream.connection)
            await self.assertPingable(brief)
        self.assertEqual([connection], dialer.connections())
        self.assertIn(PING, connection.spoken())

    async def test_brief_connection_alone(self) -> None:
        """The only one serves everybody, and stays."""
        dialer, listener, connection = await self.pair()
        await connection.close()
        async with dialer.brief_connection(listener.addresses(), listener.peer_id) as brief:
            self.assertIs(brief, await dialer.connect(listener.addresses(), listener.peer_id))
        newer = await dialer.connect(listener.addresses(), listener.peer_id, anew=True)
        self.assertEqual([brief, newer], dialer.connections())
        stream = await dialer.open_stream(listener.peer_id, [PING])
        self.assertIs(newer, stream.connection)

    async def test_closing_connection(self) -> None:
        """A connection that is being closed is not given out any more."""
        dialer, listener, connection = await self.pair()
        closing = connection.close()
        self.assertEqual([], dialer.connections())
        again = await dialer.connect(listener.addresses(), listener.peer_id)
        self.assertIsNot(connection, again)
        await closing
        await self.assertPingable(again)

    async def test_wrong_peer(self) -> None:
        """A peer other than the expected one is no connection."""
        listener, dialer = self.host(), self.host()
        there = await listener.listen(address("/ip4/127.0.0.1/tcp/0"))
        with self.assertRaises(DialError) as caught:
            await dialer.connect([there], PrivateKey.generate().peer_id)
        self.assertIsInstance(caught.exception.cause, WrongPeer)
        self.assertEqual([], dialer.connections())

    async def test_ourselves(self) -> None:
        """We don't dial ourselves, neither by name nor by mistake."""
        host = self.host()
        there = await host.listen(address("/ip4/127.0.0.1/tcp/0"))
        for peer_id in (host.peer_id, None):
            with self.assertRaises(DialError):
                await host.connect([there], peer_id)
        self.assertEqual([], host.connections())

    async def test_port_taken(self) -> None:
        """An address that is taken is a clear error."""
        first, second = self.host(), self.host()
        there = await first.listen(address("/ip4/127.0.0.1/tcp/0"))
        with self.assertRaisesRegex(ListenError, str(there)):
            await second.listen(there)

    async def test_too_many_handshakes(self) -> None:
        """Sockets that say nothing keep nobody out: the oldest makes room for the next, and known peers are safe."""
        _, listener, _ = await self.pair(limits=Limits(handshakes=1))
        [known] = listener.connections()
        port = int(listener.addresses()[0].get("tcp") or 0)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        first, second = Recorder(), Recorder()
        for protocol in (first, second):
            await endpoint.connect(Factory.forProtocol(lambda protocol=protocol: protocol))
        await first.lost
        self.assertTrue(second.transport.connected)
        honest = self.host()
        await honest.connect(listener.addresses(), listener.peer_id)
        await second.lost
        self.assertFalse(known.closed)

    async def test_too_many_connections(self) -> None:
        """Where all places are taken by peers, a newcomer gets the place of one that is idle, and else none."""
        self.patch(limits, "MIN_IDLE_SECONDS", 0.2)
        _, listener, connection = await self.pair(limits=Limits(inbound_connections=1))
        [accepted] = listener.connections()
        used = await connection.open_stream([PING])
        early, late = self.host(), self.host()
        refused = await early.connect(listener.addresses(), listener.peer_id)
        await refused.when_closed()
        self.assertFalse(connection.closed)
        used.abortConnection()
        await self.until(lambda: not accepted._session.streams)
        await deferLater(reactor, 0.3)
        welcome = await late.connect(listener.addresses(), listener.peer_id)
        await connection.when_closed()
        self.assertFalse(welcome.closed)


@implementer(IHalfCloseableProtocol)
class Recorder(Protocol):
    """Collects what it gets; `lost` fires with the reason of the end."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.lost: Deferred[Any] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def readConnectionLost(self) -> None:
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Any) -> None:
        self.lost.callback(reason.value)


class SlowSink(Protocol):
    """Reads a little, pauses a little."""

    def __init__(self, pause_seconds: float) -> None:
        self.digest = hashlib.sha256()
        self.size = self.largest = 0
        self.lost: Deferred[Any] = Deferred()
        self._pause_seconds = pause_seconds

    def dataReceived(self, data: bytes) -> None:
        self.digest.update(data)
        self.size += len(data)
        self.transport.pauseProducing()
        reactor.callLater(self._pause_seconds, self.transport.resumeProducing)

    def connectionLost(self, reason: Any) -> None:
        self.lost.callback(reason.value)


class Source:
    """A pull producer of so many pieces; notes how far it got."""

    def __init__(self, stream: Any, pieces: int) -> None:
        self.piece = os.urandom(60_000)
        self.left = pieces
        self._stream = stream

    def resumeProducing(self) -> None:
        if self.left:
            self.left -= 1
            self._stream.write(self.piece)
        else:
            self._stream.unregisterProducer()
            self._stream.loseConnection()

    def stopProducing(self) -> None:
        self.left = 0


class StreamTests(HostCase):
    """Streams between hosts."""

    async def echo(self, messages: MessageStream) -> None:
        messages.write(await messages.read())

    async def test_messages(self) -> None:
        """A coroutine answers requests, many streams at once, whether or not its protocol is waited for."""
        dialer, listener, _ = await self.pair()
        listener.handle_messages(ECHO, self.echo, 100)

        async def ask(number: int) -> bytes:
            messages = await dialer.open_messages(listener.peer_id, [ECHO], 100, 5, lazy=number % 2 == 0)
            messages.write(b"%d" % number)
            answer = await messages.read()
            messages.close()
            return answer

        for _ in range(10):
            answers = await gatherResults([Deferred.fromCoroutine(ask(n)) for n in range(20)])
            self.assertEqual([b"%d" % n for n in range(20)], answers)

    async def test_unknown_protocol(self) -> None:
        """A protocol that nobody speaks is refused, also when it was taken for granted."""
        _, _, connection = await self.pair()
        with self.assertRaises(NegotiationError):
            await connection.open_stream(["/nobody/speaks/this"])
        stream = await connection.open_stream(["/nobody/speaks/this"], lazy=True)
        recorder = Recorder()
        stream.attach(recorder)
        self.assertIsInstance(await recorder.lost, NegotiationError)
        await self.assertPingable(connection)

    async def test_peers_fault(self) -> None:
        """A request that is too long resets its stream, without a word in the log; the connection stays usable."""
        dialer, listener, connection = await self.pair()
        listener.handle_messages(ECHO, self.echo, 10)
        messages = await dialer.open_messages(listener.peer_id, [ECHO], 100, 5)
        messages.write(bytes(11))
        with self.assertRaises(StreamReset):
            await messages.read()
        await self.assertPingable(connection)

    async def test_our_fault(self) -> None:
        """A bug in a request handler resets its stream and is logged as a failure."""

        async def bug(messages: MessageStream) -> None:
            raise RuntimeError("a bug")

        dialer, listener, _ = await self.pair()
        listener.handle_messages(ECHO, bug, 10)
        with self.assertRaises(Libp2pError):
            await (await dialer.open_messages(listener.peer_id, [ECHO], 100, 5)).read()
        self.assertEqual(1, len(self.flushLoggedErrors(RuntimeError)))

    async def test_too_many_requests(self) -> None:
        """Beyond the limit for a connection, streams of a request protocol are reset, until one is done."""
        release: Deferred[None] = Deferred()

        async def wait(messages: MessageStream) -> None:
            await release
            messages.write(b"done")

        dialer, listener, _ = await self.pair(limits=Limits(requests_per_connection=1))
        listener.handle_messages(ECHO, wait, 10)
        first = await dialer.open_messages(listener.peer_id, [ECHO], 100, 5)
        with self.assertRaises(Libp2pError):
            await (await dialer.open_messages(listener.peer_id, [ECHO], 100, 5)).read()
        release.callback(None)
        self.assertEqual(b"done", await first.read())

    async def transfer(self, listen: str) -> None:
        _, listener, connection = await self.pair(listen)
        sink = SlowSink(0.001)
        factory = Factory()
        factory.buildProtocol = lambda _: sink
        listener.handle(SINK, factory)
        stream = await connection.open_stream([SINK])
        stream.attach(Protocol())
        source = Source(stream, pieces := 50)
        stream.registerProducer(source, False)
        self.assertIsInstance(await sink.lost, ConnectionDone)
        self.assertEqual(pieces * len(source.piece), sink.size)
        self.assertEqual(hashlib.sha256(source.piece * pieces).digest(), sink.digest.digest())

    async def test_slow_reader_tcp(self) -> None:
        """A transfer to a slow reader arrives whole."""
        await self.transfer("/ip4/127.0.0.1/tcp/0")

    async def test_slow_reader_websocket(self) -> None:
        """The same over WebSocket."""
        await self.transfer("/ip4/127.0.0.1/tcp/0/ws")

    async def test_reader_that_reads_nothing(self) -> None:
        """A reader that has paused stops the sender after one window; another stream goes on."""
        _, listener, connection = await self.pair()
        sink = SlowSink(1e6)
        factory = Factory()
        factory.buildProtocol = lambda _: sink
        listener.handle(SINK, factory)
        stream = await connection.open_stream([SINK])
        stream.attach(Protocol())
        source = Source(stream, 100)
        stream.registerProducer(source, False)
        for _ in range(5):
            await self.assertPingable(connection)
        self.assertGreater(source.left, 100 - 2 - 262144 // len(source.piece) - 2)
        for call in reactor.getDelayedCalls():
            if call.getTime() - reactor.seconds() > 1e5:
                call.cancel()


class IdentifyTests(HostCase):
    """What the two ends learn of each other."""

    async def test_both_sides(self) -> None:
        """Each side learns the other's protocols, addresses and agent, and where the other sees it."""
        _, listener, connection = await self.pair(agent_version="tester/1")
        [accepted] = listener.connections()
        await self.until(lambda: connection.remote_identify and accepted.remote_identify)
        told = connection.remote_identify
        self.assertEqual(("tester/1", "ipfs/0.1.0"), (told.agent_version, told.protocol_version))
        self.assertEqual(tuple(listener.addresses()), told.listen_addresses)
        self.assertEqual(accepted.remote_address, told.observed_address)
        self.assertLessEqual({IDENTIFY, PUSH, "/ipfs/ping/1.0.0"}, set(told.protocols))
        record = open_peer_record(told.signed_record)
        self.assertEqual((listener.peer_id, tuple(listener.addresses())), (record.peer_id, record.addresses))

    async def test_push(self) -> None:
        """A new protocol and new addresses are pushed to the peers that are connected."""
        _, listener, connection = await self.pair()
        [accepted] = listener.connections()
        await self.until(lambda: connection.remote_identify and accepted.remote_identify)
        listener.handle_messages(ECHO, _nothing, 10)
        listener.announce([address("/ip4/127.0.0.1/tcp/4001")])
        await self.until(lambda: ECHO in connection.remote_identify.protocols)
        self.assertEqual((address("/ip4/127.0.0.1/tcp/4001"),), connection.remote_identify.listen_addresses)

    async def test_observers(self) -> None:
        """Those who asked are told of connections, of what a peer says, and of the end."""
        seen: list[tuple[str, Connection]] = []
        dialer, listener = self.host(), self.host()
        dialer.on_connected(lambda connection: seen.append(("connected", connection)))
        dialer.on_identified(lambda connection: seen.append(("identified", connection)))
        dialer.on_disconnected(lambda connection: seen.append(("disconnected", connection)))
        connection = await dialer.connect([await listener.listen(address("/ip4/127.0.0.1/tcp/0"))])
        await self.until(lambda: len(seen) == 2)
        await connection.close()
        self.assertEqual([(what, connection) for what in ("connected", "identified", "disconnected")], seen)


async def _nothing(messages: MessageStream) -> None:
    pass


class StopTests(HostCase):
    """`stop` leaves nothing behind; the reactor would complain."""

    async def test_everything_is_closed(self) -> None:
        """Both ends' connections are gone, and the other side's protocols hear of it."""
        dialer, listener, connection = await self.pair()
        listener.handle(SINK, Factory.forProtocol(Protocol))
        recorder = Recorder()
        (await connection.open_stream([SINK])).attach(recorder)
        await listener.stop()
        self.assertEqual([], listener.connections())
        await recorder.lost
        await self.until(lambda: not dialer.connections())

    async def test_more_than_once(self) -> None:
        """Whoever asks for the end, even from within it, hears of it when it has come."""
        _, listener, _ = await self.pair()
        asked: list[Deferred[None]] = []
        listener.on_disconnected(lambda _: asked.append(listener.stop()))
        first = listener.stop()
        await gatherResults([first, listener.stop()])
        await gatherResults([*asked, listener.stop()])
        self.assertEqual(1, len(asked))

    async def test_while_dialing(self) -> None:
        """A dial that is under way when the host stops fails, and so does a later one."""
        listener, dialer = self.host(), self.host()
        there = await listener.listen(address("/ip4/127.0.0.1/tcp/0"))
        dial = Deferred.fromCoroutine(dialer.connect([there, address("/ip4/192.0.2.1/tcp/1")]))
        await dialer.stop()
        for late in (dial, Deferred.fromCoroutine(dialer.connect([there]))):
            with self.assertRaises(Libp2pError):
                await late

    async def test_during_handshakes(self) -> None:
        """Sockets whose handshake is not over are dropped, whatever their transport."""
        host = self.host()
        store = CertificateStore()
        store.set([NAME], *ThrowawayCa().issue([NAME]))
        silent = []
        for listen in ("/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/0/ws", "/ip4/127.0.0.1/tcp/0/tls/ws"):
            there = await host.listen(address(listen), store)
            endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", int(there.get("tcp") or 0))
            silent.append(await endpoint.connect(Factory.forProtocol(Recorder)))
        await deferLater(reactor, 0.05)
        await host.stop()
        await gatherResults([recorder.lost for recorder in silent])


class GarbageTests(HostCase):
    """What is not libp2p is cut off, and the listener goes on."""

    async def talk(self, port: int, data: bytes) -> bytes:
        recorder = Recorder()
        await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(Factory.forProtocol(lambda: recorder))
        recorder.transport.write(data)
        await recorder.lost
        return bytes(recorder.received)

    async def test_http(self) -> None:
        """A web browser on the WebSocket port gets a 404 page; bad requests get an error of their own."""
        _, listener, connection = await self.pair("/ip4/127.0.0.1/tcp/0/ws")
        port = int(listener.addresses()[0].get("tcp") or 0)
        page = await self.talk(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertTrue(page.startswith(b"HTTP/1.1 404 Not Found\r\n"), page)
        page = await self.talk(port, b"POST / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertTrue(page.startswith(b"HTTP/1.1 404 Not Found\r\n"), page)
        page = await self.talk(port, b"\xff\x00\r\n\r\n")
        self.assertTrue(page.startswith(b"HTTP/1.1 400 Bad Request\r\n"), page)
        await self.talk(port, b"GET / HTTP/1.1\r\nX: " + bytes(9000))
        await self.assertPingable(connection)

    async def test_noise(self) -> None:
        """Random bytes end a TCP connection without a word in the log."""
        _, listener, connection = await self.pair()
        port = int(listener.addresses()[0].get("tcp") or 0)
        negotiated = b"\x13/multistream/1.0.0\n\x07/noise\n"
        for data in (
            b"GET / HTTP/1.1\r\nHost: x" + bytes(99),
            b"\xff\xff" + os.urandom(5000),
            negotiated + b"\x00\x01x",
        ):
            await self.talk(port, data)
        await self.assertPingable(connection)


class Cutter(Protocol):
    """One side of a forwarder that aborts both sides after so many bytes."""

    def __init__(self, left: list[int], other: Cutter | None = None) -> None:
        self.other = other
        self._left = left

    def dataReceived(self, data: bytes) -> None:
        piece = data[: max(0, self._left[0])]
        self._left[0] -= len(data)
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(piece)
        if self._left[0] <= 0:
            for side in (self, self.other):
                if side is not None and side.transport is not None:
                    side.transport.abortConnection()

    def connectionLost(self, reason: Any) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.loseConnection()


class CutTests(HostCase):
    """A connection that breaks at any byte leaves nothing in the log, and both hosts usable."""

    async def cut_at(self, port: int, size: int, listener: Host, dialer: Host, suffix: str) -> None:
        left = [size]

        class Forward(Factory):
            noisy = False

            def buildProtocol(self, addr: Any) -> Cutter:
                near = Cutter(left)
                far = near.other = Cutter(left, near)
                TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(Factory.forProtocol(lambda: far)).addErrback(
                    lambda _: None
                )
                return near

        proxy = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Forward())
        there = address(f"/ip4/127.0.0.1/tcp/{proxy.getHost().port}{suffix}")
        try:
            connection = await dialer.connect([there], listener.peer_id)
            await ping(connection, os.urandom(32), reactor)
            await connection.close()
        except Libp2pError:
            pass
        await proxy.stopListening()

    async def cut_everywhere(self, suffix: str, sizes: range) -> None:
        ca = ThrowawayCa()
        store = CertificateStore()
        store.set([NAME], *ca.issue([NAME]))
        listener, dialer = self.host(), self.host(trust_root=ca.trust_root)
        there = await listener.listen(address(f"/ip4/127.0.0.1/tcp/0{suffix}"), store)
        for size in sizes:
            await self.cut_at(int(there.get("tcp") or 0), size, listener, dialer, suffix)
        await self.until(lambda: not listener.connections() and not dialer.connections())
        await self.assertPingable(await dialer.connect([there], listener.peer_id))

    async def test_tcp(self) -> None:
        """In multistream, Noise, yamux and the first streams."""
        await self.cut_everywhere("", range(1, 3500, 61))

    async def test_websocket(self) -> None:
        """And in the HTTP upgrade."""
        await self.cut_everywhere("/ws", range(1, 4000, 97))

    async def test_secure_websocket(self) -> None:
        """And in TLS."""
        await self.cut_everywhere(f"/tls/sni/{NAME}/ws", range(1, 7000, 197))
