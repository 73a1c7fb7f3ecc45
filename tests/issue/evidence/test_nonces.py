"""Each nonce is good for one peer, one request and one minute."""

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.issue.evidence.nonces import NONCE_BYTES, NONCE_SECONDS, NonceBook
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.proofs import MAX_NONCE_BYTES

NOW = 1_700_000_000.0


class NonceBookTests(SynchronousTestCase):
    def setUp(self):
        self.book = NonceBook()
        self.peer = PrivateKey.generate().peer_id
        self.nonce = self.book.give(self.peer, NOW)

    def is_open(self, nonce, peer=None, now=NOW):
        return nonce in self.book.open_for(peer or self.peer, now)

    def test_is_open_for_its_peer_alone(self):
        """Another peer cannot use it, nor anybody another server's; a peer may have several."""
        self.assertTrue(self.is_open(self.nonce))
        self.assertTrue(self.is_open(self.book.give(self.peer, NOW)))
        self.assertFalse(self.is_open(self.nonce, PrivateKey.generate().peer_id))
        self.assertFalse(self.is_open(NonceBook().give(self.peer, NOW)))

    def test_says_when_it_was_given(self):
        """In milliseconds, as proofs are dated."""
        nonce = self.book.give(self.peer, NOW + 0.25)
        self.assertEqual(self.book.open_for(self.peer, NOW + 1)[nonce], int(NOW * 1000) + 250)
        self.assertRaises(KeyError, self.book.open_for(self.peer, NOW).__getitem__, b"other")

    def test_is_used_once(self):
        """A used nonce is gone; the peer's others stay."""
        other = self.book.give(self.peer, NOW)
        self.book.use([self.nonce], NOW)
        self.book.use([self.nonce], NOW)
        self.assertEqual((self.is_open(self.nonce), self.is_open(other)), (False, True))

    def test_runs_out(self):
        """A minute, to the millisecond; and not before it was given, which is a clock that was set back."""
        self.assertEqual(NONCE_SECONDS, 60)
        self.assertTrue(self.is_open(self.nonce, now=NOW + 60))
        self.assertFalse(self.is_open(self.nonce, now=NOW + 60.001))
        self.assertFalse(self.is_open(self.nonce, now=NOW - 0.001))

    def test_every_bit_counts(self):
        """A nonce cannot be made up, changed, cut or lengthened."""
        for position in range(NONCE_BYTES):
            changed = bytearray(self.nonce)
            changed[position] ^= 1
            self.assertFalse(self.is_open(bytes(changed)))
            self.assertFalse(self.is_open(self.nonce[:position]))
        for nonce in (b"", self.nonce + b"\0", bytes(NONCE_BYTES), "text", None):
            self.assertFalse(self.is_open(nonce))

    def test_fits_into_a_proof(self):
        """Proof servers take nonces of this length, and all differ."""
        self.assertEqual(len(self.nonce), NONCE_BYTES)
        self.assertLessEqual(NONCE_BYTES, MAX_NONCE_BYTES)
        self.assertEqual(len({self.book.give(self.peer, NOW) for _ in range(1000)}), 1000)

    def test_only_used_ones_are_kept(self):
        """However many peers ask, nothing is kept for them; the used ones are forgotten after their time."""
        for number in range(100):
            self.book.use([self.book.give(self.peer, NOW + number)], NOW + number)
            self.assertLessEqual(len(self.book), NONCE_SECONDS + 1)
        self.assertFalse(self.is_open(self.nonce, now=NOW + 100))
