"""Requests to a proof server that get no proof."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import E_NOT_AUTHORIZED, E_OTHER, OK, ProofRequest, ProofResponse
from nodetrust.proof.decide import Rules
from nodetrust.proof.service import ProofProtocol
from nodetrust.proofs import MAX_NONCE_BYTES, check_proof
from tests.negative.issuer import ISSUER, NOW, NOW_MS, PEER, SERVER, STRANGER

GOOD = ProofRequest(issuer=ISSUER.peer_id.multihash, nonce=b"n" * 32)
HERE = "/ip4/8.8.8.8/tcp/1"
ISSUER_ID = ISSUER.peer_id.multihash

REQUESTS: dict[str, bytes] = {
    "garbage": b"\xff\xff",
    "a request that is cut": GOOD.SerializeToString()[:-1],
    "a length beyond the end": b"\x0a\x7f",
    "a group that does not end": b"\x0b",
    "a varint without an end": b"\x18" + b"\x80" * 20,
    "a nonce that is too long": ProofRequest(nonce=b"x" * (MAX_NONCE_BYTES + 1)).SerializeToString(),
    "an issuer that is cut": ProofRequest(issuer=ISSUER_ID[:-1]).SerializeToString(),
    "an issuer with an octet more": ProofRequest(issuer=ISSUER_ID + b"\0").SerializeToString(),
    "an issuer as text": ProofRequest(issuer=str(ISSUER.peer_id).encode()).SerializeToString(),
    "an issuer as a CID": ProofRequest(issuer=b"\x01\x72" + ISSUER_ID).SerializeToString(),
    "an issuer that is a hash of another kind": ProofRequest(issuer=b"\x13\x40" + bytes(64)).SerializeToString(),
    "an issuer of one octet": ProofRequest(issuer=b"x").SerializeToString(),
    "two issuers, the last one bad": GOOD.SerializeToString() + b"\x0a\x01x",
}

ADDRESSES: dict[str, tuple[str, int]] = {
    "loopback": ("/ip4/127.0.0.1/tcp/1", E_NOT_AUTHORIZED),
    "private": ("/ip4/10.0.0.1/tcp/1", E_NOT_AUTHORIZED),
    "a cloud's metadata": ("/ip4/169.254.169.254/tcp/80", E_NOT_AUTHORIZED),
    "behind a carrier's NAT": ("/ip4/100.64.0.1/tcp/1", E_NOT_AUTHORIZED),
    "IPv6 loopback": ("/ip6/::1/tcp/1", E_NOT_AUTHORIZED),
    "IPv6 unique local": ("/ip6/fd00::1/tcp/1", E_NOT_AUTHORIZED),
    "IPv6 link-local": ("/ip6/fe80::1/tcp/1", E_NOT_AUTHORIZED),
    "a mapped private address": ("/ip6/::ffff:10.0.0.1/tcp/1", E_NOT_AUTHORIZED),
    "NAT64": ("/ip6/64:ff9b::808:808/tcp/1", E_NOT_AUTHORIZED),
    "NAT64 for local use": ("/ip6/64:ff9b:1::808:808/tcp/1", E_NOT_AUTHORIZED),
    "6to4": ("/ip6/2002:808:808::1/tcp/1", E_NOT_AUTHORIZED),
    "Teredo": ("/ip6/2001:0:808:808::f7f7:f7f7/tcp/1", E_NOT_AUTHORIZED),
    "IPv4-compatible": ("/ip6/::8.8.8.8/tcp/1", E_NOT_AUTHORIZED),
    "through a relay": (f"{HERE}/p2p/{STRANGER.peer_id}/p2p-circuit", E_OTHER),
    "through a relay with its own address": (f"/ip6/2606:4700::1111/tcp/1/p2p/{STRANGER.peer_id}/p2p-circuit", E_OTHER),
    "a name": ("/dns4/example.org/tcp/1", E_OTHER),
}


class ProofServerTests(SynchronousTestCase):
    def setUp(self) -> None:
        clock = Clock()
        clock.advance(NOW)
        self.protocol = ProofProtocol(clock, lambda: SERVER, Rules())

    def ask(self, message: bytes | None, address: str = HERE) -> ProofResponse:
        """The one answer; None is what a client of 2018 sends."""
        written: list[bytes] = []

        async def read() -> bytes:
            assert message is not None
            return message

        connection = SimpleNamespace(remote_peer=PEER.peer_id, remote_address=Multiaddr.parse(address))
        stream: Any = SimpleNamespace(connection=connection, read=read, write=written.append)
        serve = self.protocol.prove if message is None else self.protocol.prove_request
        self.successResultOf(Deferred.fromCoroutine(serve(stream)))
        (answer,) = written
        return ProofResponse.FromString(answer)

    def assert_refused(self, row: str, response: ProofResponse, code: int) -> None:
        """It says why, and nothing is signed."""
        self.assertEqual(response.error, code, f"{row}: {response.message}")
        self.assertEqual([field.name for field, _ in response.ListFields()], ["error", "message"], row)

    def test_requests(self) -> None:
        """What is no ProofRequest, or asks for what no issue server takes."""
        for row, message in REQUESTS.items():
            self.assert_refused(row, self.ask(message), E_OTHER)
        self.assertEqual(self.ask(GOOD.SerializeToString()).error, OK)

    def test_addresses(self) -> None:
        """Only a public address that the connection itself comes from is proven, by both versions of the protocol."""
        for row, (address, code) in ADDRESSES.items():
            for message in (None, GOOD.SerializeToString()):
                self.assert_refused(row, self.ask(message, address), code)
        self.assertEqual(self.ask(None).error, OK)

    def test_a_request_names_no_address(self) -> None:
        """Whatever else stands in a request, what is proven is where the connection comes from."""
        message = (
            GOOD.SerializeToString() + b"\x1a\x0b\x08\x01\x12\x078.8.4.4" + b"\x22\x26" + STRANGER.peer_id.multihash
        )
        proven = check_proof(
            self.ask(message).proof,
            trusted={SERVER.peer_id: SERVER.public_key},
            peer_id=PEER.peer_id,
            now_ms=NOW_MS,
            issuer=ISSUER.peer_id,
            nonces=[GOOD.nonce],
        )
        self.assertEqual([str(address) for address in proven.addresses], ["8.8.8.8"])
