"""The TCP protocol on a fake transport and clock."""

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.respond import Responder, respond
from nodetrust.dns.transport.tcp import DnsStream, DnsStreamFactory
from tests.dns.example import authority
from tests.dns.test_wire import QUESTION, packet

WORLD = authority()
ANSWER = respond(packet(), WORLD, 0.0, udp=False)


def framed(message: bytes) -> bytes:
    """A message behind its length."""
    return len(message).to_bytes(2, "big") + message


class DnsStreamTests(SynchronousTestCase):
    """`DnsStream` and its factory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.factory = DnsStreamFactory(Responder(WORLD, self.clock.seconds), self.clock, max_connections=3)
        self.stream, self.transport = self.connect()

    def connect(self) -> tuple[DnsStream, StringTransport]:
        stream = self.factory.buildProtocol(None)
        assert isinstance(stream, DnsStream)
        transport = StringTransport()
        stream.makeConnection(transport)
        return stream, transport

    def lose(self, stream: DnsStream) -> None:
        stream.connectionLost(Failure(ConnectionDone()))

    def test_pipelined(self) -> None:
        """Queries that arrive together are answered in their order."""
        other = packet(QUESTION.replace(b"1-2-3-4", b"4-3-2-1"))
        self.stream.dataReceived(framed(packet()) + framed(other) + framed(packet()))
        expected = [packet(), other, packet()]
        self.assertEqual(
            self.transport.value(), b"".join(framed(respond(query, WORLD, 0, udp=False)) for query in expected)
        )

    def test_byte_by_byte(self) -> None:
        """Pieces of any size give the same answers."""
        for octet in framed(packet()) * 3:
            self.stream.dataReceived(bytes((octet,)))
        self.assertEqual(self.transport.value(), framed(ANSWER) * 3)

    def test_large_answers(self) -> None:
        """What UDP would truncate is whole here."""
        self.stream.dataReceived(framed(packet(b"\3big\2nt\4test\0\0\x10\0\1")))
        self.assertGreater(len(self.transport.value()), 700)

    def test_unreadable_queries_are_refused_in_order(self) -> None:
        """A query with a bad question gets its FORMERR, and the connection goes on."""
        self.stream.dataReceived(framed(packet(b"\xc0\x0c\0\1\0\1")) + framed(packet()))
        self.assertEqual(self.transport.value()[2:6], b"\x12\x34\x81\x01")
        self.assertTrue(self.transport.value().endswith(framed(ANSWER)))

    def test_nonsense_ends_the_connection(self) -> None:
        """A length of zero, too short or too long, or a response, ends the connection; what went before is answered."""
        for nonsense in (b"\0\0", b"\0\x0bxx", b"\xff\xff", b"\x10\x01", framed(packet(flags=0x8000))):
            stream, transport = self.connect()
            stream.dataReceived(framed(packet()) + nonsense + framed(packet()))
            self.assertTrue(transport.disconnected, nonsense)
            self.assertEqual(transport.value(), framed(ANSWER))
            self.lose(stream)

    def test_first_byte_is_due(self) -> None:
        """A connection without a query is closed after three seconds."""
        self.clock.advance(2.9)
        self.assertFalse(self.transport.disconnected)
        self.clock.advance(0.2)
        self.assertTrue(self.transport.disconnected)

    def test_message_is_due(self) -> None:
        """A message that has begun must end within three seconds, however its pieces arrive."""
        self.stream.dataReceived(framed(packet()))
        self.clock.advance(5)
        for octet in framed(packet())[:5]:
            self.assertFalse(self.transport.disconnected)
            self.stream.dataReceived(bytes((octet,)))
            self.clock.advance(0.7)
        self.assertTrue(self.transport.disconnected)

    def test_idle_connections_end(self) -> None:
        """Between queries a connection lives for ten seconds."""
        for _ in range(3):
            self.stream.dataReceived(framed(packet()))
            self.clock.advance(9.9)
            self.assertFalse(self.transport.disconnected)
        self.clock.advance(0.2)
        self.assertTrue(self.transport.disconnected)

    def test_slow_reader(self) -> None:
        """While the peer does not read, nothing is answered or read; when it reads on, nothing has been lost."""
        self.stream.dataReceived(framed(packet()))
        self.transport.producer.pauseProducing()
        self.stream.dataReceived(framed(packet()) * 2)
        self.assertEqual((self.transport.value(), self.transport.producerState), (framed(ANSWER), "paused"))
        self.clock.advance(9)
        self.transport.producer.resumeProducing()
        self.assertEqual((self.transport.value(), self.transport.producerState), (framed(ANSWER) * 3, "producing"))
        self.clock.advance(9)
        self.assertFalse(self.transport.disconnected)

    def test_stalled_reader(self) -> None:
        """A peer that leaves our answers unread for ten seconds is cut off."""
        self.stream.dataReceived(framed(packet()))
        self.transport.producer.pauseProducing()
        self.clock.advance(10.1)
        self.assertTrue(self.transport.disconnected)

    def test_answers_stop_when_the_buffer_is_full(self) -> None:
        """The write that fills the buffer is the last: the other queries of the same read wait."""
        write = self.transport.write

        def full(data: bytes) -> None:
            write(data)
            self.stream.pauseProducing()

        self.transport.write = full
        self.stream.dataReceived(framed(packet()) * 5)
        self.assertEqual(self.transport.value(), framed(ANSWER))
        self.stream.resumeProducing()
        self.assertEqual(self.transport.value(), framed(ANSWER) * 2)

    def test_half_close(self) -> None:
        """A peer that has no more queries gets its answers, then the end."""
        self.stream.dataReceived(framed(packet()))
        self.stream.readConnectionLost()
        self.assertEqual((self.transport.value(), self.transport.disconnecting), (framed(ANSWER), True))

    def test_half_close_of_a_slow_reader(self) -> None:
        """Queries that wait for a slow reader are answered before the end."""
        self.stream.pauseProducing()
        self.stream.dataReceived(framed(packet()))
        self.stream.readConnectionLost()
        self.assertFalse(self.transport.disconnecting)
        self.stream.resumeProducing()
        self.assertEqual((self.transport.value(), self.transport.disconnecting), (framed(ANSWER), True))

    def test_too_many(self) -> None:
        """Another connection than the factory allows ends the one that was used least recently."""
        second, second_transport = self.connect()
        _, third_transport = self.connect()
        self.stream.dataReceived(b"\0")
        _, fourth_transport = self.connect()
        found = [t.disconnected for t in (self.transport, second_transport, third_transport, fourth_transport)]
        self.assertEqual(found, [False, True, False, False])
        self.lose(second)
        self.assertEqual(len(self.factory.connections), 3)

    def connect_from(self, host: str) -> tuple[DnsStream, StringTransport]:
        address = IPv6Address("TCP", host, 4000) if ":" in host else IPv4Address("TCP", host, 4000)
        stream = self.factory.buildProtocol(address)
        assert isinstance(stream, DnsStream)
        transport = StringTransport(peerAddress=address)
        stream.makeConnection(transport)
        return stream, transport

    def test_too_many_of_one_client(self) -> None:
        """A client with more connections than it may have loses its own idlest; an IPv6 client is its /56."""
        for first, second, other in (
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"),
            ("2001:db8:0:1::1", "2001:db8:0:ff::2", "2001:db8:0:100::1"),
        ):
            self.factory = DnsStreamFactory(self.factory.responder, self.clock, max_connections=10, max_per_client=2)
            connected = [self.connect_from(host) for host in (first, other, second, second)]
            self.assertEqual([t.disconnected for _, t in connected], [True, False, False, False], first)
            connected[2][0].dataReceived(framed(packet()))
            connected.append(self.connect_from(first))
            self.assertEqual([t.disconnected for _, t in connected], [True, False, False, True, False], first)
            for stream, _ in connected:
                self.lose(stream)
            self.assertEqual(self.factory._by_client, {})

    def test_thousands_of_idle_connections(self) -> None:
        """Idle connections of many clients neither add up nor keep a new one from its answer."""
        self.factory = DnsStreamFactory(self.factory.responder, self.clock, max_connections=100)
        idle = [self.connect_from(f"10.0.{n // 250}.{n % 250}") for n in range(5000)]
        self.assertEqual(sum(not transport.disconnected for _, transport in idle), 100)
        stream, transport = self.connect_from("192.0.2.1")
        stream.dataReceived(framed(packet()))
        self.assertEqual(transport.value(), framed(ANSWER))
        self.clock.advance(3.1)
        self.assertEqual([transport for _, transport in idle if not transport.disconnected], [])
        self.assertFalse(transport.disconnected)

    def test_evicted_are_counted(self) -> None:
        """Who had to go for others is counted, and every connection that came."""
        for _ in range(4):
            self.connect()
        counters = self.factory.responder.counters
        self.assertEqual((counters.tcp_accepted, counters.tcp_evicted), (5, 2))

    def test_nothing_is_left(self) -> None:
        """A lost connection leaves no timer and no entry."""
        self.stream.dataReceived(b"\0")
        self.lose(self.stream)
        self.assertEqual((self.clock.getDelayedCalls(), len(self.factory.connections)), ([], 0))

    def test_close_all(self) -> None:
        """The end of the server is the end of its connections."""
        self.factory.close_all()
        self.assertTrue(self.transport.disconnected)
