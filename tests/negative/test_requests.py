"""Messages to the issue server that are no request, or one that cannot be served."""

from __future__ import annotations

from nodetrust.issue.evidence.trust import own_keys, trust_in
from nodetrust.libp2p.errors import InvalidVarint, MessageTooLong
from nodetrust.libp2p.framing import FrameDecoder
from nodetrust.lists.lists import Lists
from nodetrust.lists.wire import read_list
from nodetrust.messages import (
    E_INVALID_PROOF,
    E_NO_MATCHING_CRYPTO,
    E_NOT_AUTHORIZED,
    E_OTHER,
    ECDSA_P384,
    MAX_ISSUE_REQUEST_BYTES,
    OK,
)
from tests.negative.issuer import PEER, SERVER, V4, V6, Issuer, RefusalCase, proof_of, request

GOOD = request(proof_of())
PROOF = proof_of().SerializeToString()
UNREADABLE = "the request cannot be read"


def field(number: int, kind: int, content: bytes) -> bytes:
    """A protobuf field of any wire type; lengths below 128."""
    size = bytes([len(content)]) if kind == 2 else b""
    return bytes([number << 3 | kind]) + size + content


UNREADABLE_MESSAGES: dict[str, bytes] = {
    "garbage": b"\xff\xff",
    "text": b"give me a certificate",
    "HTTP": b"POST / HTTP/1.1\r\n\r\n",
    "a request that is cut": GOOD[:-1],
    "half a request": GOOD[: len(GOOD) // 2],
    "field number 0": field(0, 0, b"\x00"),
    "a field of wire type 6": b"\x0e\x00",
    "a field of wire type 7": b"\x0f\x00",
    "a field number of 30 bits": b"\xff\xff\xff\xff\x7f\x00",
    "a length beyond the end": b"\x0a\x7f",
    "a length of 2^31": b"\x0a\x80\x80\x80\x80\x08",
    "a length of 2^63": b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    "a varint without an end": b"\x10" + b"\x80" * 20,
    "a varint of eleven octets": b"\x10" + b"\x80" * 10 + b"\x01",
    "a group that does not end": b"\x0b",
    "a group that ends with another number": b"\x0b\x14",
    "the end of a group": b"\x0c",
    "groups within groups": b"\x2b" * 200 + b"\x2c" * 200,
    "groups within groups, very many": b"\x2b" * 30_000,
    "a proof that is nothing": field(1, 2, b""),
    "a proof without its signature": field(1, 2, b"\x0a\x01x"),
    "a proof without its content": field(1, 2, b"\x12\x01x"),
    "a proof that is garbage": field(1, 2, b"\xff\xff"),
    "a proof that ends early": field(1, 2, b"\x0a\x10x"),
}

LENGTHS: dict[str, tuple[bytes, type[Exception]]] = {
    "a length in two octets for one": (b"\x85\x00hello", InvalidVarint),
    "a length in three octets for two": (b"\x85\x81\x00", InvalidVarint),
    "a length of 0 in two octets": (b"\x80\x00", InvalidVarint),
    "a length without an end": (b"\x80" * 9, InvalidVarint),
    "a length of ten octets": (b"\xff" * 9 + b"\x01", InvalidVarint),
    "one octet too long": (b"\x81\x80\x04", MessageTooLong),
    "a megabyte": (b"\x80\x80\x40", MessageTooLong),
    "2^62": (b"\x80" * 8 + b"\x40", MessageTooLong),
}


class RequestTests(RefusalCase):
    def test_unreadable(self) -> None:
        """What is no IssueRequest is answered all the same."""
        for row, message in UNREADABLE_MESSAGES.items():
            self.assert_refused(row, message, E_OTHER, UNREADABLE)
        self.assert_serves()

    def test_lengths(self) -> None:
        """A length that is too large, or written longer than it needs, is refused with what stands in front of it."""
        for row, (data, error) in LENGTHS.items():
            for pieces in ([data], [data[place : place + 1] for place in range(len(data))]):
                decoder = FrameDecoder(MAX_ISSUE_REQUEST_BYTES)
                refused = self.assertRaises(error, lambda d=decoder, p=pieces: [d.receive_data(piece) for piece in p])
                self.assert_refused(row, refused, E_OTHER, UNREADABLE)
        self.assert_serves()

    def test_wrong_types(self) -> None:
        """A field of another wire type is an unknown field: what is missing then is what is refused."""
        for row, message in {
            "nothing": b"",
            "a number for the proofs": field(1, 0, b"\x01"),
            "eight octets for the proofs": field(1, 1, b"x" * 8),
            "an unknown field": field(15, 2, b"x"),
            "a group": b"\x2b\x2c",
            "the algorithms alone": field(2, 0, b"\x02"),
            "the CSR alone": field(3, 2, b"x"),
        }.items():
            self.assert_refused(row, message, E_INVALID_PROOF, "no proof")

    def test_algorithms(self) -> None:
        """One that this server offers must be named, in whatever company."""
        proof = field(1, 2, b"").replace(b"\x00", bytes([0x80 | len(PROOF) & 0x7F, len(PROOF) >> 7])) + PROOF
        for row, message in {
            "none": proof,
            "0": proof + b"\x10\x00",
            "one that nobody knows": proof + b"\x10\x63",
            "a negative one": proof + b"\x10" + b"\xff" * 9 + b"\x01",
            "text": proof + field(2, 2, b"\xff\x7f"),
            "one that is not offered": request(proof_of(), csr=None, supportedCryptos=[ECDSA_P384]),
            "a thousand of it": request(proof_of(), csr=None, supportedCryptos=[ECDSA_P384] * 1000),
        }.items():
            self.assert_refused(row, message, E_NO_MATCHING_CRYPTO, "no common key algorithm")
        self.assert_serves()

    def test_fields_twice(self) -> None:
        """Of a field that stands there twice the last one counts, for the check and for the order alike."""
        bad_csr = field(3, 2, b"garbage")
        self.assert_refused("a bad CSR last", GOOD + bad_csr, E_OTHER, "CSR")
        other = b"\x0a" + bytes([0x80 | (len(PROOF) + 3) & 0x7F, len(PROOF) + 3 >> 7]) + PROOF + b"\x12\x01x"
        self.assert_refused("another signature last", other + GOOD, E_INVALID_PROOF, "not signed")
        self.assertEqual(self.issuer.ask(bad_csr + GOOD).error, OK)

    def test_the_denied(self) -> None:
        """A denied peer, whoever comes from a denied address, and whoever has proven one, get nothing."""
        deny = read_list(f"{PEER.peer_id}\n".encode(), "x"), read_list(b"192.0.2.0/24\n8.8.0.0/16\n2606::/16\n", "x")
        for row, (entries, address, proof) in {
            "the peer": (deny[0], "/ip4/1.1.1.1/tcp/1", proof_of(V4)),
            "the connection's address": (deny[1], "/ip4/192.0.2.1/tcp/1", proof_of(V4 + 65536)),
            "the connection's address, mapped": (deny[1], "/ip6/::ffff:192.0.2.1/tcp/1", proof_of(V4 + 65536)),
            "a proven address": (deny[1], "/ip4/1.1.1.1/tcp/1", proof_of(V4)),
            "a proven IPv6 address": (deny[1], "/ip4/1.1.1.1/tcp/1", proof_of(V6)),
            "one of two proven addresses": (deny[1], "/ip4/1.1.1.1/tcp/1", proof_of(V4 + 65536, V4)),
            "through a relay": (deny[0], f"/ip4/1.1.1.1/tcp/1/p2p/{SERVER.peer_id}/p2p-circuit", proof_of(V4)),
        }.items():
            nobody = read_list(b"", "x")
            self.issuer = Issuer(trust=trust_in(own_keys([SERVER.peer_id]), 1, Lists(entries, nobody)))
            self.assert_refused(row, request(proof, csr=None), E_NOT_AUTHORIZED, "denylist", address=address)
            self.issuer = Issuer(trust=trust_in(own_keys([SERVER.peer_id]), 1, Lists(entries, deny[0])))
            self.assertEqual(self.issuer.ask(request(proof, csr=None), address=address).error, OK, row)
