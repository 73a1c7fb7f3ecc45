"""The worker, on a pipe and a reactor of the test's."""

from ipaddress import ip_network
from pathlib import Path

from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.authority import read_zone
from nodetrust.dns.settings import DnsSettings
from nodetrust.dns.transport.udp import LINGER_SECONDS
from nodetrust.dns.workers.messages import (
    AddChallenge,
    Counted,
    Done,
    Numbered,
    Order,
    RemoveChallenge,
    ReplaceLists,
    ReplaceZone,
    Report,
    Start,
    Stop,
    decode_report,
    encode,
    lists_image,
    zone_image,
)
from nodetrust.dns.workers.worker import REPORT_SECONDS, Worker
from nodetrust.dns.zone.zonefile import parse_zone
from nodetrust.libp2p.framing import FrameDecoder
from nodetrust.lists.entries import Entries
from nodetrust.lists.lists import NO_LISTS, Lists
from nodetrust.lists.prefixes import PrefixSet
from nodetrust.settings import HostPort, ZoneName, build, settings_to_bytes
from tests.dns.example import ORIGIN, ZONE
from tests.dns.fast.test_path import message, question
from tests.dns.workers.test_messages import CHALLENGE

TXT_QUERY = message(question(b"_acme-challenge.ip41-2-3-4.nt.test", 16))


class Reactor(MemoryReactorClock):
    """Remembers that it was told to stop; adopted ports go nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.running = True

    def stop(self) -> None:
        self.running = False


class WorkerTests(SynchronousTestCase):
    """`Worker`."""

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.worker = Worker(self.reactor, self.reactor.seconds)
        self.pipe = StringTransport()
        self.worker.makeConnection(self.pipe)
        values = {"zone": ZoneName.parse("nt.test"), "state": Path(self.mktemp()), "listen_dns": (HostPort("::1", 53),)}
        self.settings = build(DnsSettings, values)
        self.numbers = 0

    def order(self, order: Order) -> list[Report]:
        """Give an order, in pieces, and read what the worker reports; the last report is that it is done."""
        self.numbers += 1
        data = encode(Numbered(self.numbers, order))
        for at in range(0, len(data), 1000):
            self.worker.dataReceived(data[at : at + 1000])
        *reports, done = self.reports()
        self.assertEqual(done, Done(self.numbers))
        return reports

    def reports(self) -> list[Report]:
        """What the worker has said since the last look."""
        data = self.pipe.value()
        self.pipe.clear()
        return [decode_report(one) for one in FrameDecoder(10_000).receive_data(data)]

    def start(self) -> None:
        """Without sockets: those are the operating system's."""
        image = zone_image(read_zone(self.settings))
        self.order(
            Start(settings_to_bytes(self.settings), image, [(CHALLENGE, 5.0)], [], 3, bytes(32), lists_image(NO_LISTS))
        )
        self.addCleanup(self.worker.finish)

    def ask(self, query: bytes) -> bytes:
        """The worker's answer."""
        assert self.worker._answering is not None
        return self.worker._answering.responder.respond(query, udp=False) or b""

    def test_starts_as_the_others_are(self) -> None:
        """It knows the challenges from its start on, each for the time that it has left."""
        self.start()
        self.assertIn(CHALLENGE.value, self.ask(TXT_QUERY))
        self.reactor.advance(5)
        self.assertNotIn(CHALLENGE.value, self.ask(TXT_QUERY))

    def test_challenges_and_zone(self) -> None:
        """Each order is carried out before it is reported as done."""
        self.start()
        self.order(RemoveChallenge(CHALLENGE))
        self.assertNotIn(CHALLENGE.value, self.ask(TXT_QUERY))
        self.order(AddChallenge(CHALLENGE))
        self.assertIn(CHALLENGE.value, self.ask(TXT_QUERY))
        www = message(question(b"proof.nt.test", 1))
        self.assertFalse(self.ask(www).endswith(b"\xc0\x00\x02\x02"))
        self.order(ReplaceZone(zone_image(parse_zone(ZONE, ORIGIN, "test.zone"))))
        self.assertTrue(self.ask(www).endswith(b"\xc0\x00\x02\x02"))

    def test_lists(self) -> None:
        """What the parent has read is in force when the order is done, on the short path as on the full one."""
        self.start()
        queries = [message(question(name, 1)) for name in (b"ip41-2-3-4.nt.test", b"ip41-2-3-4.below.nt.test")]
        address = b"\x01\x02\x03\x04"
        self.assertEqual([address in self.ask(query) for query in queries], [True, True])
        denied = Lists(Entries(PrefixSet([ip_network("1.2.0.0/16"), ip_network("2001:db8::/32")])), Entries())
        self.order(ReplaceLists(lists_image(denied)))
        self.assertEqual([address in self.ask(query) for query in queries], [False, False])
        self.order(ReplaceLists(lists_image(Lists(denied.denied, Entries(PrefixSet([ip_network("1.2.3.0/24")]))))))
        self.assertEqual([address in self.ask(query) for query in queries], [True, True])

    def test_counts(self) -> None:
        """It reports by how much its counters have grown, and nothing when they have not."""
        self.start()
        self.ask(TXT_QUERY)
        self.ask(TXT_QUERY)
        self.reactor.advance(REPORT_SECONDS)
        (report,) = self.reports()
        assert isinstance(report, Counted)
        self.assertEqual(report.growth["answered"], 2)
        self.reactor.advance(REPORT_SECONDS)
        self.assertEqual(self.reports(), [])

    def test_ends(self) -> None:
        """It ends when it is told to, when its parent is gone, and when the first order is not to start."""
        self.start()
        self.order(Stop())
        self.assertFalse(self.reactor.running)
        for is_orphan in (True, False):
            self.reactor = Reactor()
            self.worker = Worker(self.reactor, self.reactor.seconds)
            self.worker.makeConnection(self.pipe)
            if is_orphan:
                self.worker.connectionLost()
            else:
                self.order(AddChallenge(CHALLENGE))
            self.assertFalse(self.reactor.running)

    def test_last_count(self) -> None:
        """Before it ends it reports the last counts, and waits until they are written."""
        self.start()
        self.ask(TXT_QUERY)
        finished = self.worker.finish()
        self.reactor.advance(LINGER_SECONDS)
        self.assertIsInstance(self.reports()[-1], Counted)
        self.assertTrue(self.pipe.disconnecting)
        self.assertNoResult(finished)
        self.worker.connectionLost()
        self.successResultOf(finished)
