"""Whatever is asked with whatever proofs: every name in every order follows from the peer and its proofs."""

from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.addresses import is_public
from nodetrust.certificates import make_csr, make_key
from nodetrust.issue.decide import MAX_NAMES, Policy, decide
from nodetrust.issue.errors import Refusal
from nodetrust.issue.evidence.trust import own_keys, trust_in
from nodetrust.issue.evidence.weigh import Visit
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.lists.entries import Entries
from nodetrust.lists.lists import NO_LISTS, Lists
from nodetrust.lists.prefixes import PrefixSet, read_network
from nodetrust.messages import E_INVALID_PROOF, E_NOT_AUTHORIZED, ECDSA_P256, RSA, IssueRequest
from nodetrust.names import (
    MAX_CERTIFICATE_LABELS,
    address_from_label,
    check_certificate_name,
    name_for_address,
    name_for_peer,
    peer_from_label,
    wildcard_for_peer,
)
from nodetrust.proofs import VALID_MS, make_proof

NOW_MS = 1_790_000_000_000
SERVERS = [PrivateKey.from_seed(bytes([n]) * 32) for n in range(1, 4)]
STRANGER = PrivateKey.from_seed(b"\x09" * 32)
PEERS = [PrivateKey.from_seed(bytes([n]) * 32).peer_id for n in range(10, 13)]
PEER = PEERS[0]
ISSUER, OTHER_ISSUER = (PrivateKey.from_seed(bytes([n]) * 32).peer_id for n in (20, 21))
CSR_KEY = make_key(ECDSA_P256)

GOOD_ZONES = ["nt.example.org", "x.org", "a.b.c.d.e.f.g.example", "a" * 60 + ".example"]
ZONES = st.sampled_from([*GOOD_ZONES, "under_score.example"])
CHOICES = st.sampled_from(["addresses", "peer", "both"])
ADDRESSES = st.one_of(
    st.sampled_from([ip_address(text) for text in ("8.8.8.8", "8.8.4.4", "2606:4700::1111", "2606:4700::", "1.1.1.1")]),
    st.ip_addresses(v=4, network="8.0.0.0/8"),
    st.ip_addresses(v=6, network="2606:4700::/32"),
    st.ip_addresses(),
).filter(lambda ip: ip.version == 4 or ip.ipv4_mapped is None)
SOME = st.lists(ADDRESSES, min_size=1, max_size=3)

# Of each proof: which server, for which peer, where, how old, for whom, with a nonce or not. Mostly right.
PROOFS = st.lists(
    st.tuples(
        st.sampled_from([*SERVERS, *SERVERS, *SERVERS, STRANGER]),
        st.sampled_from([0, 0, 0, 0, 0, 0, 1]),
        SOME,
        st.sampled_from([0, 0, 0, 0, 1000, VALID_MS, VALID_MS + 1]),
        st.sampled_from([None, None, ISSUER, ISSUER, OTHER_ISSUER]),
        st.sampled_from([None, None, b"given", b"given", b"other"]),
    ),
    max_size=5,
)
RIGHT_PROOFS = st.lists(
    st.tuples(
        st.sampled_from(SERVERS),
        st.just(0),
        SOME,
        st.integers(-VALID_MS, VALID_MS),
        st.sampled_from([None, ISSUER]),
        st.sampled_from([None, b"given"]),
    ),
    min_size=1,
    max_size=5,
)


@st.composite
def visits(draw):
    """A policy, proofs, and a request with them; names that are right, and names that are not."""
    zone, choice = draw(ZONES), draw(CHOICES)
    denied = draw(st.sampled_from([(), (), (), ("8.8.4.4/32",), ("2606:4700::/48",)]))
    lists = Lists(Entries(PrefixSet(map(read_network, denied))), Entries()) if denied else NO_LISTS
    policy = Policy(
        zone=zone,
        issuer=ISSUER,
        trust=trust_in(own_keys(key.peer_id for key in SERVERS), draw(st.integers(1, 3)), lists),
        cryptos=[ECDSA_P256, RSA],
        names=choice,
        allow_private=draw(st.booleans()),
        require_nonce=draw(st.sampled_from([False, False, True])),
    )
    proofs = draw(PROOFS)
    return policy, proofs, request_with(proofs, draw(names_for(proofs, zone)))


@st.composite
def names_for(draw, proofs, zone):
    spoken_of = [address for _, _, addresses, *_ in proofs for address in addresses] + [ip_address("9.9.9.9")]
    possible = [
        *(name_for_address(address, zone) for address in spoken_of),
        *(form(other, zone) for other in PEERS for form in (name_for_peer, wildcard_for_peer)),
    ]
    return draw(st.none() | st.lists(st.sampled_from(possible), min_size=1, max_size=4, unique=True))


