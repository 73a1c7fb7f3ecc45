"""The UDP port, on real loopback sockets and a fake reactor: what is read and sent is the operating system's doing."""

import errno
import socket
from unittest import skipUnless

from twisted.internet.interfaces import IListeningPort, IReadDescriptor
from twisted.internet.main import CONNECTION_LOST
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from nodetrust.dns.respond import Responder
from nodetrust.dns.transport import mmsg
from nodetrust.dns.transport.exchange import BATCH, Exchange, OneByOne
from nodetrust.dns.transport.udp import LINGER_SECONDS, UdpPort
from tests.dns.example import authority
from tests.dns.fast.test_path import message, question
from tests.dns.test_wire import packet

ANSWER_END = b"\1\2\3\4"


def bound(family: socket.AddressFamily = socket.AF_INET, *, shared: bool = False, port: int = 0) -> socket.socket:
    """A non-blocking UDP socket on loopback."""
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.setblocking(False)
    if shared:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", port))
    return made


def with_id(number: int) -> bytes:
    """A query whose ID is `number`."""
    return number.to_bytes(2, "big") + packet()[2:]


class ExchangeTests:
    """What every `Exchange` does."""

    def make(self, udp: socket.socket, responder: Responder) -> Exchange:
        raise NotImplementedError

    def setUp(self) -> None:
        self.responder = Responder(authority(), lambda: 0.0)
        self.set_up_sockets(socket.AF_INET)

    def set_up_sockets(self, family: socket.AddressFamily) -> None:
        self.server = bound(family)
        self.clients = [bound(family) for _ in range(2)]
        for one in (self.server, *self.clients):
            self.addCleanup(one.close)
        self.exchange = self.make(self.server, self.responder)

    def ask(self, *messages: tuple[int, bytes]) -> None:
        """Each message from the client of that number."""
        for number, one in messages:
            self.clients[number].sendto(one, self.server.getsockname())

    def answers(self, number: int) -> list[bytes]:
        """What a client has got."""
        got = []
        while True:
            try:
                got.append(self.clients[number].recv(5000))
            except BlockingIOError:
                return got

    def test_answers_where_it_came_from(self) -> None:
        """Each query is answered to its sender, with its own ID, over IPv4 and IPv6."""
        for family in (socket.AF_INET, socket.AF_INET6):
            self.set_up_sockets(family)
            self.ask((0, with_id(1)), (1, with_id(2)), (0, with_id(3)))
            self.assertEqual(self.exchange.exchange(), 3)
            self.assertEqual([answer[:2] for answer in self.answers(0)], [b"\0\1", b"\0\3"])
            (answer,) = self.answers(1)
            self.assertEqual((answer[:2], answer[-4:]), (b"\0\2", ANSWER_END))
        self.assertEqual(self.responder.counters.answered, 6)

    def test_answers_from_where_it_was_asked(self) -> None:
        """On a socket for every address, an answer comes from the one that the query went to."""
        for family, every, asked in ((socket.AF_INET, "0.0.0.0", "127.0.0.2"), (socket.AF_INET6, "::", "::1")):
            with socket.socket(family, socket.SOCK_DGRAM) as server, bound(family) as client:
                server.setblocking(False)
                server.bind((every, 0))
                exchange = self.make(server, self.responder)
                client.connect((asked, server.getsockname()[1]))  # it takes datagrams from there alone
                for number in (1, 2):
                    client.send(with_id(number))
                    self.assertEqual(exchange.exchange(), 1)
                    self.assertEqual(client.recv(500)[:2], number.to_bytes(2, "big"))

    def test_both_families(self) -> None:
        """A socket for every address answers IPv4 too, from where it was asked."""
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server, bound() as client:
            server.setblocking(False)
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            server.bind(("::", 0))
            exchange = self.make(server, self.responder)
            client.connect(("127.0.0.2", server.getsockname()[1]))
            client.send(with_id(1))
            exchange.exchange()
            self.assertEqual(client.recv(500)[:2], b"\0\1")

    def test_silence_between_answers(self) -> None:
        """Responses and scraps get nothing, wherever in a batch they stand; what is cut off is refused."""
        response, scrap = packet(flags=0x8000), b"short"
        self.ask((0, response), (0, with_id(1)), (0, scrap), (0, response), (1, with_id(2)), (0, b""), (0, with_id(3)))
        self.ask((1, with_id(4) + b"\0" * 5000), (1, response))
        self.exchange.exchange()
        self.assertEqual([answer[:2] for answer in self.answers(0)], [b"\0\1", b"\0\3"])
        answer, refusal = self.answers(1)
        self.assertEqual((answer[:2], refusal[:2], len(refusal)), (b"\0\2", b"\0\4", 12))
        self.assertEqual((self.responder.counters.dropped, self.responder.counters.refused), (5, 1))

    def test_nothing_there(self) -> None:
        """An empty queue, or the echo of an answer that nobody waited for, is no error."""
        self.assertEqual(self.exchange.exchange(), 0)
        self.ask((0, with_id(1)))
        self.clients[0].close()
        self.exchange.exchange()
        self.assertEqual(self.exchange.exchange(), 0)

    def test_batches(self) -> None:
        """One call takes a bounded number, so that others have their turn; the next takes the rest."""
        self.ask(*((0, with_id(number)) for number in range(BATCH + 3)))
        self.assertEqual((self.exchange.exchange(), self.exchange.exchange()), (BATCH, 3))
        self.assertEqual([int.from_bytes(answer[:2], "big") for answer in self.answers(0)], list(range(BATCH + 3)))

    def test_long_and_short(self) -> None:
        """Answers of different lengths in one batch are each whole."""
        big = message(question(b"ns1.nt.test", 28))
        self.ask((0, with_id(1)), (0, big), (0, with_id(2)))
        self.exchange.exchange()
        sizes = [len(answer) for answer in self.answers(0)]
        self.assertEqual(sizes[0], sizes[2])
        self.assertNotEqual(sizes[0], sizes[1])

    def test_sources(self) -> None:
        """The responder is told the address of each, 4 or 16 octets."""
        for family, expected in ((socket.AF_INET, b"\x7f\0\0\1"), (socket.AF_INET6, b"\0" * 15 + b"\1")):
            self.set_up_sockets(family)
            seen: list[bytes] = []

            def watch(packets: list[bytes], sources: list[bytes], seen: list[bytes] = seen) -> list[None]:
                seen.extend(sources)
                return [None] * len(packets)

            self.patch(self.responder, "respond_all", watch)
            self.ask((0, b"a"), (1, b"b"))
            self.exchange.exchange()
            self.assertEqual(seen, [expected] * 2)

    def test_a_broken_socket(self) -> None:
        """When nothing can be read any more that is an error."""
        self.server.close()
        self.assertRaises(OSError, self.exchange.exchange)


