"""The packets of the matrix against our server alone, without sockets: all of it runs in any checkout."""

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.answer import Authority
from nodetrust.dns.authority import build_authority
from nodetrust.dns.challenges.table import ChallengeTable
from nodetrust.dns.limits.cookies import ROOT_BYTES, Cookies, rotating_secrets
from nodetrust.dns.limits.gate import Gate
from nodetrust.dns.records import parse_name
from nodetrust.dns.respond import Responder
from nodetrust.dns.settings import DnsSettings
from nodetrust.dns.transport.tcp import DnsStreamFactory
from nodetrust.dns.zone.zonefile import parse_zone
from nodetrust.settings import ZoneName
from tests.dns_oracle import table
from tests.dns_oracle.reasons import REASONS
from tests.dns_oracle.rows import PACKETS
from tests.dns_oracle.servers import ZONE, ZONE_NAME
from tests.dns_oracle.summary import DROP, summarise

FEWEST_ROWS = 150


def our_authority() -> Authority:
    """What the server that `servers.start_ours` starts answers from."""
    settings = DnsSettings(zone=ZoneName.parse(ZONE_NAME))
    return build_authority(settings, parse_zone(ZONE, parse_name(ZONE_NAME), "zone"), ChallengeTable())


class TableTests(SynchronousTestCase):
    """The test data by itself."""

    def test_complete(self) -> None:
        """Each packet has a title of its own and a line in the table, in the same order; each reason is used."""
        titles = [title for title, _ in PACKETS]
        self.assertEqual(titles, list(table.read()))
        self.assertEqual(len({packet for _, packet in PACKETS}), len(PACKETS))
        self.assertGreaterEqual(len(PACKETS), FEWEST_ROWS)
        self.assertEqual({outcome.why for outcome in table.read().values()} - {""}, set(REASONS))

    def test_written_as_it_is_read(self) -> None:
        """The file is what `table.write` would write."""
        self.assertEqual(table.write(table.read().items()), table.FILE.read_text())


class OutcomeTests(SynchronousTestCase):
    """What ours answers to each packet."""

    def setUp(self) -> None:
        gate = Gate(cookies=Cookies(rotating_secrets(bytes(ROOT_BYTES))))
        self.responder = Responder(our_authority(), lambda: 0.0, gate)
        self.outcomes = table.read()

    def test_udp(self) -> None:
        """As the table says, in at most 1232 octets, and in 512 where the client has no EDNS."""
        for title, packet in PACKETS:
            answer = self.responder.respond(packet, udp=True, source=bytes(4))
            self.assertEqual((title, summarise(answer, packet)), (title, self.outcomes[title].udp))
            self.assertLessEqual(len(answer or b""), 1232 if "E0" in self.outcomes[title].udp else 512)

    def over_tcp(self, packet: bytes, pieces: list[bytes]) -> str:
        transport = StringTransport()
        stream = DnsStreamFactory(self.responder, Clock()).buildProtocol(IPv4Address("TCP", "192.0.2.1", 5353))
        stream.makeConnection(transport)
        for piece in pieces:
            if not transport.disconnecting:
                stream.dataReceived(piece)
        written = transport.value()
        if not written:
            return DROP
        self.assertEqual(int.from_bytes(written[:2], "big"), len(written) - 2)
        return summarise(written[2:], packet)

    def test_tcp(self) -> None:
        """As the table says, whether the message comes whole, octet by octet, or in two pieces cut anywhere."""
        for title, packet in PACKETS:
            message = len(packet).to_bytes(2, "big") + packet
            cuts = [[message[:at], message[at:]] for at in range(1, len(message))]
            octets = [message[at : at + 1] for at in range(len(message))]
            for pieces in ([message], octets, *cuts):
                self.assertEqual((title, self.over_tcp(packet, pieces)), (title, self.outcomes[title].tcp))
