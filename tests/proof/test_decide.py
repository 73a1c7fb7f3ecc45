"""What a proof server answers, as a function."""

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.lists.entries import Entries
from nodetrust.lists.lists import NO_LISTS, Lists
from nodetrust.lists.prefixes import PrefixSet
from nodetrust.messages import E_NOT_AUTHORIZED, E_OTHER, OK, InvalidMessage, Proof, ProofRequest
from nodetrust.proof.decide import Caller, NoProof, Rules, answer, read_request
from nodetrust.proofs import MAX_NONCE_BYTES, check_proof

NOW_MS = 1_700_000_000_000


class AnswerTests(SynchronousTestCase):
    def setUp(self):
        self.key = PrivateKey.generate()
        self.peer = PrivateKey.generate().peer_id
        self.issuer = PrivateKey.generate().peer_id

    def answer(self, address, request=None, allow_private=False, lists=NO_LISTS):
        return answer(
            self.key,
            Caller(self.peer, Multiaddr.parse(address)),
            NOW_MS,
            request or ProofRequest(),
            Rules(allow_private, lists),
        )

    def check(self, wrapper, **options):
        trusted = {self.key.peer_id: self.key.public_key}
        return check_proof(wrapper, trusted=trusted, peer_id=self.peer, now_ms=NOW_MS, issuer=self.issuer, **options)

    def test_the_proof_is_good(self):
        """What the server signs is what the issue server accepts."""
        response = self.answer("/ip4/8.8.8.8/tcp/5")
        self.assertEqual(response.error, OK)
        self.assertEqual([str(ip) for ip in self.check(response.proof).addresses], ["8.8.8.8"])

    def test_binds_to_issuer_and_nonce(self):
        """Issuer and nonce of the request are in the signed proof."""
        request = ProofRequest(issuer=self.issuer.multihash, nonce=b"n" * 16)
        response = self.answer("/ip4/8.8.8.8/tcp/5", request)
        self.assertEqual(self.check(response.proof, nonces=[b"n" * 16], require_nonce=True).nonce, b"n" * 16)

    def test_private_addresses_only_where_allowed(self):
        """Loopback and private addresses are proven only by a server that was told to."""
        for address in (
            "/ip4/127.0.0.1/tcp/1",
            "/ip4/10.0.0.1/tcp/1",
            "/ip6/::1/tcp/1",
            "/ip6/::ffff:192.168.0.1/tcp/1",
        ):
            response = self.answer(address)
            self.assertEqual(response.error, E_NOT_AUTHORIZED)
            self.assertFalse(response.HasField("proof"))
            self.assertIn("not a public address", response.message)
            self.assertEqual(self.answer(address, allow_private=True).error, OK)

    def test_the_denied_get_none(self):
        """Neither a denied peer nor whoever comes from a denied address, unless it is allowed."""
        peers, prefixes = frozenset([self.peer]), PrefixSet([ip_network("8.8.0.0/16")])
        for lists, code in (
            (Lists(Entries(peers=peers), Entries()), E_NOT_AUTHORIZED),
            (Lists(Entries(prefixes), Entries()), E_NOT_AUTHORIZED),
            (Lists(Entries(prefixes), Entries(peers=peers)), OK),
            (Lists(Entries(PrefixSet([ip_network("8.7.0.0/16")])), Entries()), OK),
        ):
            response = self.answer("/ip4/8.8.8.8/tcp/5", lists=lists)
            self.assertEqual((response.error, response.HasField("proof")), (code, code == OK))

    def test_a_relayed_peer_gets_a_reason(self):
        """A connection without an address of its own gets an error, not a proof."""
        relay = PrivateKey.generate().peer_id
        response = self.answer(f"/ip4/8.8.8.8/tcp/1/p2p/{relay}/p2p-circuit")
        self.assertEqual(response.error, E_OTHER)
        self.assertFalse(response.HasField("proof"))

    def test_2018_proofs_have_no_new_fields(self):
        """A client of 2018, which asks for nothing, gets the fields of 2018 alone."""
        proof = Proof.FromString(self.answer("/ip4/8.8.8.8/tcp/5").proof.proof)
        self.assertEqual([field.name for field, _ in proof.ListFields()], ["id", "timestamp", "addrs"])


class RequestTests(SynchronousTestCase):
    def test_reads_a_request(self):
        """Issuer and nonce come through."""
        issuer = PrivateKey.generate().peer_id.multihash
        request = read_request(ProofRequest(issuer=issuer, nonce=b"x").SerializeToString())
        self.assertEqual((request.issuer, request.nonce), (issuer, b"x"))
        longest = b"x" * MAX_NONCE_BYTES
        self.assertEqual(read_request(ProofRequest(nonce=longest).SerializeToString()).nonce, longest)

    def test_refuses_garbage(self):
        """What is no request, or out of bounds, is refused with a reason."""
        self.assertRaises(InvalidMessage, read_request, b"\xff\xff")
        self.assertRaises(NoProof, read_request, ProofRequest(nonce=b"x" * 100).SerializeToString())
