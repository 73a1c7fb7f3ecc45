"""Proofs: those of 2018 hold, ours hold, and each way to cheat has its own reason."""

from ipaddress import IPv4Address, IPv6Address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.keys import PrivateKey, PublicKey
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import Address, IPv4, IPv6, IssueRequest, Proof, ProofResponse, ProofWrapper, parse
from nodetrust.proofs import MAX_ADDRESSES, VALID_MS, InvalidProof, Proven, Reason, check_proof, make_proof
from tests import vectors

V2018 = vectors.load("nodetrust-2018.json")
SERVER, OTHER_SERVER, PEER_KEY = (PrivateKey.from_seed(bytes((n,)) * 32) for n in (1, 2, 3))
PEER, STRANGER = PEER_KEY.peer_id, PrivateKey.from_seed(b"\4" * 32).peer_id
ISSUER, OTHER_ISSUER = (PrivateKey.from_seed(bytes((n,)) * 32).peer_id for n in (5, 6))
NOW = 1_790_000_000_000
V4, V6 = IPv4Address("55.184.93.26"), IPv6Address("2001:db8::1")


def check(wrapper: ProofWrapper, **changes: Any) -> Proven:
    facts: dict[str, Any] = {
        "trusted": {key.peer_id: key.public_key for key in (OTHER_SERVER, SERVER)},
        "peer_id": PEER,
        "now_ms": NOW,
        "issuer": ISSUER,
    }
    return check_proof(wrapper, **(facts | changes))


def sign(proof: Proof | bytes) -> ProofWrapper:
    data = proof if isinstance(proof, bytes) else proof.SerializePartialToString()
    return ProofWrapper(proof=data, signature=SERVER.sign(data))


def proof_of(*addresses: tuple[Any, str]) -> ProofWrapper:
    addrs = [Address(type=kind, address=text) for kind, text in addresses]
    return sign(Proof(id=PEER.multihash, timestamp=NOW, addrs=addrs))


class ValidTests(SynchronousTestCase):
    def test_2018(self) -> None:
        """The proofs that JavaScript signed in 2018 are valid, and ours are the same to the byte."""
        for name in ("rsa2048", "ed25519"):
            vector = V2018["messages"][f"proof_wrapper_{name}"]
            fields = vector["fields"]
            key = PublicKey.from_protobuf(bytes.fromhex(V2018["peers"][name]["public_key_protobuf"]))
            peer = PeerId(bytes.fromhex(fields["id"]))
            wrappers = [
                parse(ProofWrapper, bytes.fromhex(vector["message"])),
                parse(ProofResponse, bytes.fromhex(V2018["messages"][f"proof_response_{name}"]["message"])).proof,
                parse(IssueRequest, bytes.fromhex(V2018["messages"][f"issue_request_{name}"]["message"])).proofs[0],
            ]
            for wrapper in wrappers:
                self.assertEqual(wrapper.proof.hex(), fields["signed_bytes"])
                proven = check(wrapper, trusted={key.peer_id: key}, peer_id=peer, now_ms=fields["timestamp"])
                self.assertEqual((proven.addresses, proven.signer, proven.nonce), ((V4, V6), key.peer_id, None))
            private = PrivateKey.from_protobuf(bytes.fromhex(V2018["peers"][name]["private_key_protobuf"]))
            made = make_proof(private, peer, [V4, V6], fields["timestamp"])
            self.assertEqual(made.SerializeToString().hex(), vector["message"])

    @given(
        st.lists(st.ip_addresses(), min_size=1, max_size=MAX_ADDRESSES), st.none() | st.binary(min_size=1, max_size=16)
    )
    def test_round_trip(self, addresses: list[Any], nonce: bytes | None) -> None:
        """What was seen comes back, each address once and in order, with the signer and the nonce."""
        addresses = [ip for ip in addresses if ip.version == 4 or ip.ipv4_mapped is None] or [V4]
        wrapper = make_proof(SERVER, PEER, addresses, NOW, issuer=ISSUER.multihash, nonce=nonce)
        again = parse(ProofWrapper, wrapper.SerializeToString())
        proven = check(again, nonces={nonce} if nonce else (), require_nonce=nonce is not None)
        self.assertEqual(proven, Proven(tuple(dict.fromkeys(addresses)), NOW, SERVER.peer_id, nonce))

    def test_bytes_as_they_arrived(self) -> None:
        """A proof that another encoder wrote in another order, with a field we do not know, is checked as it is."""
        address = b"\x1a\x10\x12\x0c55.184.93.26\x08\x01"
        data = address + b"\x10" + b"\x80\xb0\xbe\xa2\x8c\x34" + b"\x0a\x26" + PEER.multihash + b"\xf8\x01\x07"
        timestamp = Proof.FromString(data).timestamp
        self.assertEqual(check(sign(data), now_ms=timestamp).addresses, (V4,))
        self.assertNotEqual(Proof.FromString(data).SerializeToString(), data)

    def test_five_minutes(self) -> None:
        """Five minutes either way are allowed, to the millisecond."""
        wrapper = make_proof(SERVER, PEER, [V4], NOW)
        for now in (NOW - VALID_MS, NOW + VALID_MS):
            self.assertEqual(check(wrapper, now_ms=now).addresses, (V4,))
        self.assertEqual(VALID_MS, 300_000)


