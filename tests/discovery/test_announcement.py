"""Announcements: what is sent, what is believed, and what is neither delivered nor carried."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.discovery import (
    MAX_ANNOUNCED_ADDRESSES,
    InvalidAnnouncement,
    decode_announcement,
    encode_announcement,
    relay,
    watch,
)
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.pubsub import PubSubMessage, Verdict
from nodetrust.messages import MAX_ANNOUNCE_BYTES, Announce

AUTHOR = PrivateKey.from_seed(bytes(32)).peer_id
OTHER = PrivateKey.from_seed(bytes([1] * 32)).peer_id
PLACE = Multiaddr.parse("/dns4/ip41-2-3-4.nt.example.org/tcp/4443/tls/ws")
UNKNOWN_KIND = b"\xff\xff\x03"


class FakePubSub:
    """Keeps the one subscription."""

    def __init__(self):
        self.topic = self.deliver = self.judge = None

    def subscribe(self, topic, deliver, judge):
        self.topic, self.deliver, self.judge = topic, deliver, judge
        return lambda: None


class CodecTests(SynchronousTestCase):
    def test_round_trip(self):
        """Addresses arrive with the author's /p2p, whether they were sent with it or without."""
        for sent in (PLACE, PLACE.with_peer_id(AUTHOR)):
            payload = encode_announcement([sent])
            self.assertEqual(decode_announcement(payload, AUTHOR), [PLACE.with_peer_id(AUTHOR)])

    def test_the_bytes_of_2018(self):
        """Field 1, repeated, a binary multiaddr each."""
        self.assertEqual(encode_announcement([PLACE]), b"\x0a" + bytes([len(bytes(PLACE))]) + bytes(PLACE))

    def test_addresses_of_other_peers(self):
        """Nobody announces somebody else."""
        payload = encode_announcement([PLACE, PLACE.with_peer_id(OTHER)])
        self.assertRaises(InvalidAnnouncement, decode_announcement, payload, AUTHOR)

    def test_unknown_kinds_of_addresses(self):
        """They are left out; an announcement of nothing else is refused."""
        mixed = Announce(addr=[UNKNOWN_KIND, bytes(PLACE)]).SerializeToString()
        self.assertEqual(decode_announcement(mixed, AUTHOR), [PLACE.with_peer_id(AUTHOR)])
        alone = Announce(addr=[UNKNOWN_KIND]).SerializeToString()
        self.assertRaises(InvalidAnnouncement, decode_announcement, alone, AUTHOR)

    def test_bounds(self):
        """Neither none nor too many addresses, nor too many bytes."""
        most = encode_announcement([PLACE] * MAX_ANNOUNCED_ADDRESSES)
        self.assertEqual(len(decode_announcement(most, AUTHOR)), MAX_ANNOUNCED_ADDRESSES)
        for payload in (
            b"",
            encode_announcement([PLACE] * (MAX_ANNOUNCED_ADDRESSES + 1)),
            most + b"\x12" + b"\x00" * MAX_ANNOUNCE_BYTES,
        ):
            self.assertRaises(InvalidAnnouncement, decode_announcement, payload, AUTHOR)

    @given(st.binary(max_size=200))
    def test_garbage(self, payload):
        """Nothing else is raised, whatever arrives."""
        try:
            decode_announcement(payload, AUTHOR)
        except InvalidAnnouncement:
            return


class TopicTests(SynchronousTestCase):
    def message(self, payload):
        return PubSubMessage("nodetrust_discovery_v2", payload, AUTHOR, 1, OTHER)

    def test_watch(self):
        """Whoever watches is told the author and the addresses."""
        pubsub, found = FakePubSub(), []
        watch(pubsub, lambda peer, addresses: found.append((peer, addresses)))
        self.assertEqual(pubsub.topic, "nodetrust_discovery_v2")
        pubsub.deliver(self.message(encode_announcement([PLACE])))
        self.assertEqual(found, [(AUTHOR, [PLACE.with_peer_id(AUTHOR)])])

    def test_judgement(self):
        """Good announcements are carried, what is none is not: by those who only relay, too."""
        for join in (lambda pubsub: watch(pubsub, lambda *_: None), relay):
            pubsub = FakePubSub()
            join(pubsub)
            self.assertEqual(pubsub.judge(self.message(encode_announcement([PLACE]))), Verdict.ACCEPT)
            self.assertEqual(pubsub.judge(self.message(b"\xff")), Verdict.REJECT)
