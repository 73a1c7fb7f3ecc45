"""AutoTLS names in p2p-forge's sorts."""

from collections import Counter
from dataclasses import asdict

import dns.message
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.challenges.table import Challenge, ChallengeTable
from nodetrust.dns.observe.counters import Answered, Counters
from nodetrust.dns.observe.forge import ForgeCensus
from nodetrust.dns.records import parse_name
from nodetrust.dns.respond import Responder
from tests.dns.example import CID, ORIGIN, PEER_LABEL, authority

SOURCE = b"\xc0\0\2\1"
PEER = f"{CID}.nt.test"
QUESTIONS = (
    (f"1-2-3-4.{PEER}", "A", "autotls_a"),
    (f"1-2-3-4.{PEER.upper()}", "A", "autotls_a"),
    (f"2001-DB8--1.{PEER}", "AAAA", "autotls_aaaa"),
    (f"1-2-3-4.{PEER}", "AAAA", "autotls_nodata_aaaa"),
    (f"1-2-3.{PEER}", "A", "autotls_nodata_a"),
    (f"{'x' * 60}.{PEER}", "A", "autotls_nodata_a"),
    (f"1-2-3-4.{PEER}", "TXT", "autotls_nodata_txt"),
    (f"1-2-3-4.{PEER}", "HTTPS", "autotls_nodata_https"),
    (f"1-2-3-4.{PEER}", "MX", "autotls_nodata_other"),
    (PEER, "A", "autotls_nodata_peerid_a"),
    (PEER, "AAAA", "autotls_nodata_peerid_aaaa"),
    (PEER, "TXT", "autotls_nodata_peerid_txt"),
    (PEER, "HTTPS", "autotls_nodata_peerid_https"),
    (PEER, "CAA", "autotls_nodata_peerid_other"),
    (f"_acme-challenge.{PEER}", "TXT", "dns01_txt_empty"),
    (f"_ACME-challenge.{PEER}", "A", "dns01_nodata_a"),
    (f"_acme-challenge.{PEER}", "AAAA", "dns01_nodata_aaaa"),
    (f"_acme-challenge.{PEER}", "HTTPS", "dns01_nodata_https"),
    (f"_acme-challenge.{PEER}", "CAA", "dns01_nodata_other"),
)
OTHERS = (
    (f"1-2-3-4.{PEER}", "ANY"),
    (f"_acme-challenge.{PEER}", "ANY"),
    (f"1.1-2-3-4.{PEER}", "A"),
    (f"1-2-3-4.{CID}x.nt.test", "A"),
    (f"1-2-3-4.{CID}.nt.example", "A"),
    (f"1-2-3-4.{CID}.sub.nt.test", "A"),
    (f"1-2-3-4.{PEER_LABEL}.nt.test", "A"),
    (f"{PEER_LABEL}.nt.test", "TXT"),
    ("_acme-challenge.ip41-2-3-4.nt.test", "TXT"),
    ("ip41-2-3-4.nt.test", "A"),
)


class ForgeCensusTests(SynchronousTestCase):
    """`ForgeCensus`, as an observer of a `Responder`."""

    def setUp(self) -> None:
        self.table = ChallengeTable()
        self.responder = Responder(authority(self.table), Clock().seconds)
        self.responder.observers = (ForgeCensus(self.responder.counters, ORIGIN),)

    def found(self) -> dict[str, int]:
        """What was counted of AutoTLS names."""
        counted = asdict(self.responder.counters)
        return {name: count for name, count in counted.items() if count and name.startswith(("autotls_", "dns01_"))}

    def test_every_sort(self) -> None:
        """Each answer counts for one, in a batch as alone, with EDNS or without, in any case; what is empty is told."""
        for edns in (-1, 0):
            packets = [dns.message.make_query(name, type_, use_edns=edns).to_wire() for name, type_, _ in QUESTIONS]
            self.responder.respond_all(packets, [SOURCE] * len(packets))
            for packet in packets:
                self.responder.respond(packet, udp=False)
        expected = Counter(field for _, _, field in QUESTIONS)
        self.assertEqual(self.found(), {field: 4 * count for field, count in expected.items()})

    def test_a_challenge(self) -> None:
        """A value that is set is no empty text."""
        self.table.add(Challenge(parse_name(f"_acme-challenge.{PEER}")[1:], b"v" * 43), 0.0)
        self.responder.respond(dns.message.make_query(f"_acme-challenge.{PEER}", "TXT").to_wire(), udp=True)
        self.assertEqual(self.found(), {"dns01_txt": 1})

    def test_all_sorts_are_asked_for(self) -> None:
        """The two tests above leave no counter out."""
        fields = {name for name in asdict(Counters()) if name.startswith(("autotls_", "dns01_"))}
        self.assertEqual(fields, {field for _, _, field in QUESTIONS} | {"dns01_txt"})

    def test_other_names(self) -> None:
        """What is no AutoTLS name of the zone, or is asked for all types, counts for none."""
        for name, type_ in OTHERS:
            self.responder.respond(dns.message.make_query(name, type_).to_wire(), udp=True)
        self.responder.respond(dns.message.make_query(f"1-2-3-4.{PEER}", "A", "CH").to_wire(), udp=True)
        self.assertEqual(self.found(), {})

    def test_broken_packets(self) -> None:
        """Packets that are cut anywhere, or whose labels lie about their length, are counted as nothing."""
        for name in (PEER, f"1-2-3-4.{PEER}"):
            whole = dns.message.make_query(name, "A", use_edns=-1).to_wire()
            broken = [whole[:size] for size in range(12, len(whole))]
            for size in range(256):
                for at in (12, 12 + 1 + whole[12]):
                    broken.append(whole[:at] + bytes((size,)) + whole[at + 1 :])
            broken = [packet for packet in broken if packet != whole]
            self.responder.respond_all(broken, [SOURCE] * len(broken))
        self.assertEqual(self.found(), {})

    def test_what_is_not_answered(self) -> None:
        """Silence, a refusal, a referral and an answer that is sent to TCP count for nothing."""
        packet = dns.message.make_query(f"1-2-3-4.{PEER}", "A").to_wire()
        census = ForgeCensus(self.responder.counters, ORIGIN)
        for flags in (0x8000, 0x8405, 0x8600):
            response = packet[:2] + flags.to_bytes(2, "big") + packet[4:]
            census(Answered([packet, packet], [None, response], [SOURCE] * 2, 0.0, udp=True))
        self.assertEqual(self.found(), {})
