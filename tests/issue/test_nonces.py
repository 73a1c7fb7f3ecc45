"""Each nonce is good for one peer, one request and five minutes."""

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.issue.nonces import MAX_NONCES, MAX_NONCES_PER_PEER, NONCE_SECONDS, NonceBook
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.peer_id import PeerId


class NonceBookTests(SynchronousTestCase):
    def setUp(self):
        self.book = NonceBook()
        self.peer = PrivateKey.generate().peer_id
        self.other = PrivateKey.generate().peer_id

    def test_is_open_for_its_peer_alone(self):
        """Another peer cannot use it."""
        self.book.give(self.peer, b"a", 0)
        self.assertEqual(self.book.open_for(self.peer, 1), {b"a"})
        self.assertEqual(self.book.open_for(self.other, 1), frozenset())

    def test_is_used_once(self):
        """A used nonce is gone; the peer's others stay."""
        self.book.give(self.peer, b"a", 0)
        self.book.give(self.peer, b"b", 0)
        self.book.use(frozenset([b"a"]))
        self.book.use(frozenset([b"a"]))
        self.assertEqual(self.book.open_for(self.peer, 1), {b"b"})

    def test_runs_out(self):
        """After its time it is gone."""
        self.book.give(self.peer, b"a", 0)
        self.assertEqual(self.book.open_for(self.peer, NONCE_SECONDS), {b"a"})
        self.assertEqual(self.book.open_for(self.peer, NONCE_SECONDS + 1), frozenset())

    def test_one_peer_has_few(self):
        """A peer that asks again and again keeps its newest nonces."""
        for number in range(MAX_NONCES_PER_PEER + 3):
            self.book.give(self.peer, bytes([number]), number)
        self.assertEqual(len(self.book.open_for(self.peer, 10)), MAX_NONCES_PER_PEER)
        self.assertIn(bytes([MAX_NONCES_PER_PEER + 2]), self.book.open_for(self.peer, 10))

    def test_the_book_is_bounded(self):
        """However many peers ask, the number of open nonces has an end; the oldest goes."""
        self.book.give(self.peer, b"first", 0)
        for number in range(MAX_NONCES):
            self.book.give(PeerId(b"\x12\x20" + number.to_bytes(32, "big")), number.to_bytes(4, "big"), 1)
        self.assertEqual(self.book.open_for(self.peer, 1), frozenset())
        self.assertEqual(len(self.book), MAX_NONCES)
