"""Announcements: what is sent, and what is believed."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.discovery import Announcement, InvalidAnnouncement, decode_announcement, encode_announcement
from nodetrust.discovery.announcement import MAX_ANNOUNCED_ADDRESSES, MAX_COMPONENTS, MAX_PLACES
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import MAX_MULTIADDR_BYTES, Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import MAX_ANNOUNCE_BYTES, Announce

AUTHOR = PrivateKey.from_seed(bytes(32)).peer_id
OTHER = PrivateKey.from_seed(bytes([1] * 32)).peer_id
RSA = PeerId(b"\x12\x20" + bytes(32))
PLACE = Multiaddr.parse("/dns4/ip41-2-3-4.nt.example.org/tcp/4443/tls/ws")
UNKNOWN_KIND = b"\xff\xff\x03"


def places(count):
    return [Multiaddr.parse(f"/ip4/192.0.2.1/tcp/{port}") for port in range(1, count + 1)]


class CodecTests(SynchronousTestCase):
    def assertInvalid(self, payload):
        self.assertRaises(InvalidAnnouncement, decode_announcement, payload, AUTHOR)

    def test_round_trip(self):
        """Addresses arrive with the author's /p2p, whether they were sent with it or without."""
        for sent in (PLACE, PLACE.with_peer_id(AUTHOR)):
            expected = Announcement(AUTHOR, AUTHOR, (PLACE.with_peer_id(AUTHOR),))
            self.assertEqual(decode_announcement(encode_announcement([sent]), AUTHOR), expected)

    def test_the_bytes_of_2018(self):
        """Field 1, repeated, a binary multiaddr each; where the author is at them, nothing else."""
        self.assertEqual(encode_announcement([PLACE]), b"\x0a" + bytes([len(bytes(PLACE))]) + bytes(PLACE))

    def test_a_peer_behind_the_author(self):
        """Field 2 has its multihash, of any kind of key; the addresses are then the other's, with its /p2p or none."""
        for peer in (OTHER, RSA):
            payload = encode_announcement([PLACE, places(1)[0].with_peer_id(peer)], peer)
            self.assertEqual(payload[-2 - len(bytes(peer)) :], b"\x12" + bytes([len(bytes(peer))]) + bytes(peer))
            expected = Announcement(AUTHOR, peer, (PLACE.with_peer_id(peer), places(1)[0].with_peer_id(peer)))
            self.assertEqual(decode_announcement(payload, AUTHOR), expected)

    def test_the_author_named_as_the_peer(self):
        """It means the same as no peer."""
        named = decode_announcement(encode_announcement([PLACE], AUTHOR), AUTHOR)
        self.assertEqual(named, decode_announcement(encode_announcement([PLACE]), AUTHOR))

    def test_addresses_of_other_peers(self):
        """An address of somebody else than the announcement is about spoils it, the author's own too."""
        self.assertInvalid(encode_announcement([PLACE, PLACE.with_peer_id(OTHER)]))
        self.assertInvalid(encode_announcement([PLACE.with_peer_id(AUTHOR)], OTHER))
        self.assertInvalid(encode_announcement([PLACE.with_peer_id(RSA)], OTHER))

    def test_a_peer_that_is_none(self):
        """The multihash of no public key."""
        for peer in (b"", b"\x00", b"\x12\x20" + bytes(31), bytes(AUTHOR) + b"x"):
            self.assertInvalid(Announce(addr=[bytes(PLACE)], peer=peer).SerializeToString())

    def test_relayed_addresses(self):
        """A relay's ID in the middle names nobody."""
        relayed = places(1)[0].with_peer_id(OTHER) / Multiaddr.of(("p2p-circuit", None))
        (address,) = decode_announcement(encode_announcement([relayed]), AUTHOR).addresses
        self.assertEqual(address, relayed / Multiaddr.of(("p2p", str(AUTHOR))))

    def test_unknown_kinds_of_addresses(self):
        """They are left out; an announcement of nothing else is refused."""
        mixed = Announce(addr=[UNKNOWN_KIND, bytes(PLACE)]).SerializeToString()
        self.assertEqual(decode_announcement(mixed, AUTHOR).addresses, (PLACE.with_peer_id(AUTHOR),))
        self.assertInvalid(Announce(addr=[UNKNOWN_KIND]).SerializeToString())

    def test_addresses_that_are_none(self):
        """As are a peer without a place, a path of very many parts or places, and one that has no room for /p2p."""
        many = Multiaddr.from_bytes(bytes(Multiaddr.of(("tcp", 1))) * MAX_COMPONENTS)
        long = Multiaddr.of(("http-path", "x" * (MAX_MULTIADDR_BYTES - 5)))
        far = Multiaddr.of(*[("ip4", "192.0.2.1")] * (MAX_PLACES + 1), ("tcp", 1))
        for address in (Multiaddr.of(("p2p", str(AUTHOR))), many, far, long):
            self.assertInvalid(encode_announcement([address]))
            self.assertEqual(len(decode_announcement(encode_announcement([address, PLACE]), AUTHOR).addresses), 1)

    def test_the_same_twice(self):
        """It counts once, in its first place."""
        sent = [PLACE, *places(1), PLACE.with_peer_id(AUTHOR)]
        expected = tuple(address.with_peer_id(AUTHOR) for address in sent[:2])
        self.assertEqual(decode_announcement(encode_announcement(sent), AUTHOR).addresses, expected)

    def test_bounds(self):
        """Neither none nor too many addresses, nor too many bytes."""
        most = encode_announcement(places(MAX_ANNOUNCED_ADDRESSES))
        self.assertEqual(len(decode_announcement(most, AUTHOR).addresses), MAX_ANNOUNCED_ADDRESSES)
        for payload in (
            b"",
            encode_announcement(places(MAX_ANNOUNCED_ADDRESSES + 1)),
            most + b"\x1a" + b"\x00" * MAX_ANNOUNCE_BYTES,
        ):
            self.assertInvalid(payload)

    @given(
        st.binary(max_size=200)
        | st.builds(
            lambda addresses, peer: Announce(addr=addresses, peer=peer).SerializeToString(),
            st.lists(st.binary(max_size=80) | st.binary(max_size=1100).map(bytes(PLACE).__add__), max_size=20),
            st.none() | st.binary(max_size=40) | st.just(bytes(OTHER)),
        )
    )
    def test_garbage(self, payload):
        """Nothing else is raised, whatever arrives; and what is taken keeps what an `Announcement` promises."""
        try:
            announcement = decode_announcement(payload, AUTHOR)
        except InvalidAnnouncement:
            return
        self.assertIn(len(set(announcement.addresses)), range(1, MAX_ANNOUNCED_ADDRESSES + 1))
        self.assertEqual(len(set(announcement.addresses)), len(announcement.addresses))
        self.assertEqual({address.peer_id for address in announcement.addresses}, {announcement.peer})
