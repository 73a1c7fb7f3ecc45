"""The short path, held against the full one: the same bytes for the same query, or none."""

import random
import struct
from collections import Counter
from functools import lru_cache

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.addresses import is_public
from nodetrust.dns.answer import Authority
from nodetrust.dns.errors import BadQuery, NotAQuery
from nodetrust.dns.fast import ShortPath, short_path
from nodetrust.dns.fast.path import MAX_TAILS
from nodetrust.dns.records import Name, Type, name_to_wire, parse_name
from nodetrust.dns.respond import Responder, respond
from nodetrust.dns.sources import PeerSource, Policy, every_address
from nodetrust.dns.zone.zone import Zone
from nodetrust.dns.zone.zonefile import parse_zone
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.names import label_for_packed_address, label_for_peer
from tests.dns.example import ORIGIN, PEER_LABEL, authority

PLAIN_ZONE = "@ 3600 SOA ns hostmaster 1 7200 900 1209600 60\n@ 3600 NS ns\nns 3600 A 192.0.2.1\n"
WILD_ZONE = PLAIN_ZONE + f"* 60 TXT wild\n{PEER_LABEL} 60 NS ns.{PEER_LABEL}\nns.{PEER_LABEL} 60 A 192.0.2.3\n"
QUERIES = 200_000
SEED = 20261122


def world(
    zone: str, policy: Policy = every_address, origin: Name = ORIGIN, persist: tuple[bytes, ...] = ()
) -> Authority:
    """The sources of the example with another zone file."""
    return Authority(parse_zone(zone, origin, "test.zone"), authority(policy=policy, persist=persist).sources)


def question(name: bytes, type_: int, class_: int = 1) -> bytes:
    """A question section; `name` as text with dots."""
    labels = tuple(label for label in name.split(b".") if label)
    return name_to_wire(labels) + struct.pack("!HH", type_, class_)


def message(question_: bytes, flags: int = 0x0100, opt: bytes = b"", id_: int = 0x1234) -> bytes:
    """A query with one question."""
    return struct.pack("!HHHHHH", id_, flags, 1, 0, 0, 1 if opt else 0) + question_ + opt


def opt(size: int = 1232, flags: int = 0, data: bytes = b"") -> bytes:
    """An OPT record; `flags` are its 32 bits in place of a TTL."""
    return struct.pack("!BHHIH", 0, Type.OPT, size, flags, len(data)) + data


def full(packet: bytes, world_: Authority) -> bytes | None:
    """The full path's response; None for what it does not answer from the zone."""
    try:
        return respond(packet, world_, 0.0, udp=True)
    except (NotAQuery, BadQuery):
        return None


