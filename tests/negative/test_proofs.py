"""Proofs that the issue server refuses: all with E_INVALID_PROOF, and with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nodetrust.addresses import IPV4_SPECIAL, IPV6_SPECIAL
from nodetrust.issue.evidence.trust import own_keys, trust_in
from nodetrust.libp2p.keys import KeyType, PrivateKey
from nodetrust.messages import E_INVALID_PROOF, OK, Address, IPv4, IPv6, ProofWrapper
from nodetrust.proofs import VALID_MS
from tests.negative.issuer import (
    ISSUER,
    NOW_MS,
    OTHER_V4,
    PEER,
    ROTATED,
    SECP_SERVER,
    SERVER,
    STOLEN,
    STRANGER,
    THIEF,
    V4,
    V6,
    V6_NAME,
    Issuer,
    RefusalCase,
    content,
    proof_of,
    request,
    signed,
)

NOT_SIGNED = "not signed by a trusted proof server"
NOT_A_PROOF = "it is not a proof"
OTHER_PEER = "another peer"
OTHER_ISSUER = "another issue server"
NONCE = "its nonce is unknown, used or too old"
NO_ADDRESS = "an address that is none"
PRIVATE = "not a public address"

_ORDER = 2**252 + 27742317777372353535851937790883648493
"""Of the group in which Ed25519 signs (RFC 8032 §5.1)."""

ID = PEER.peer_id.multihash


def with_signature(change: Callable[[bytes], bytes]) -> ProofWrapper:
    """A good proof with another signature."""
    good = proof_of()
    return ProofWrapper(proof=good.proof, signature=change(good.signature))


def with_proof(change: Callable[[bytes], bytes], *addresses: object, **binding: object) -> ProofWrapper:
    """A good signature under other bytes."""
    good = proof_of(*addresses, **binding)
    return ProofWrapper(proof=change(good.proof), signature=good.signature)


def spliced(one: ProofWrapper, other: ProofWrapper) -> ProofWrapper:
    """The content of one with the signature of the other."""
    return ProofWrapper(proof=one.proof, signature=other.signature)


def second_form(signature: bytes) -> bytes:
    """The same signature with S + L instead of S, which verifies where nobody looks at its size."""
    return signature[:32] + (int.from_bytes(signature[32:], "little") + _ORDER).to_bytes(32, "little")


SIGNATURES: dict[str, ProofWrapper] = {
    "signed by the peer itself": proof_of(key=PEER),
    "signed by a stranger": proof_of(key=STRANGER),
    "signed by the issue server": proof_of(key=ISSUER),
    "signed with the own key of a server that has another now": proof_of(key=ROTATED),
    "signed by a server that is trusted with no key": proof_of(key=STOLEN),
    "signed by a stranger's RSA key": proof_of(key=PrivateKey.generate(KeyType.RSA)),
    "signed by a stranger's ECDSA key": proof_of(key=PrivateKey.generate(KeyType.ECDSA)),
    "signed by a stranger's secp256k1 key": proof_of(key=PrivateKey.generate(KeyType.SECP256K1)),
    "no signature": with_signature(lambda _: b""),
    "a signature of zeros": with_signature(lambda _: bytes(64)),
    "a signature of ones": with_signature(lambda _: b"\xff" * 64),
    "a signature that is cut": with_signature(lambda s: s[:-1]),
    "half a signature": with_signature(lambda s: s[:32]),
    "a signature with an octet more": with_signature(lambda s: s + b"\0"),
    "a signature twice": with_signature(lambda s: s * 2),
    "a signature with its halves swapped": with_signature(lambda s: s[32:] + s[:32]),
    "a signature in its second form": with_signature(second_form),
    "a signature with R of small order": with_signature(lambda s: b"\x01" + bytes(31) + s[32:]),
    "a signature with S = 0": with_signature(lambda s: s[:32] + bytes(32)),
    "a signature in hexadecimal": with_signature(lambda s: s.hex().encode()),
    "a megabyte's beginning of a signature": with_signature(lambda s: s * 300),
    "the signature of a proof for another address": spliced(proof_of(V4), proof_of(OTHER_V4)),
    "the signature of a proof for another peer": spliced(proof_of(V4), proof_of(V4, peer=THIEF)),
    "the signature of an older proof": spliced(proof_of(V4), proof_of(V4, now_ms=NOW_MS - 1)),
    "a secp256k1 signature cut": spliced(
        proof_of(V4), ProofWrapper(proof=b"", signature=proof_of(V4, key=SECP_SERVER).signature[:-1])
    ),
    "a signature under the name of another protocol": ProofWrapper(
        proof=proof_of().proof, signature=SERVER.sign(b"noise-libp2p-static-key:" + proof_of().proof)
    ),
}

CHANGED: dict[str, ProofWrapper] = {
    "another address": with_proof(lambda p: p.replace(b"8.8.8.8", b"8.8.8.9")),
    "another family": with_proof(lambda p: p.replace(b"\x08\x02\x12", b"\x08\x01\x12"), V6),
    "an address more": with_proof(lambda p: p + b"\x1a\x0b\x08\x01\x12\x078.8.4.4"),
    "the same address twice": with_proof(lambda p: p + b"\x1a\x0b\x08\x01\x12\x078.8.8.8"),
    "a later time": with_proof(lambda p: p + b"\x10" + content().SerializeToString()[41:47]),
    "the nonce taken away": with_proof(lambda p: p[:-4], nonce=b"no"),
    "the issuer taken away": with_proof(lambda p: p[:-40], issuer=ISSUER.peer_id.multihash),
    "an issuer put in": with_proof(lambda p: p + b"\x22\x26" + ISSUER.peer_id.multihash),
    "an unknown field": with_proof(lambda p: p + b"\xf8\x01\x07"),
    "an unknown group": with_proof(lambda p: p + b"\xfb\x01\xfc\x01"),
    "the peer's ID once more": with_proof(lambda p: p + b"\x0a\x26" + ID),
    "a length in more octets than it needs": with_proof(lambda p: p.replace(b"\x0a\x26" + ID, b"\x0a\xa6\x00" + ID)),
    "a stolen proof with the thief's ID": with_proof(
        lambda p: p.replace(STRANGER.peer_id.multihash, ID), peer=STRANGER
    ),
    "a stolen proof with the thief's ID behind it": with_proof(lambda p: p + b"\x0a\x26" + ID, peer=STRANGER),
}

BROKEN: dict[str, ProofWrapper] = {
    "nothing": signed(b""),
    "text": signed(b"8.8.8.8"),
    "no ID": signed(content(id=None)),
    "no time": signed(content(timestamp=None)),
    "an address without a type": signed(b"\x0a\x26" + ID + b"\x10\x01\x1a\x09\x12\x078.8.8.8"),
    "an address without text": signed(b"\x0a\x26" + ID + b"\x10\x01\x1a\x02\x08\x01"),
    "an address of an unknown type": signed(b"\x0a\x26" + ID + b"\x10\x01\x1a\x0b\x08\x03\x12\x078.8.8.8"),
    "an address that is not UTF-8": signed(b"\x0a\x26" + ID + b"\x10\x01\x1a\x0b\x08\x01\x12\x07\xff.8.8.8"),
    "an ID that ends early": signed(b"\x0a\x26" + ID[:-1]),
    "a field with number 0": signed(content().SerializeToString() + b"\x00\x00"),
    "a group that does not end": signed(content().SerializeToString() + b"\xfb\x01"),
    "the end of a group": signed(content().SerializeToString() + b"\xfc\x01"),
    "a varint without an end": signed(b"\x0a\x26" + ID + b"\x10" + b"\xff" * 11),
    "the wrapper in itself": signed(proof_of().SerializeToString()),
}

PEERS: dict[str, ProofWrapper] = {
    "another peer": proof_of(peer=THIEF),
    "no peer": signed(content(id=b"")),
    "an ID that is cut": signed(content(id=ID[:-1])),
    "an ID with an octet more": signed(content(id=ID + b"\0")),
    "an ID as text": signed(content(id=str(PEER.peer_id).encode())),
    "an ID as a CID": signed(content(id=b"\x01\x72" + ID)),
    "the key without its ID": signed(content(id=PEER.public_key.raw)),
    "an ID in another case": signed(content(id=ID.swapcase())),
    "the issue server": proof_of(peer=ISSUER),
}

ISSUERS: dict[str, ProofWrapper] = {
    "another server": proof_of(issuer=STRANGER.peer_id.multihash),
    "the peer": proof_of(issuer=ID),
    "nobody": proof_of(issuer=b""),
    "an ID that is cut": proof_of(issuer=ISSUER.peer_id.multihash[:-1]),
    "an ID with an octet more": proof_of(issuer=ISSUER.peer_id.multihash + b"\0"),
    "an ID as text": proof_of(issuer=str(ISSUER.peer_id).encode()),
}

TIMES: dict[str, tuple[ProofWrapper, str]] = {
    "a millisecond too old": (proof_of(now_ms=NOW_MS - VALID_MS - 1), "too old"),
    "a millisecond too new": (proof_of(now_ms=NOW_MS + VALID_MS + 1), "from the future"),
    "an hour old": (proof_of(now_ms=NOW_MS - 3_600_000), "3600.0 seconds behind the clock of issue server"),
    "an hour ahead": (proof_of(now_ms=NOW_MS + 3_600_000), "3600.0 seconds ahead of the clock of issue server"),
    "whose clock": (proof_of(now_ms=0), f"proof server {SERVER.peer_id} dated it"),
    "the year 1970": (proof_of(now_ms=0), "too old"),
    "before 1970": (proof_of(now_ms=-1), "too old"),
    "the least number": (proof_of(now_ms=-(1 << 63)), "too old"),
    "the largest number": (proof_of(now_ms=(1 << 63) - 1), "from the future"),
    "seconds for milliseconds": (proof_of(now_ms=NOW_MS // 1000), "too old"),
    "microseconds for milliseconds": (proof_of(now_ms=NOW_MS * 1000), "from the future"),
}


def address(kind: int, text: str) -> ProofWrapper:
    """A proof for whatever text."""
    return signed(content(addrs=[Address(type=kind, address=text)]))  # type: ignore[arg-type]  # an int is an enum here


MALFORMED_V4 = (
    "",
    " ",
    "8.8.8",
    "8.8.8.",
    "8.8.8.8.",
    "8.8.8.8.8",
    "8.8.8.256",
    "8.8.8.-1",
    "08.8.8.8",
    "8.8.8.010",
    "0x8.8.8.8",
    "134744072",
    "8.8.2056",
    "8.8.8.8/32",
    "8.8.8.8:80",
    "8.8.8.8\n",
    "8.8.8.8\0",
    " 8.8.8.8",
    "8。8。8。8",
    "8.8.8.٨",
    "８.8.8.8",
    "8.8.8.8\u200b",
    "\u202e8.8.8.8",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "dns.google",
    "8" * 4000,
)

MALFORMED_V6 = (
    "",
    "8.8.8.8",
    ":",
    ":::",
    "2606:4700",
    "2606:4700::1111::",
    "2606:4700::11111",
    "2606:4700::111g",
    "2606:4700::1111/128",
    "[2606:4700::1111]",
    "2606:4700::1111%eth0",
    "fe80::1%1",
    "2606:4700::1111 ",
    "2606:4700::１",
    "2606：4700::1",
    "2606:4700::8.8.8.256",
    "1:2:3:4:5:6:7:8:9",
    ":" * 4000,
)


TUNNELS = ("64:ff9b::808:808", "64:ff9b:1::808:808", "2002:808:808::1", "2001:0:808:808::f7f7:f7f7", "::8.8.8.8")
"""A public IPv4 address inside each: NAT64, 6to4, Teredo, IPv4-compatible."""


def special() -> Iterator[str]:
    """The first and the last address of each block that is not public, but for those that stand for IPv4 addresses."""
    for block in IPV4_SPECIAL + IPV6_SPECIAL:
        if block.purpose != "IPv4-mapped":
            yield str(block.network[0])
            yield str(block.network[-1])


class ProofTests(RefusalCase):
    def refuse(self, row: str, reason: str, *proofs: ProofWrapper) -> None:
        self.assert_refused(row, request(*proofs), E_INVALID_PROOF, reason)

    def test_signatures(self) -> None:
        """Only the keys that are trusted now sign, and every octet of the signature counts."""
        for row, proof in SIGNATURES.items():
            self.refuse(row, NOT_SIGNED, proof)
        self.assert_serves()

    def test_changed_after_signing(self) -> None:
        """Nothing can be changed, added or taken away, also where the meaning would stay."""
        for row, proof in CHANGED.items():
            self.assert_refused(row, request(proof), E_INVALID_PROOF, "a proof is not valid")
        self.assert_serves()

    def test_every_length(self) -> None:
        """A proof that ends anywhere too early is none."""
        good = proof_of(V4, V6)
        for length in range(len(good.proof)):
            cut = ProofWrapper(proof=good.proof[:length], signature=good.signature)
            self.refuse(f"{length} octets", "a proof is not valid", cut)
        self.assert_serves()

    def test_broken(self) -> None:
        """What a trusted server signed is still looked at."""
        for row, proof in BROKEN.items():
            self.refuse(row, NOT_A_PROOF, proof)
        self.assert_serves()

    def test_for_others(self) -> None:
        """A proof is for one peer, to the octet, and where it names an issue server for that one."""
        for row, proof in PEERS.items():
            self.refuse(row, OTHER_PEER, proof)
        for row, proof in ISSUERS.items():
            self.refuse(row, OTHER_ISSUER, proof)
        self.assert_serves()

    def test_times(self) -> None:
        """Five minutes either way; the refusal names the server and the difference."""
        for row, (proof, reason) in TIMES.items():
            self.refuse(row, reason, proof)
        self.refuse("2018", "behind the clock of", proof_of(now_ms=0))
        self.refuse("an old proof, or a clock", "as old as that, or one of the two clocks", proof_of(now_ms=0))
        self.refuse("a clock", f"{ISSUER.peer_id}: one of the two clocks is wrong", proof_of(now_ms=NOW_MS * 2))
        bound = proof_of(now_ms=0, nonce=self.issuer.nonce())
        self.refuse("a new proof, so a clock", f"{ISSUER.peer_id}: one of the two clocks is wrong", bound)
        self.assert_serves()

    def test_nonces(self) -> None:
        """A nonce is one that this server gave to this peer within a minute, and that was not used."""
        nonce, used, old = (self.issuer.nonce() for _ in range(3))
        self.issuer.protocol._nonces.use([used], self.issuer.clock.seconds())
        for row, wrong in {
            "none at all": b"",
            "made up": bytes(len(nonce)),
            "short": b"x",
            "long": b"x" * 4000,
            "another peer's": self.issuer.nonce(THIEF),
            "another server's, or from before a restart": Issuer().nonce(),
            "used": used,
            "cut": nonce[:-1],
            "with an octet more": nonce + b"\0",
            "with one bit changed": nonce[:-1] + bytes([nonce[-1] ^ 1]),
            "with another time": b"\0" + bytes([1]) + nonce[2:],
            "as text": nonce.hex().encode(),
        }.items():
            self.refuse(row, NONCE, proof_of(issuer=ISSUER.peer_id.multihash, nonce=wrong))
            self.refuse(row, NONCE, proof_of(nonce=wrong))
        self.issuer.clock.advance(60.001)
        self.refuse("a minute old", NONCE, proof_of(nonce=old))
        self.assert_serves()

    def test_no_nonce(self) -> None:
        """Where the operator asks for nonces, proofs of 2018 are refused."""
        self.issuer = Issuer(require_nonce=True)
        for proofs in ([proof_of()], [proof_of(issuer=ISSUER.peer_id.multihash)]):
            self.refuse("2018", "it has no nonce", *proofs)
        self.refuse("one of two", "it has no nonce", proof_of(nonce=self.issuer.nonce()), proof_of())

    def test_addresses(self) -> None:
        """One canonical text of one family, without a zone."""
        for text in MALFORMED_V4:
            self.refuse(repr(text[:40]), NO_ADDRESS, address(IPv4, text))
        for text in MALFORMED_V6:
            self.refuse(repr(text[:40]), NO_ADDRESS, address(IPv6, text))
        for text in ("::ffff:8.8.8.8", "::ffff:808:808", "::FFFF:8.8.8.8", "0:0:0:0:0:ffff:808:808"):
            self.refuse(text, "IPv4-mapped", address(IPv6, text))
        self.refuse("none", "no addresses", signed(content(addrs=[])))
        self.refuse("nine", "too many", signed(content(addrs=[Address(type=IPv4, address="8.8.8.8")] * 9)))
        self.assert_serves()

    def test_special_addresses(self) -> None:
        """No certificate for an address that is not everybody's way to one machine, alone or beside a good one."""
        for text in special():
            kind = IPv6 if ":" in text else IPv4
            self.refuse(text, PRIVATE, address(kind, text))
            good = Address(type=IPv4, address=str(V4))
            self.refuse(text, PRIVATE, signed(content(addrs=[good, Address(type=kind, address=text)])))
        for text in TUNNELS:
            self.refuse(text, PRIVATE, address(IPv6, text))
        self.assert_serves()

    def test_numbers_of_proofs(self) -> None:
        """At least one, and no more than anybody has."""
        self.refuse("none", "no proof")
        self.refuse("13 of three servers", "more than 12 proofs", *[proof_of()] * 13)
        self.refuse("1000", "more than 12 proofs", *[ProofWrapper(proof=b"", signature=b"")] * 1000)
        self.assertEqual(self.issuer.ask(request(*[proof_of(now_ms=NOW_MS - n) for n in range(2, 14)])).error, OK)
        self.assert_serves()

    def test_one_bad_proof_spoils_the_request(self) -> None:
        """Wherever it stands, whatever is wrong with it."""
        good = [proof_of(V4), proof_of(V6)]
        for bad, reason in (
            (proof_of(key=STRANGER), NOT_SIGNED),
            (proof_of(peer=THIEF), OTHER_PEER),
            (proof_of(now_ms=0), "too old"),
            (signed(b""), NOT_A_PROOF),
            (address(IPv4, "10.0.0.1"), PRIVATE),
        ):
            for place in range(3):
                self.refuse(f"{reason} at {place}", reason, *good[:place], bad, *good[place:])
        self.assert_serves()

    def test_replays(self) -> None:
        """A proof that was used is good for nothing else: not again, not for other names, not beside a new one."""
        nonce = self.issuer.nonce()
        bound = proof_of(issuer=ISSUER.peer_id.multihash, nonce=nonce)
        for used, reason in ((proof_of(V4, V6), "used before"), (bound, NONCE)):
            self.issuer.ask(request(used))
            self.issuer.orders.clear()
            self.refuse("the same", reason, used)
            self.assert_refused("other names", request(used, names=[V6_NAME]), E_INVALID_PROOF, reason)
            self.assert_refused("without a CSR", request(used, csr=None), E_INVALID_PROOF, reason)
            self.refuse("twice", reason, used, used)
            self.assert_refused("a stolen one", request(used), E_INVALID_PROOF, OTHER_PEER, peer=THIEF)
        self.assert_serves()

    def test_quorum(self) -> None:
        """Servers are counted, not proofs and not keys; the refusal says how many of how many."""
        first, second = PrivateKey.generate(), PrivateKey.generate()
        trust = trust_in(
            own_keys([SECP_SERVER.peer_id]) | {SERVER.peer_id: (SERVER.peer_id, first.peer_id, second.peer_id)}, 2
        )
        self.issuer = Issuer(trust=trust)
        secp = SECP_SERVER
        for row, proofs, reason in (
            ("one proof", [proof_of()], "1 of 2 for 8.8.8.8"),
            ("the same twice", [proof_of()] * 2, "1 of 2 for 8.8.8.8"),
            ("two proofs", [proof_of(), proof_of(now_ms=NOW_MS - 1)], "1 of 2 for 8.8.8.8"),
            ("three keys", [proof_of(key=key) for key in (SERVER, first, second)], "1 of 2 for 8.8.8.8"),
            ("two addresses", [proof_of(V4), proof_of(V6, key=secp)], "1 of 2 for 8.8.8.8, 1 of 2 for 2606:4700::1111"),
        ):
            self.refuse(row, reason, *proofs)
        agreed = [proof_of(V4, V6), proof_of(V4, key=secp)]
        self.assert_refused("one too few", request(*agreed, names=[V6_NAME]), E_INVALID_PROOF, "1 of 2 for 2606")
        self.issuer.ask(request(*agreed))
        self.assertEqual([order.addresses for order in self.issuer.orders], [(V4,)])
