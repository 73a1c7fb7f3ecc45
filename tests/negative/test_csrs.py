"""CSRs that the issue server refuses, beside a proof that is right."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from nodetrust.certificates import make_csr, make_key
from nodetrust.issue.decide import MAX_NAMES
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.messages import E_NO_MATCHING_CRYPTO, E_NOT_AUTHORIZED, E_OTHER, ECDSA_P256, ECDSA_P384, RSA
from nodetrust.names import (
    autotls_label_for_address,
    label_for_address,
    label_for_peer,
    name_for_address,
    name_for_peer,
    wildcard_for_peer,
)
from tests.negative import csrs
from tests.negative.csrs import PRINTABLE, alternative, asking, common_name, der, extension, make, rsa_key
from tests.negative.issuer import (
    CSR_KEY,
    ISSUER,
    OTHER_V4,
    OWN_NAME,
    PEER,
    THIEF,
    V4,
    V4_NAME,
    V6,
    V6_NAME,
    ZONE,
    Issuer,
    RefusalCase,
    proof_of,
    request,
)

UNREADABLE = "the CSR cannot be read"
FOREIGN = "names that were not proven"
NOT_GIVEN = "extension that is not given"
NO_DNS_NAME = "not a DNS name"

PEER_LABEL, ADDRESS_LABEL = label_for_peer(PEER.peer_id), label_for_address(V4)
RSA_2048 = make_key(RSA)
MODULUS = RSA_2048.public_key().public_numbers().n  # type: ignore[union-attr]  # an RSA key

GOOD = make_csr(CSR_KEY, [V4_NAME])

NAMES: dict[str, str] = {
    "another address": name_for_address(OTHER_V4, ZONE),
    "an address of the other family": V6_NAME,
    "another peer": name_for_peer(THIEF.peer_id, ZONE),
    "the issue server": name_for_peer(ISSUER.peer_id, ZONE),
    "the peer's wildcard, which is not given here": wildcard_for_peer(PEER.peer_id, ZONE),
    "a wildcard below the address": f"*.{V4_NAME}",
    "a name below the address": f"www.{V4_NAME}",
    "a name below the peer": f"www.{OWN_NAME}",
    "the address below the peer": f"{ADDRESS_LABEL}.{OWN_NAME}",
    "the peer below the address": f"{PEER_LABEL}.{V4_NAME}",
    "an AutoTLS name": f"{autotls_label_for_address(V4)}.{PEER.peer_id.to_cid_base36()}.{ZONE}",
    "the peer's CID": f"{PEER.peer_id.to_cid_base36()}.{ZONE}",
    "the peer's CID's wildcard": f"*.{PEER.peer_id.to_cid_base36()}.{ZONE}",
    "the zone": ZONE,
    "the zone's wildcard": f"*.{ZONE}",
    "above the zone": "example.org",
    "another zone": f"{ADDRESS_LABEL}.example.org",
    "a zone that ends in ours": f"{ADDRESS_LABEL}.x{ZONE}",
    "a zone that begins with ours": f"{V4_NAME}.evil.example",
    "the challenge": f"_acme-challenge.{V4_NAME}",
    "the address itself": "8.8.8.8",
    "the address as a name": f"8.8.8.8.{ZONE}",
    "the address in another form": f"ip4008-8-8-8.{ZONE}",
    "the address with an octet too large": f"ip48-8-8-264.{ZONE}",
    "the address mapped": f"ip6--ffff-808-808.{ZONE}",
    "the address behind NAT64": f"ip664-ff9b--808-808.{ZONE}",
    "the address by 6to4": f"ip62002-808-808--1.{ZONE}",
    "another label": f"www.{ZONE}",
    "a prefix of the address": f"ip48-8-8.{ZONE}",
    "a dot at the end": f"{V4_NAME}.",
    "two dots": V4_NAME.replace(".", "..", 1),
    "a dot in front": f".{V4_NAME}",
    "a wildcard in front of the wildcard": f"*.*.{ZONE}",
    "a wildcard inside": f"ip4*.{ZONE}",
    "spaces": f" {V4_NAME}",
    "a line end": f"{V4_NAME}\n",
    "an octet 0": f"{V4_NAME}\0",
    "an octet 0 and another name": f"{V4_NAME}\0.evil.example",
    "a URL": f"https://{V4_NAME}/",
    "a port": f"{V4_NAME}:443",
    "nothing": "",
    "a label of 64": f"{'a' * 64}.{ZONE}",
    "a name of 300": f"{'a.' * 140}{ZONE}",
    "Punycode": f"xn--ip48-8-8-8-.{ZONE}",
    "localhost": "localhost",
}

FOREIGN_LETTERS: dict[str, str] = {
    "a zero-width space": f"ip48-8-8-8\u200b.{ZONE}",
    "a zero-width joiner": f"ip48\u200d-8-8-8.{ZONE}",
    "a soft hyphen": f"ip48\u00ad8-8-8.{ZONE}",
    "a full-width digit": f"ip4８-8-8-8.{ZONE}",
    "an ideographic full stop": f"ip48-8-8-8。{ZONE}",
    "a Cyrillic letter": f"іp48-8-8-8.{ZONE}",
    "a non-breaking hyphen": f"ip48\u20118-8-8.{ZONE}",
    "a right-to-left override": f"\u202eip48-8-8-8.{ZONE}",
    "a dotless i": f"ıp48-8-8-8.{ZONE}",
    "a Kelvin sign": f"\u212a.{ZONE}",
    "a combining mark": f"ip48-8-8-8\u0301.{ZONE}",
    "an Arabic digit": f"ip4٨-8-8-8.{ZONE}",
}

OTHER_THINGS: dict[str, tuple[bytes, str]] = {
    "an address": (alternative(V4.packed, tag=0x87), NO_DNS_NAME),
    "an IPv6 address": (alternative(V6.packed, tag=0x87), NO_DNS_NAME),
    "a mail address": (alternative(b"root@example.org", tag=0x81), NO_DNS_NAME),
    "a URI": (alternative(b"https://example.org", tag=0x86), NO_DNS_NAME),
    "a directory name": (alternative(common_name(b"x"), tag=0xA4), NO_DNS_NAME),
    "a registered ID": (alternative(b"\x2a\x03", tag=0x88), NO_DNS_NAME),
    "another name": (alternative(der(6, b"\x2a\x03") + der(0xA0, der(12, b"x")), tag=0xA0), NO_DNS_NAME),
    "to be a CA": (extension(bytes.fromhex("551d13"), der(0x30, b"\x01\x01\xff")), NOT_GIVEN),
    "a key usage": (extension(bytes.fromhex("551d0f"), b"\x03\x02\x01\x06"), NOT_GIVEN),
    "an extended key usage": (
        extension(bytes.fromhex("551d25"), der(0x30, der(6, bytes.fromhex("2b06010505070303")))),
        NOT_GIVEN,
    ),
    "OCSP must-staple": (extension(bytes.fromhex("2b06010505070118"), der(0x30, b"\x02\x01\x05")), NOT_GIVEN),
    "an extension that nobody knows": (extension(b"\x2a\x03", b"\x05\x00"), NOT_GIVEN),
}

KEYS: dict[str, tuple[bytes, int, str]] = {
    "P-384, which is not offered here": (
        make_csr(make_key(ECDSA_P384), [V4_NAME]),
        E_NO_MATCHING_CRYPTO,
        "not of an offered",
    ),
    "P-224": (make(ec.generate_private_key(ec.SECP224R1()), [V4_NAME]), E_NO_MATCHING_CRYPTO, "must be one of"),
    "P-521": (make(ec.generate_private_key(ec.SECP521R1()), [V4_NAME]), E_NO_MATCHING_CRYPTO, "must be one of"),
    "secp256k1": (make(ec.generate_private_key(ec.SECP256K1()), [V4_NAME]), E_NO_MATCHING_CRYPTO, "must be one of"),
    "brainpool": (
        make(ec.generate_private_key(ec.BrainpoolP256R1()), [V4_NAME]),
        E_NO_MATCHING_CRYPTO,
        "must be one of",
    ),
    "Ed25519": (make(ed25519.Ed25519PrivateKey.generate(), [V4_NAME]), E_NO_MATCHING_CRYPTO, "must be one of"),
    "Ed448": (make(ed448.Ed448PrivateKey.generate(), [V4_NAME]), E_NO_MATCHING_CRYPTO, "must be one of"),
    "DSA": (
        make(
            CSR_KEY,
            [V4_NAME],
            public=dsa.generate_private_key(1024)
            .public_key()
            .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        ),
        E_NO_MATCHING_CRYPTO,
        "must be one of",
    ),
    "RSA of 512 bits": (make(RSA_2048, [V4_NAME], public=rsa_key(MODULUS >> 1536 | 1, 65537)), E_OTHER, ""),
    "RSA of 1024 bits": (make(rsa.generate_private_key(65537, 1024), [V4_NAME]), E_OTHER, "2048 to 4096 bits"),
    "RSA of 2047 bits": (make(RSA_2048, [V4_NAME], public=rsa_key(MODULUS >> 1 | 1, 65537)), E_OTHER, "2048 to"),
    "RSA of 4097 bits": (make(RSA_2048, [V4_NAME], public=rsa_key(1 << 4096 | 1, 65537)), E_OTHER, "2048 to"),
    "RSA of 8192 bits": (make(RSA_2048, [V4_NAME], public=rsa_key(1 << 8191 | 1, 65537)), E_OTHER, "2048 to"),
    "RSA of 16384 bits": (make(RSA_2048, [V4_NAME], public=rsa_key(1 << 16383 | 1, 65537)), E_OTHER, ""),
    "RSA of 60000 bits": (make(RSA_2048, [V4_NAME], public=rsa_key(1 << 59999 | 1, 65537)), E_OTHER, ""),
    "RSA with the exponent 1": (make(RSA_2048, [V4_NAME], public=rsa_key(MODULUS, 1)), E_OTHER, ""),
    "RSA with the exponent 2": (make(RSA_2048, [V4_NAME], public=rsa_key(MODULUS, 2)), E_OTHER, ""),
    "RSA with the exponent 3": (make(RSA_2048, [V4_NAME], public=rsa_key(MODULUS, 3)), E_OTHER, "exponent 65537"),
    "RSA with the exponent 65539": (make(RSA_2048, [V4_NAME], public=rsa_key(MODULUS, 65539)), E_OTHER, "exponent"),
    "RSA with an exponent of 2000 bits": (
        make(RSA_2048, [V4_NAME], public=rsa_key(MODULUS, (1 << 2000) + 1)),
        E_OTHER,
        "",
    ),
    "RSA with an even modulus": (make(RSA_2048, [V4_NAME], public=rsa_key(MODULUS + 1, 65537)), E_OTHER, ""),
    "RSA with the modulus 0": (make(RSA_2048, [V4_NAME], public=rsa_key(0, 65537)), E_OTHER, ""),
    "a point that is not on the curve": (
        make(CSR_KEY, [V4_NAME], public=csrs.spki(CSR_KEY)[:-1] + b"\0"),
        E_OTHER,
        "",
    ),
    "the point at infinity": (
        make(
            CSR_KEY,
            [V4_NAME],
            public=der(
                0x30,
                der(0x30, der(6, bytes.fromhex("2a8648ce3d0201")), der(6, bytes.fromhex("2a8648ce3d030107"))),
                der(3, b"\0\0"),
            ),
        ),
        E_OTHER,
        "",
    ),
    "the key of a peer": (
        make(CSR_KEY, [V4_NAME], public=der(0x30, der(0x30, der(6, b"\x2b\x65\x70")), der(3, b"\0", bytes(32)))),
        E_NO_MATCHING_CRYPTO,
        "",
    ),
}

BROKEN: dict[str, bytes] = {
    "garbage": b"garbage",
    "PEM": b"-----BEGIN CERTIFICATE REQUEST-----\nMII=\n-----END CERTIFICATE REQUEST-----\n",
    "cut": GOOD[:-1],
    "an octet more": GOOD + b"\0",
    "twice": GOOD * 2,
    "an empty sequence": b"\x30\x00",
    "a length without an end": b"\x30\x80" + GOOD[4:] + b"\0\0",
    "a length in more octets than it needs": b"\x30\x84\0\0" + GOOD[2:],
    "deeply nested": b"\x30\x82\x1f\x00" * 1900,
    "signed with another key": make(make_key(ECDSA_P256), [V4_NAME], public=csrs.spki(CSR_KEY)),
    "a signature of zeros": make(CSR_KEY, [V4_NAME], change=lambda s: bytes(len(s))),
    "a signature that is cut": make(CSR_KEY, [V4_NAME], change=lambda s: s[:-1]),
    "no signature": make(CSR_KEY, [V4_NAME], change=lambda s: b""),
    "a signature with r = s = 0": make(CSR_KEY, [V4_NAME], change=lambda s: bytes.fromhex("3006020100020100")),
    "signed for other names": GOOD.replace(b"ip48-8-8-8", b"ip48-8-8-9"),
    "version 2": make(CSR_KEY, [V4_NAME], version=1),
    "version 1000": make(CSR_KEY, [V4_NAME], version=1000),
    "two lists of names": make(
        CSR_KEY, attributes=[asking(alternative(V4_NAME.encode()), alternative(b"evil.example"))]
    ),
    "two lists of extensions": make(
        CSR_KEY, attributes=[asking(alternative(V4_NAME.encode())), asking(alternative(b"evil.example"))]
    ),
    "no names": make(CSR_KEY, attributes=[]),
    "an empty list of names": make(CSR_KEY, []),
    "9000 octets": make(CSR_KEY, [f"ip48-8-8-{n}.{ZONE}" for n in range(350)]),
}


class CsrTests(RefusalCase):
    def refuse(self, row: str, csr: bytes, code: int, reason: str) -> None:
        self.assert_refused(row, request(proof_of(), csr=csr), code, reason)

    def test_names(self) -> None:
        """A name that does not follow from the peer and its proofs is refused, alone and among good ones."""
        for row, name in NAMES.items():
            for names in ([name], [V4_NAME, name, OWN_NAME]):
                self.refuse(row, make(CSR_KEY, names), E_NOT_AUTHORIZED, FOREIGN)
        self.assert_serves()

    def test_letters(self) -> None:
        """What only looks like a good name, or has one for its small letters: it is not ASCII, and no DNS name."""
        for row, name in FOREIGN_LETTERS.items():
            self.refuse(row, make(CSR_KEY, [V4_NAME, name]), E_OTHER, "letters")
            self.refuse(row, make(CSR_KEY, [name.encode("utf-16")]), E_OTHER, UNREADABLE)
            self.refuse(row, make(CSR_KEY, [V4_NAME], subject=common_name(name.encode())), E_OTHER, "letters")
        kelvin = OWN_NAME.replace("k", "\u212a")  # the small letter of the sign for kelvin is k
        self.assertEqual(kelvin.lower(), OWN_NAME)
        self.refuse("the peer's name", make(CSR_KEY, [kelvin]), E_OTHER, "letters")
        self.assert_serves()

    def test_capital_letters_are_the_same_name(self) -> None:
        """The one other spelling that is taken, because DNS knows no case; the order has small letters."""
        self.issuer.ask(request(proof_of(), csr=make(CSR_KEY, [V4_NAME.upper()])))
        self.assertEqual([order.names for order in self.issuer.orders], [(V4_NAME,)])

    def test_common_names(self) -> None:
        """A CN says nothing that is not among the names, whatever its text."""
        for row, text in (
            ("another name", b"evil.example"),
            ("a person", b"Mallory"),
            ("an octet 0", V4_NAME.encode() + b"\0.evil.example"),
            ("65 letters", b"a" * 65),
            ("the wildcard", b"*." + ZONE.encode()),
            ("a zero-width space", f"{V4_NAME}\u200b".encode()),
        ):
            csr = make(CSR_KEY, [V4_NAME], subject=common_name(text))
            self.assert_refused_somehow(row, csr)
        printable = make(CSR_KEY, [V4_NAME], subject=common_name(b"evil.example", PRINTABLE))
        self.refuse("another type of text", printable, E_NOT_AUTHORIZED, "common name")
        self.assert_serves()

    def assert_refused_somehow(self, row: str, csr: bytes) -> None:
        response = self.issuer.ask(request(proof_of(), csr=csr))
        self.assertIn(response.error, (E_NOT_AUTHORIZED, E_NO_MATCHING_CRYPTO, E_OTHER), row)
        self.assertEqual(self.issuer.orders, [], row)

    def test_other_things(self) -> None:
        """A CSR asks for DNS names and for nothing else, also beside a good name."""
        for row, (wanted, reason) in OTHER_THINGS.items():
            good = alternative(V4_NAME.encode())
            beside = [wanted] if reason == NO_DNS_NAME else [good, wanted]
            self.refuse(row, make(CSR_KEY, attributes=[asking(*beside)]), E_NOT_AUTHORIZED, reason)
        self.assert_serves()

    def test_keys(self) -> None:
        """Key types, sizes, exponents and points."""
        for row, (csr, code, reason) in KEYS.items():
            self.refuse(row, csr, code, reason)
        self.assert_serves()

    def test_broken(self) -> None:
        """What is no CSR, or not signed by its own key, or too large."""
        for row, csr in BROKEN.items():
            self.refuse(row, csr, E_OTHER, "the CSR")
        self.assert_serves()

    def test_every_octet(self) -> None:
        """Any changed octet of a good CSR refuses it: it is signed as a whole."""
        for position in range(len(GOOD)):
            changed = bytearray(GOOD)
            changed[position] ^= 1
            self.assert_refused_somehow(f"octet {position}", bytes(changed))
        self.assert_serves()

    def test_the_csr_is_good_without_changes(self) -> None:
        """What the rows above are made with is taken when nothing is wrong."""
        for csr in (GOOD, make(CSR_KEY, [V4_NAME]), make(RSA_2048, [V4_NAME, OWN_NAME])):
            issuer = Issuer()
            issuer.ask(request(proof_of(), csr=csr))
            self.assertEqual(len(issuer.orders), 1)

    def test_more_names_than_a_certificate_carries(self) -> None:
        """Proven or not, the CA would refuse it."""
        proofs = [proof_of(*(V4 + 256 * (8 * row + column) for column in range(8))) for row in range(4)]
        names = [name_for_address(V4 + 256 * number, ZONE) for number in range(32)]
        message = request(*proofs, csr=make(CSR_KEY, names))
        self.assert_refused("32 names", message, E_NOT_AUTHORIZED, "at most 25 names")
        self.assert_refused("without a CSR", request(*proofs, csr=None), E_NOT_AUTHORIZED, "at most 25 names")
        one_more = request(*proofs, csr=make_csr(CSR_KEY, names[: MAX_NAMES + 1]))
        self.assert_refused("26 names", one_more, E_NOT_AUTHORIZED, "at most 25 names")
        self.issuer.ask(request(*proofs, csr=make_csr(CSR_KEY, names[:MAX_NAMES])))
        self.assertEqual([len(order.names) for order in self.issuer.orders], [25])

    def test_names_that_the_ca_would_refuse(self) -> None:
        """They are refused here, before an order is spent on them."""
        for zone in ("under_score.example", "ab--c.example", "1.2.3.4", ".".join("abcdefghij")):
            self.issuer = Issuer(zone=zone)
            self.assert_refused(zone, request(proof_of(), csr=None), E_NOT_AUTHORIZED, "")
        other = PrivateKey.from_seed(b"o" * 32)
        long = ".".join(["a" * 60] * 4)
        self.issuer = Issuer(zone=long)
        self.assert_refused("long", request(proof_of(peer=other), csr=None), E_NOT_AUTHORIZED, "longer", peer=other)
