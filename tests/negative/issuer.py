"""An issue server without a network, and a peer that asks it whatever it likes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.certificates import make_csr, make_key
from nodetrust.issue.decide import Order, Policy
from nodetrust.issue.evidence.trust import trust_in
from nodetrust.issue.protocol import IssueProtocol
from nodetrust.libp2p.keys import KeyType, PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import (
    ECDSA_P256,
    OK,
    RSA,
    Address,
    CertificateAuthority,
    IPv4,
    IssueInfo,
    IssueRequest,
    IssueResponse,
    Proof,
    ProofWrapper,
)
from nodetrust.names import name_for_address, name_for_peer
from nodetrust.proofs import make_proof

ZONE = "nt.example.org"
NOW = 1_790_000_000.0
NOW_MS = int(NOW * 1000)
V4, V6, OTHER_V4 = (ip_address(text) for text in ("8.8.8.8", "2606:4700::1111", "8.8.4.4"))

SERVER, ROTATED, NEW_KEY, STOLEN = (PrivateKey.from_seed(bytes([n]) * 32) for n in range(1, 5))
SECP_SERVER = PrivateKey.generate(KeyType.SECP256K1)
PEER, THIEF, STRANGER, ISSUER = (PrivateKey.from_seed(bytes([n]) * 32) for n in range(10, 14))
CSR_KEY = make_key(ECDSA_P256)
V4_NAME, V6_NAME = name_for_address(V4, ZONE), name_for_address(V6, ZONE)
OWN_NAME = name_for_peer(PEER.peer_id, ZONE)

TRUST = trust_in(
    {
        SERVER.peer_id: (SERVER.peer_id,),
        SECP_SERVER.peer_id: (SECP_SERVER.peer_id,),
        ROTATED.peer_id: (NEW_KEY.peer_id,),
        STOLEN.peer_id: (),
    }
)


def proof_of(*addresses: Any, key: PrivateKey = SERVER, peer: PrivateKey = PEER, **changes: Any) -> ProofWrapper:
    """A proof that is right, but for the changes."""
    now_ms = changes.pop("now_ms", NOW_MS)
    return make_proof(key, peer.peer_id, addresses or [V4], now_ms, **changes)


def signed(proof: Proof | bytes, key: PrivateKey = SERVER) -> ProofWrapper:
    """Whatever a trusted server might be made to sign."""
    data = proof if isinstance(proof, bytes) else proof.SerializePartialToString()
    return ProofWrapper(proof=data, signature=key.sign(data))


def content(**changes: Any) -> Proof:
    """The fields of a proof, but for the changes; None leaves one out."""
    fields = {
        "id": PEER.peer_id.multihash,
        "timestamp": NOW_MS,
        "addrs": [Address(type=IPv4, address=str(V4))],
    }
    return Proof(**{name: value for name, value in (fields | changes).items() if value is not None})


class _Stream:
    def __init__(self, peer: PrivateKey, message: bytes | Exception, address: str) -> None:
        self.connection = SimpleNamespace(remote_peer=peer.peer_id, remote_address=Multiaddr.parse(address))
        self.message = message
        self.written: list[bytes] = []

    async def read(self) -> bytes:
        if isinstance(self.message, Exception):
            raise self.message
        return self.message

    def write(self, message: bytes) -> None:
        self.written.append(message)


class _Store:
    def __init__(self) -> None:
        self.used: set[bytes] = set()

    async def use_proofs(self, digests: Collection[bytes], until: datetime, now: datetime) -> frozenset[bytes]:
        before = self.used.intersection(digests)
        self.used.update(digests)
        return frozenset(before)

    async def unuse_proofs(self, digests: Collection[bytes]) -> None:
        self.used.difference_update(digests)

    async def newest_of_peer(self, peer_id: bytes) -> None:
        return None


class Issuer:
    """The issue server; `orders` are those that it would have given to the CA."""

    def __init__(self, **changes: Any) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.orders: list[Order] = []
        self.store = _Store()
        facts: dict[str, Any] = {
            "zone": ZONE,
            "issuer": ISSUER.peer_id,
            "trust": TRUST,
            "cryptos": [ECDSA_P256, RSA],
            "names": "addresses",
            "allow_private": False,
            "require_nonce": False,
        }
        self.protocol = IssueProtocol(self.clock, Policy(**(facts | changes)), (), self, self.store)

    def signers(self) -> list[CertificateAuthority]:
        """None that are told of."""
        return []

    async def fulfil(self, order: Order) -> IssueResponse:
        """Every order is a good one here."""
        self.orders.append(order)
        return IssueResponse(error=OK)

    def nonce(self, peer: PrivateKey = PEER) -> bytes:
        """What the issue info gives to a peer."""
        stream: Any = _Stream(peer, b"", "/ip4/8.8.8.8/tcp/1")
        _run(self.protocol.inform(stream))
        return IssueInfo.FromString(stream.written[0]).nonce

    def ask(
        self, message: bytes | Exception, peer: PrivateKey = PEER, address: str = "/ip4/8.8.8.8/tcp/1"
    ) -> IssueResponse:
        """Send a message on a stream of its own; there is exactly one answer."""
        stream: Any = _Stream(peer, message, address)
        _run(self.protocol.issue(stream))
        (answer,) = stream.written
        return IssueResponse.FromString(answer)


def _run(work: Any) -> None:
    outcome: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(outcome.append)
    if outcome != [None]:
        raise AssertionError(f"it should have ended well: {outcome}")


def request(*proofs: ProofWrapper, names: Sequence[str] = (V4_NAME, OWN_NAME), **changes: Any) -> bytes:
    """A request that is right, but for the changes."""
    fields = {"proofs": proofs, "supportedCryptos": [ECDSA_P256, RSA], "csr": make_csr(CSR_KEY, names)}
    fields = {name: value for name, value in (fields | changes).items() if value is not None}
    return IssueRequest(**fields).SerializeToString()


class RefusalCase(SynchronousTestCase):
    """Asks for what is refused, and then for what is right."""

    def setUp(self) -> None:
        self.issuer = Issuer()

    def assert_refused(self, row: str, message: bytes | Exception, code: int, reason: str, **caller: Any) -> None:
        """The answer has this number and says why; nothing is ordered, used up or given."""
        used = set(self.issuer.store.used)
        response = self.issuer.ask(message, **caller)
        self.assertEqual(response.error, code, f"{row}: {response.message}")
        self.assertIn(reason, response.message, row)
        self.assertEqual([field.name for field, _ in response.ListFields()], ["error", "message"], row)
        self.assertEqual((self.issuer.orders, self.issuer.store.used), ([], used), row)

    def assert_serves(self) -> None:
        """A good request is served, whatever came before."""
        self.assertEqual(self.issuer.ask(request(proof_of(V4, now_ms=NOW_MS + 1))).error, OK)
