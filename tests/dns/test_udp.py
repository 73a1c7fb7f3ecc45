"""The UDP protocol on a fake transport."""

import errno

from twisted.internet.testing import FakeDatagramTransport
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.respond import Responder
from nodetrust.dns.udp import DnsDatagrams
from tests.dns.example import authority
from tests.dns.test_wire import packet


class DnsDatagramsTests(SynchronousTestCase):
    """`DnsDatagrams`."""

    def setUp(self) -> None:
        self.responder = Responder(authority(), lambda: 0.0)
        self.protocol = DnsDatagrams(self.responder)
        self.transport = FakeDatagramTransport()
        self.protocol.makeConnection(self.transport)

    def test_answers_where_it_came_from(self) -> None:
        """Each query is answered to its sender."""
        for port in (1, 2):
            self.protocol.datagramReceived(packet(), ("192.0.2.7", port))
        self.assertEqual([address for _, address in self.transport.written], [("192.0.2.7", 1), ("192.0.2.7", 2)])
        self.assertTrue(self.transport.written[0][0].endswith(b"\1\2\3\4"))
        self.assertEqual(self.responder.counters.answered, 2)

    def test_silence(self) -> None:
        """Responses, scraps, and packets from port 0 get nothing; they are counted and not logged."""
        for message, port in ((packet(flags=0x8000), 5), (b"short", 5), (packet(), 0)):
            self.protocol.datagramReceived(message, ("192.0.2.7", port))
        self.assertEqual((self.transport.written, self.responder.counters.dropped), ([], 3))

    def test_the_system_does_not_take_it(self) -> None:
        """A failure to send is counted, and the next query is answered."""

        def fail(data: bytes, address: tuple[str, int]) -> None:
            raise OSError(errno.ENOBUFS, "No buffer space available")

        write, self.transport.write = self.transport.write, fail
        self.protocol.datagramReceived(packet(), ("192.0.2.7", 1))
        self.transport.write = write
        self.protocol.datagramReceived(packet(), ("192.0.2.7", 1))
        self.assertEqual((self.responder.counters.unsent, len(self.transport.written)), (1, 1))