def request_with(proofs, names=None):
    return IssueRequest(
        proofs=[
            make_proof(key, PEERS[of], seen, NOW_MS - age, issuer=issuer and issuer.multihash, nonce=nonce)
            for key, of, seen, age, issuer, nonce in proofs
        ],
        supportedCryptos=[ECDSA_P256],
        csr=None if names is None else make_csr(CSR_KEY, names),
    )


def vouched_for(proofs, quorum):
    """The addresses that enough servers saw the first peer at, worked out in another way."""
    addresses = {address for _, _, seen, *_ in proofs for address in seen}
    return {
        address
        for address in addresses
        if len({key.peer_id for key, _, seen, *_ in proofs if address in seen}) >= quorum
    }


def is_right(proof, policy):
    key, of, seen, age, issuer, nonce = proof
    return (
        key in SERVERS
        and of == 0
        and age <= VALID_MS
        and issuer in (None, ISSUER)
        and nonce in (None, b"given")
        and (nonce is not None or not policy.require_nonce)
        and (policy.allow_private or all(map(is_public, seen)))
    )


class EveryOrderTests(SynchronousTestCase):
    def decide(self, visit):
        policy, _, request = visit
        return decide(request, Visit(PEER, {b"given": NOW_MS - 10_000}, NOW_MS), policy).order

    @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(visits())
    def test_names_follow_from_peer_and_proofs(self, visit) -> None:
        """Each is of this peer, or of an address that enough servers vouch for and nobody denies; the CA signs each."""
        policy, proofs, _ = visit
        try:
            order = self.decide(visit)
        except Refusal as refusal:
            self.assertIn(refusal.code, (E_INVALID_PROOF, E_NOT_AUTHORIZED))
            return
        self.assertTrue(proofs and all(is_right(proof, policy) for proof in proofs))
        counted = vouched_for(proofs, policy.trust.quorum)
        self.assertEqual(set(order.addresses), counted)
        self.assertTrue(0 < len(order.names) <= MAX_NAMES)
        self.assertEqual(order.names, tuple(sorted(set(order.names))))
        for name in order.names:
            check_certificate_name(name)
            self.assertLessEqual(name.count(".") + 1, MAX_CERTIFICATE_LABELS)
            self.assert_follows(name, counted, policy)
        self.assertEqual(order.common_name, name_for_peer(PEER, policy.zone))

    def assert_follows(self, name, counted, policy) -> None:
        self.assertTrue(name.endswith("." + policy.zone))
        front = name.removesuffix("." + policy.zone)
        wildcard, label = front.startswith("*."), front.removeprefix("*.")
        self.assertNotIn(".", label)
        address = address_from_label(label)
        if address is None:
            self.assertEqual(peer_from_label(label), PEER)
            self.assertTrue(not wildcard or policy.names in ("peer", "both"))
            return
        self.assertFalse(wildcard)
        self.assertIn(policy.names, ("addresses", "both"))
        self.assertIn(address, counted)
        self.assertTrue(policy.allow_private or is_public(address))
        self.assertFalse(policy.trust.lists.deny(address.packed))

    @settings(max_examples=100, deadline=None)
    @given(RIGHT_PROOFS, st.sampled_from(GOOD_ZONES), CHOICES, st.integers(1, 3))
    def test_what_is_right_is_ordered(self, proofs, zone, choice, quorum) -> None:
        """What enough servers vouch for is ordered, all of it: the rule above does not hold for lack of orders."""
        trust = trust_in(own_keys(key.peer_id for key in SERVERS), quorum)
        policy = Policy(zone, ISSUER, trust, [ECDSA_P256], choice, allow_private=True, require_nonce=False)
        counted = vouched_for(proofs, quorum)
        if not counted:
            refusal = self.assertRaises(Refusal, self.decide, (policy, proofs, request_with(proofs)))
            self.assertEqual(refusal.code, E_INVALID_PROOF)
            return
        order = self.decide((policy, proofs, request_with(proofs)))
        expected = {name_for_peer(PEER, zone)}
        if choice != "peer":
            expected |= {name_for_address(address, zone) for address in counted}
        if choice != "addresses":
            expected.add(wildcard_for_peer(PEER, zone))
        self.assertEqual((set(order.names), set(order.addresses)), (expected, counted))

    @given(st.lists(st.ip_addresses(), max_size=8), ZONES)
    def test_our_csrs_have_no_common_name(self, addresses: list[IPv4Address | IPv6Address], zone: str) -> None:
        """So none can be longer than 64 octets, whatever the names."""
        names = [name_for_peer(PEER, zone), *(name_for_address(address, zone) for address in addresses)]
        csr = x509.load_der_x509_csr(make_csr(CSR_KEY, names))
        self.assertEqual(list(csr.subject), [])