class RefusedTests(SynchronousTestCase):
    def refuse(self, reason: Reason, wrapper: ProofWrapper, **changes: Any) -> None:
        error = self.assertRaises(InvalidProof, check, wrapper, **changes)
        self.assertIs(error.reason, reason)
        self.assertIn(reason.value, str(error))

    def test_reasons_are_told_apart(self) -> None:
        """No two reasons read the same."""
        self.assertEqual(len({reason.value for reason in Reason}), len(Reason))

    def test_signer(self) -> None:
        """A server that is not trusted, none trusted at all, no signature, and another proof's signature."""
        wrapper = make_proof(SERVER, PEER, [V4], NOW)
        other = make_proof(SERVER, STRANGER, [V4], NOW)
        self.refuse(Reason.NOT_SIGNED_BY_TRUSTED, make_proof(PEER_KEY, PEER, [V4], NOW))
        self.refuse(Reason.NOT_SIGNED_BY_TRUSTED, wrapper, trusted={})
        for signature in (b"", bytes(64), other.signature, wrapper.signature + b"\0"):
            self.refuse(Reason.NOT_SIGNED_BY_TRUSTED, ProofWrapper(proof=wrapper.proof, signature=signature))

    def test_every_byte_counts(self) -> None:
        """Any changed byte of the proof or its signature refuses it; where nothing else is wrong, as not signed."""
        wrapper = make_proof(SERVER, PEER, [V4, V6], NOW, issuer=ISSUER.multihash, nonce=b"n" * 16)
        for field in ("proof", "signature"):
            for position in range(len(getattr(wrapper, field))):
                changed = bytearray(getattr(wrapper, field))
                changed[position] ^= 1
                forged = ProofWrapper(proof=wrapper.proof, signature=wrapper.signature)
                setattr(forged, field, bytes(changed))
                error = self.assertRaises(InvalidProof, check, forged, nonces={b"n" * 16})
                if field == "signature":
                    self.assertIs(error.reason, Reason.NOT_SIGNED_BY_TRUSTED)
        moved = wrapper.proof.replace(b"55.184.93.26", b"55.184.93.27")
        forged = ProofWrapper(proof=moved, signature=wrapper.signature)
        self.refuse(Reason.NOT_SIGNED_BY_TRUSTED, forged, nonces={b"n" * 16})

    def test_time(self) -> None:
        """One millisecond past five minutes is too old, or from the future."""
        wrapper = make_proof(SERVER, PEER, [V4], NOW)
        self.refuse(Reason.EXPIRED, wrapper, now_ms=NOW + VALID_MS + 1)
        self.refuse(Reason.FROM_THE_FUTURE, wrapper, now_ms=NOW - VALID_MS - 1)
        for timestamp in (0, -1, -(1 << 63), (1 << 63) - 1):
            with self.assertRaises(InvalidProof):
                check(make_proof(SERVER, PEER, [V4], timestamp))

    def test_other_peer(self) -> None:
        """A stolen proof is worth nothing to the thief; neither is one whose peer ID is cut or empty."""
        self.refuse(Reason.OTHER_PEER, make_proof(SERVER, PEER, [V4], NOW), peer_id=STRANGER)
        for data in (b"", PEER.multihash[:-1], PEER.multihash + b"\0"):
            self.refuse(
                Reason.OTHER_PEER, sign(Proof(id=data, timestamp=NOW, addrs=[Address(type=IPv4, address=str(V4))]))
            )

    def test_other_issuer(self) -> None:
        """A proof that names an issue server is for that one alone; an empty name is nobody's."""
        self.refuse(Reason.OTHER_ISSUER, make_proof(SERVER, PEER, [V4], NOW, issuer=OTHER_ISSUER.multihash))
        self.refuse(Reason.OTHER_ISSUER, make_proof(SERVER, PEER, [V4], NOW, issuer=b""))

    def test_nonce(self) -> None:
        """A nonce must be one that is open, also where none is required; where one is required it must be there."""
        plain = make_proof(SERVER, PEER, [V4], NOW)
        bound = make_proof(SERVER, PEER, [V4], NOW, nonce=b"one")
        self.refuse(Reason.NO_NONCE, plain, require_nonce=True, nonces={b"one"})
        for nonces in ((), {b"two"}, {b""}):
            self.refuse(Reason.UNKNOWN_NONCE, bound, nonces=nonces)
        self.refuse(Reason.UNKNOWN_NONCE, make_proof(SERVER, PEER, [V4], NOW, nonce=b""), nonces={b"one"})
        self.assertEqual(check(bound, nonces={b"one", b"two"}, require_nonce=True).nonce, b"one")

    def test_malformed(self) -> None:
        """Even a trusted server's signature does not make a proof of bytes that are none."""
        for data in (b"", b"\xff", b"\x0a\x26" + PEER.multihash, b"\x10\x01", PEER.multihash):
            self.refuse(Reason.MALFORMED, sign(data))

    def test_addresses(self) -> None:
        """No addresses, too many, text that is none or of the other family, zones, and IPv4 in IPv6's clothes."""
        self.refuse(Reason.NO_ADDRESSES, proof_of())
        self.refuse(Reason.TOO_MANY_ADDRESSES, proof_of(*[(IPv4, "1.2.3.4")] * (MAX_ADDRESSES + 1)))
        for kind, text in (
            (IPv4, ""),
            (IPv4, "1.2.3"),
            (IPv4, "1.2.3.256"),
            (IPv4, "01.2.3.4"),
            (IPv4, "1.2.3.4/32"),
            (IPv4, "1.2.3.4\n"),
            (IPv4, "١.2.3.4"),
            (IPv4, "::1"),
            (IPv6, "1.2.3.4"),
            (IPv6, "fe80::1%eth0"),
            (IPv6, ":::"),
            (IPv6, "x" * 1000),
        ):
            self.refuse(Reason.MALFORMED_ADDRESS, proof_of((IPv4, "1.2.3.4"), (kind, text)))
        self.refuse(Reason.IPV4_MAPPED, proof_of((IPv6, "::ffff:1.2.3.4")))
        self.refuse(Reason.IPV4_MAPPED, proof_of((IPv6, "::ffff:102:304")))