class Queries:
    """Makes queries at random: most are plain, each part is sometimes odd."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.peers = [PeerId(b"\0\x24\x08\1\x12\x20" + self.random.randbytes(32)) for _ in range(20)]
        self.peers += [PeerId(b"\x12\x20" + self.random.randbytes(32)) for _ in range(20)]

    def label(self) -> str:
        """A first label."""
        pick = self.random
        match pick.randrange(12):
            case 0 | 1 | 2 | 3:
                return "ip4" + "-".join(str(pick.randrange(256)) for _ in range(4))
            case 4 | 5:
                address = pick.randbytes(16)
                mask = pick.getrandbits(16)
                return label_for_packed_address(bytes(b if mask >> i & 1 else 0 for i, b in enumerate(address)))
            case 6 | 7:
                return label_for_peer(pick.choice(self.peers))
            case 8:
                return pick.choice(("ip4", "ip6", "p")) + "".join(
                    pick.choices("0123456789-abcdef", k=pick.randrange(9))
                )
            case 9:
                odd = (
                    "ip4256-1-1-1",
                    "ip41-2-3",
                    "ip41-2-3-4-5",
                    "ip401-2-3-4",
                    "ip6--",
                    "ip6--1",
                    "ip60--1",
                    "ip6::1",
                )
                return pick.choice((*odd, "ip61--2--3", "ip41.2.3.4", "ip6--ffff-1-2-3-4", "ip4+1-2-3-4", "ip41-2-3-٤"))
            case 10:
                label = list(label_for_peer(pick.choice(self.peers)))
                label[pick.randrange(1, len(label))] = pick.choice("a9-_é")
                return "".join(label)
            case _:
                file = ("ns1", "proof", "www", "ip49-9-9-9", "ip47-7-7-7", "sub", "wild", PEER_LABEL, "_acme-challenge")
                return pick.choice(
                    (*file, "_validation-persist", "x", "pool-loop", "made", "\0", "ip4" + "1" * 60, "p" + "b" * 62)
                )

    def name(self) -> bytes:
        """A name; nearly always in the zone."""
        pick = self.random
        between = {
            0: f"{label_for_peer(pick.choice(self.peers))}.",
            1: f"{PEER_LABEL}.",
            2: "x.",
            3: f"{self.label()}.",
        }
        zone = pick.choice(("nt.test",) * 30 + ("nt.tesu", "xnt.test", "test", "nt.test.nt.test"))
        text = f"{self.label()}.{between.get(pick.randrange(20), '')}{zone}"
        if pick.random() < 0.5:
            text = "".join(pick.choice((c.upper(), c.lower())) if c.isascii() else c for c in text)
        return text.encode("utf-8")

    def packet(self) -> bytes:
        """A query."""
        pick = self.random
        type_ = pick.choice(
            (1, 1, 1, 28, 28, 16, 16, 2, 5, 6, 15, 43, 65, 97, 257, 255, 252, 41, 0, pick.getrandbits(16))
        )
        class_ = 1 if pick.random() < 0.97 else pick.choice((3, 255, 0, 0x41))
        flags = (
            pick.choice((0, 0x100, 0x120, 0x110, 0x130, 0x10, 0x20)) if pick.random() < 0.95 else pick.getrandbits(16)
        )
        option = b""
        if pick.random() < 0.7:
            size = pick.choice((0, 511, 512, 577, 609, 1232, 1410, 4096, 65535, pick.getrandbits(16)))
            bits = pick.choice((0, 0, 0, 0x8000, 0x8000, 0x10000, 0x4000, 0x1000000))
            data = b"" if pick.random() < 0.9 else pick.choice((b"\0\3\0\0", b"\0\x0a\0\x08cookie!!", b"\0\3\0"))
            option = opt(size, bits, data)
        packet = message(question(self.name(), type_, class_), flags, option, pick.getrandbits(16))
        if pick.random() < 0.02:
            at = pick.randrange(len(packet))
            packet = pick.choice((packet[:at], packet + b"\0", packet[:at] + pick.randbytes(1) + packet[at + 1 :]))
        return packet


@lru_cache
def worlds() -> list[tuple[str, Authority, ShortPath]]:
    """Authorities, each with its short path."""
    made = {
        "plain": world(PLAIN_ZONE),
        "example": authority(),
        "wild": world(WILD_ZONE),
        "public": world(PLAIN_ZONE, is_public, persist=(b"ca.example; accounturi=https://ca.example/1",)),
    }
    return [(name, one, short_path(one)) for name, one in made.items()]


class SameBytesTests(SynchronousTestCase):
    """The promise: whenever `short_path` answers, it answers as the full path does."""

    def test_generated(self) -> None:
        """Two hundred thousand queries of every kind, over four zones; most of the plain ones are answered."""
        queries = Queries(SEED)
        answered: Counter[str] = Counter()
        for number in range(QUERIES):
            packet = queries.packet()
            name, one, path = worlds()[number % 4]
            response = path(packet)
            if response is not None:
                answered[name] += 1
                if response != full(packet, one):
                    self.fail(f"{name}: {packet.hex()}: {response.hex()}, not {(full(packet, one) or b'').hex()}")
        for name, least in (("plain", 0.3), ("example", 0.25), ("wild", 0.2), ("public", 0.3)):
            self.assertGreater(answered[name], least * QUERIES / 4, name)

    @given(
        labels=st.lists(st.one_of(st.binary(max_size=70), st.from_regex(rb"(ip4|ip6|p)[0-9a-z.:-]*", fullmatch=True))),
        tail=st.binary(max_size=20),
        has_opt=st.integers(0, 1),
    )
    def test_any_octets(self, labels: list[bytes], tail: bytes, has_opt: int) -> None:
        """Any octets for labels, and any end of the packet."""
        name = b"".join(bytes((len(label) % 256,)) + label for label in labels) + name_to_wire(ORIGIN)
        for end in (b"\0\1\0\1" + tail, tail, b"\0\x1c\0\1", b"\0\1\0\1" + opt()):
            packet = struct.pack("!HHHHHH", 7, 0, 1, 0, 0, has_opt) + name + end
            for _, one, path in worlds():
                response = path(packet)
                if response is not None:
                    self.assertEqual(response, full(packet, one))

    @given(st.binary(max_size=80))
    def test_garbage(self, packet: bytes) -> None:
        """Octets that are no query get nothing from here."""
        for _, _, path in worlds():
            self.assertIsNone(path(packet))
            self.assertIsNone(path(packet[:12]))


class ShortPathTests(SynchronousTestCase):
    """Which queries `short_path` answers."""

    def answers(self, world_: Authority, name: str, type_: int = Type.A, **parts: bytes) -> bool:
        return short_path(world_)(message(question(name.encode(), type_), **parts)) is not None

    def test_plain(self) -> None:
        """What resolvers ask all day is answered, with and without EDNS and DO, in any case, below a peer too."""
        for name, type_ in (
            ("ip41-2-3-4.nt.test", Type.A),
            ("IP41-2-3-4.nT.tEST", Type.AAAA),
            ("ip62001-DB8--1.nt.test", Type.AAAA),
            (f"{PEER_LABEL}.nt.test", Type.TXT),
            (f"ip41-2-3-4.{PEER_LABEL.upper()}.nt.test", Type.A),
            ("ip4256-1-1-1.nt.test", Type.A),
            ("ip41-2-3-4.nt.test", 65),
        ):
            for option in (b"", opt(), opt(4096, 0x8000)):
                self.assertTrue(self.answers(world(PLAIN_ZONE), name, type_, opt=option), (name, option))

    def test_left_to_the_full_path(self) -> None:
        """EDNS options, names of the zone file, challenges and wildcards are not decided here; DO if told so."""
        plain = world(PLAIN_ZONE)
        self.assertFalse(self.answers(plain, "ip41-2-3-4.nt.test", opt=opt(data=b"\0\3\0\0")))
        self.assertFalse(self.answers(plain, "_acme-challenge.ip41-2-3-4.nt.test", Type.TXT))
        self.assertFalse(self.answers(authority(), "ip49-9-9-9.nt.test"))
        self.assertFalse(self.answers(world(WILD_ZONE), "ip4256-1-1-1.nt.test"))
        self.assertFalse(self.answers(world(WILD_ZONE), f"ip41-2-3-4.{PEER_LABEL}.nt.test"))
        too_long = bytes((64,)) + b"ip4" + b"1" * 61 + name_to_wire(ORIGIN) + b"\0\1\0\1"  # a label has at most 63
        self.assertIsNone(short_path(plain)(message(too_long)))
        signed = short_path(plain, dnssec_ok=False)
        packet = question(b"ip41-2-3-4.nt.test", Type.A)
        self.assertIsNone(signed(message(packet, opt=opt(1232, 0x8000))))
        self.assertIsNotNone(signed(message(packet, opt=opt())))

    def test_unknown_sources(self) -> None:
        """Where the sources are others than those that it knows, it answers nothing; nor with a zone too long."""
        zone = world(PLAIN_ZONE).zone
        self.assertFalse(self.answers(Authority(zone, (PeerSource(1),)), "ip41-2-3-4.nt.test"))
        long_soa = world(PLAIN_ZONE.replace("hostmaster", ".".join(["h" * 60] * 4) + "."))
        self.assertFalse(self.answers(long_soa, "ip4256-1-1-1.nt.test"))
        self.assertTrue(self.answers(long_soa, "ip41-2-3-4.nt.test"))
        origin = parse_name(".".join(["z" * 60] * 3))
        long_zone: Zone = parse_zone(PLAIN_ZONE, origin, "long.zone")
        self.assertFalse(
            self.answers(Authority(long_zone, authority().sources), f"ip41-2-3-4.{'.'.join(['z' * 60] * 3)}")
        )

    def test_bounded(self) -> None:
        """Whoever tries every EDNS size fills the tables once; the answers stay."""
        path = short_path(world(PLAIN_ZONE))
        for size in range(MAX_TAILS + 50):
            self.assertIsNotNone(path(message(question(b"ip41-2-3-4.nt.test", Type.A), opt=opt(size))))

    def test_follows_the_authority(self) -> None:
        """A Responder whose Authority is replaced answers from the new one."""
        responder = Responder(world(PLAIN_ZONE), lambda: 0.0)
        packet = message(question(b"ip49-9-9-9.nt.test", 257))
        before = responder.respond(packet, udp=True)
        responder.authority = authority()
        after = responder.respond(packet, udp=True)
        self.assertEqual((before, after), (full(packet, world(PLAIN_ZONE)), full(packet, authority())))
        self.assertNotEqual(before, after)