class OneByOneTests(ExchangeTests, SynchronousTestCase):
    """`OneByOne`."""

    make = staticmethod(OneByOne)

    def test_forged_ports_and_failures(self) -> None:
        """Port 0 is nobody's; what the system does not take is counted, and the next query is answered."""
        waiting = [(packet(), [], 0, ("192.0.2.7", port)) for port in (0, 1, 2)]
        sent = []

        class Socket:
            family = socket.AF_INET

            def getsockname(self) -> tuple[str, int]:
                return "192.0.2.1", 53

            def recvmsg(self, size: int, control_size: int) -> tuple[bytes, list[object], int, tuple[str, int]]:
                if not waiting:
                    raise BlockingIOError(errno.EAGAIN, "")
                return waiting.pop(0)

            def sendmsg(self, data: object, control: object, flags: int, address: tuple[str, int]) -> None:
                if address[1] == 1:
                    raise OSError(errno.ENOBUFS, "No buffer space available")
                sent.append(address)

        self.assertEqual(OneByOne(Socket(), self.responder).exchange(), 3)
        self.assertEqual(sent, [("192.0.2.7", 2)])
        self.assertEqual((self.responder.counters.dropped, self.responder.counters.unsent), (1, 1))


@skipUnless(mmsg.is_available(), "the C library has no recvmmsg")
class ManyAtOnceTests(ExchangeTests, SynchronousTestCase):
    """`ManyAtOnce`."""

    make = staticmethod(mmsg.ManyAtOnce)

    def test_failures(self) -> None:
        """What the system does not take is counted, and what follows it in the batch is sent."""
        sendmmsg = mmsg._libc.sendmmsg
        calls = []

        def failing(*arguments: object) -> int:
            calls.append(arguments)
            return -1 if len(calls) == 1 else int(sendmmsg(*arguments))

        class Library:
            recvmmsg = mmsg._libc.recvmmsg

        Library.sendmmsg = staticmethod(failing)
        self.patch(mmsg, "_libc", Library)
        self.ask((0, with_id(1)), (0, with_id(2)), (0, with_id(3)))
        self.exchange.exchange()
        self.assertEqual([answer[:2] for answer in self.answers(0)], [b"\0\2", b"\0\3"])
        self.assertEqual(self.responder.counters.unsent, 1)

    def test_forged_ports(self) -> None:
        """A port that is nobody's gets nothing (port 0, for which another one stands in: no system sends from it)."""
        self.patch(mmsg, "_NO_PORT", socket.htons(self.clients[0].getsockname()[1]))
        self.ask((0, with_id(1)), (1, with_id(2)))
        self.exchange.exchange()
        self.assertEqual((self.answers(0), len(self.answers(1))), ([], 1))
        self.assertEqual(self.responder.counters.dropped, 1)


