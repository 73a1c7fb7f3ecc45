"""Every rule of the issue server, without a network: what is refused, with which number, and what is ordered."""

import hashlib
from dataclasses import replace
from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.certificates import make_csr, make_key
from nodetrust.issue.decide import Policy, decide
from nodetrust.issue.errors import Refusal
from nodetrust.issue.evidence.trust import own_keys, trust_in
from nodetrust.issue.evidence.weigh import MAX_PROOFS_PER_SERVER, Visit
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.messages import (
    E_INVALID_PROOF,
    E_NO_MATCHING_CRYPTO,
    E_NOT_AUTHORIZED,
    ECDSA_P256,
    RSA,
    IssueRequest,
)
from nodetrust.names import name_for_address, name_for_peer, wildcard_for_peer
from nodetrust.proofs import VALID_MS, make_proof

ZONE = "nt.example.org"
NOW_MS = 1_700_000_000_000
PUBLIC, SECOND = ip_address("8.8.8.8"), ip_address("2606:4700::1111")


class DecideTests(SynchronousTestCase):
    def setUp(self):
        self.prover = PrivateKey.generate()
        self.peer = PrivateKey.generate().peer_id
        self.policy = Policy(
            zone=ZONE,
            issuer=PrivateKey.generate().peer_id,
            trust=trust_in(own_keys([self.prover.peer_id])),
            cryptos=[ECDSA_P256, RSA],
            names="addresses",
            allow_private=False,
            require_nonce=False,
        )
        self.own = name_for_peer(self.peer, ZONE)
        self.csr_key = make_key(ECDSA_P256)

    def proof(self, *addresses, key=None, peer=None, now_ms=NOW_MS, **binding):
        return make_proof(key or self.prover, peer or self.peer, addresses or [PUBLIC], now_ms, **binding)

    def request(self, *proofs, cryptos=(ECDSA_P256, RSA), names=None):
        csr = None if names is None else make_csr(self.csr_key, names)
        return IssueRequest(proofs=proofs, supportedCryptos=cryptos, csr=csr)

    def decide(self, request, nonces=None, policy=None, address=None):
        return decide(request, Visit(self.peer, nonces or {}, NOW_MS, address), policy or self.policy)

    def order(self, request, **options):
        return self.decide(request, **options).order

    def refused(self, request, code, reason, **options):
        refusal = self.assertRaises(Refusal, self.decide, request, **options)
        self.assertEqual(refusal.code, code, refusal)
        self.assertIn(reason, str(refusal))

    # What is ordered.

    def test_without_csr_all_proven_names_are_ordered(self):
        """A client of 2018 gets the names of all its addresses and its own, with the best common algorithm."""
        decision = self.decide(self.request(self.proof(PUBLIC), self.proof(SECOND)))
        order = decision.order
        expected = {name_for_address(PUBLIC, ZONE), name_for_address(SECOND, ZONE), self.own}
        self.assertEqual(set(order.names), expected)
        self.assertEqual((order.crypto, order.csr, order.common_name), (ECDSA_P256, None, self.own))
        self.assertEqual(decision.evidence.nonces, frozenset())

    def test_rsa_only_gets_rsa(self):
        """The algorithm is one that the client supports."""
        self.assertEqual(self.order(self.request(self.proof(), cryptos=[RSA])).crypto, RSA)

    def test_with_csr_exactly_its_names_are_ordered(self):
        """The CSR's names may be fewer than the proven ones."""
        name = name_for_address(PUBLIC, ZONE)
        order = self.order(self.request(self.proof(PUBLIC, SECOND), names=[name.upper()]))
        self.assertEqual(order.names, (name,))
        self.assertEqual(order.csr.names, {name})

    def test_the_policy_says_which_names(self):
        """`peer` gives the peer's own name and its wildcard, `both` everything."""
        address = name_for_address(PUBLIC, ZONE)
        wildcard = wildcard_for_peer(self.peer, ZONE)
        for names, expected in (("peer", {self.own, wildcard}), ("both", {self.own, wildcard, address})):
            order = self.order(self.request(self.proof()), policy=replace(self.policy, names=names))
            self.assertEqual(set(order.names), expected)

    def test_nonces_are_told(self):
        """The nonces of the proofs are used up by the request, and no others."""
        proof = self.proof(issuer=self.policy.issuer.multihash, nonce=b"a")
        evidence = self.decide(self.request(proof, self.proof()), {b"a": NOW_MS, b"b": NOW_MS}).evidence
        self.assertEqual(evidence.nonces, {b"a"})
        self.assertEqual(evidence.digests, {hashlib.sha256(self.proof().proof).digest()})

    # What is refused.

    def test_no_proof(self):
        """Without a proof there is nothing to certify."""
        self.refused(self.request(), E_INVALID_PROOF, "no proof")

    def test_a_proof_for_another_peer(self):
        """A stolen proof is worth nothing: it must be for the peer on this connection."""
        self.refused(self.request(self.proof(peer=PrivateKey.generate().peer_id)), E_INVALID_PROOF, "another peer")

    def test_an_expired_proof_and_one_from_the_future(self):
        """Five minutes either way, to the millisecond."""
        self.decide(self.request(self.proof(now_ms=NOW_MS - VALID_MS)))
        self.decide(self.request(self.proof(now_ms=NOW_MS + VALID_MS)))
        self.refused(self.request(self.proof(now_ms=NOW_MS - VALID_MS - 1)), E_INVALID_PROOF, "too old")
        self.refused(self.request(self.proof(now_ms=NOW_MS + VALID_MS + 1)), E_INVALID_PROOF, "future")

    def test_a_forged_proof(self):
        """Only the proof servers of the configuration are trusted, and nothing may be changed."""
        self.refused(self.request(self.proof(key=PrivateKey.generate())), E_INVALID_PROOF, "trusted")
        changed = self.proof(PUBLIC)
        changed.proof = changed.proof.replace(b"8.8.8.8", b"8.8.4.4")
        self.refused(self.request(changed), E_INVALID_PROOF, "trusted")

    def test_one_bad_proof_spoils_the_request(self):
        """Good proofs beside a bad one don't help."""
        self.refused(self.request(self.proof(), self.proof(now_ms=0)), E_INVALID_PROOF, "too old")

    def test_a_private_address(self):
        """No certificate for loopback and private addresses, unless the operator allows them."""
        request = self.request(self.proof(ip_address("192.168.1.1")))
        self.refused(request, E_INVALID_PROOF, "192.168.1.1 is not a public address")
        self.decide(request, policy=replace(self.policy, allow_private=True))

    def test_a_proof_for_another_issuer_or_visit(self):
        """A proof that names an issuer or a nonce is good there and then alone."""
        other = PrivateKey.generate().peer_id.multihash
        self.refused(self.request(self.proof(issuer=other)), E_INVALID_PROOF, "another issue server")
        self.refused(self.request(self.proof(nonce=b"x")), E_INVALID_PROOF, "nonce")
        strict = replace(self.policy, require_nonce=True)
        self.refused(self.request(self.proof()), E_INVALID_PROOF, "nonce", policy=strict)

    def test_too_many_proofs(self):
        """The work of one request is bounded."""
        self.refused(self.request(*[self.proof()] * (MAX_PROOFS_PER_SERVER + 1)), E_INVALID_PROOF, "more than")

    def test_no_common_algorithm(self):
        """Nothing in common is E_NO_MATCHING_CRYPTO, with a CSR and without."""
        policy = replace(self.policy, cryptos=[RSA])
        request = self.request(self.proof(), cryptos=[ECDSA_P256])
        self.refused(request, E_NO_MATCHING_CRYPTO, "no common key algorithm", policy=policy)
        with_csr = self.request(self.proof(), cryptos=[ECDSA_P256], names=[self.own])
        self.refused(with_csr, E_NO_MATCHING_CRYPTO, "no common key algorithm", policy=policy)

    def test_a_csr_key_that_was_not_offered(self):
        """The CSR's key must be of an algorithm that both sides named."""
        request = self.request(self.proof(), cryptos=[RSA], names=[self.own])
        self.refused(request, E_NO_MATCHING_CRYPTO, "not of an offered algorithm")

    def test_a_csr_with_a_name_that_was_not_proven(self):
        """Another address, another peer, a wildcard, the zone itself: none of them is proven."""
        others = (
            name_for_address(SECOND, ZONE),
            name_for_peer(PrivateKey.generate().peer_id, ZONE),
            wildcard_for_peer(self.peer, ZONE),
            ZONE,
            f"*.{ZONE}",
            f"*.{name_for_address(PUBLIC, ZONE)}",
            name_for_address(PUBLIC, "evil.example"),
        )
        for name in others:
            self.refused(self.request(self.proof(), names=[self.own, name]), E_NOT_AUTHORIZED, "not proven")