class UdpPortTests(SynchronousTestCase):
    """`UdpPort`."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.responder = Responder(authority(), lambda: 0.0)
        self.client = bound()
        self.addCleanup(self.client.close)

    def port(self, udp: socket.socket) -> UdpPort:
        port = UdpPort(self.reactor, udp, self.responder)
        self.addCleanup(udp.close)
        port.startListening()
        return port

    def test_interfaces(self) -> None:
        """It is what a reactor reads, and a listening port with an address."""
        port = self.port(bound())
        verifyObject(IReadDescriptor, port)
        verifyObject(IListeningPort, port)
        self.assertEqual((port.getHost().type, port.getHost().host), ("UDP", "127.0.0.1"))
        self.assertEqual(self.port(bound(socket.AF_INET6)).getHost().host, "::1")
        self.assertIn(port, self.reactor.getReaders())

    def test_hand_over(self) -> None:
        """A port that stops answers what has arrived, gets nothing new where another shares its address, and closes."""
        old_socket = bound(shared=True)
        place = old_socket.getsockname()
        old = self.port(old_socket)
        self.client.sendto(with_id(1), place)
        new_socket = bound(shared=True, port=place[1])
        new = self.port(new_socket)
        stopped = old.stopListening()
        for number in range(2, 40):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:  # each port of a client may go elsewhere
                other.sendto(with_id(number), place)
        old.doRead()
        self.assertEqual(self.client.recv(500)[:2], b"\0\1")
        self.assertEqual(self.responder.counters.answered, 1)
        new.doRead()
        self.assertEqual(self.responder.counters.answered, 39)
        self.assertNoResult(stopped)
        self.reactor.advance(LINGER_SECONDS)
        self.assertIsNone(self.successResultOf(stopped))
        self.assertIs(old.stopListening(), stopped)
        self.assertEqual((old_socket.fileno(), self.reactor.getReaders()), (-1, [new]))

    def test_broken(self) -> None:
        """A socket that can't be read is let go with one line in the log, and stopping the port then is no error."""
        udp = bound()
        port = self.port(udp)

        class Broken:
            def exchange(self) -> int:
                raise OSError(errno.EBADF, "Bad file descriptor")

        self.patch(port, "_exchange", Broken())
        self.assertIs(port.doRead(), CONNECTION_LOST)
        port.connectionLost(None)
        self.assertEqual(udp.fileno(), -1)
        self.successResultOf(port.stopListening())
