"""The issue server's two protocols, with a clock of their own and orders that the test fulfils."""

from types import SimpleNamespace

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.errors import NodetrustError
from nodetrust.issue.decide import Policy
from nodetrust.issue.errors import Unavailable
from nodetrust.issue.protocol import IssueProtocol
from nodetrust.issue.trust import own_keys, trust_in
from nodetrust.libp2p.errors import MessageTooLong
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import (
    E_INVALID_PROOF,
    E_OTHER,
    E_RATE_LIMIT,
    ECDSA_P256,
    OK,
    RSA,
    IssueInfo,
    IssueRequest,
    IssueResponse,
)
from nodetrust.proofs import make_proof
from tests.issue.test_decide import PUBLIC, ZONE

PLACES = ("/ip4/192.0.2.1/tcp/1", "/ip6/2001:db8::1/tcp/1")


class FakeStream:
    """A stream of `peer` with one message to read."""

    def __init__(self, peer, message=b""):
        self.connection = SimpleNamespace(remote_peer=peer, remote_address=Multiaddr.parse("/ip4/8.8.8.8/tcp/1"))
        self.message = message
        self.written = []

    async def read(self):
        if isinstance(self.message, Exception):
            raise self.message
        return self.message

    def write(self, message):
        self.written.append(message)


class FakeOrders:
    """Keeps the orders; they end when the test says so."""

    def __init__(self):
        self.orders = []

    async def fulfil(self, order):
        outcome = Deferred()
        self.orders.append((order, outcome))
        return await outcome


class FakeStore:
    """Remembers used proofs; `failure` is what it says instead."""

    def __init__(self):
        self.used, self.failure = {}, None

    async def use_proofs(self, digests, until, now):
        if self.failure is not None:
            raise self.failure
        before = frozenset(digests) & self.used.keys()
        self.used.update((digest, until) for digest in digests if digest not in before)
        return before

    async def unuse_proofs(self, digests):
        for digest in digests:
            del self.used[digest]


class ProtocolTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.prover, self.issuer = PrivateKey.generate(), PrivateKey.generate().peer_id
        self.peer = PrivateKey.generate().peer_id
        policy = Policy(
            zone=ZONE,
            issuer=self.issuer,
            trust=trust_in(own_keys([self.prover.peer_id])),
            cryptos=[ECDSA_P256, RSA],
            names="addresses",
            allow_private=False,
            require_nonce=True,
        )
        self.orders = FakeOrders()
        servers = tuple(Multiaddr.parse(place).with_peer_id(self.prover.peer_id) for place in PLACES)
        self.proofs = FakeStore()
        self.protocol = IssueProtocol(self.clock, policy, servers, self.orders, self.proofs)

    def inform(self, peer=None):
        stream = FakeStream(peer or self.peer)
        self.successResultOf(Deferred.fromCoroutine(self.protocol.inform(stream)))
        (message,) = stream.written
        return IssueInfo.FromString(message)

    def request(self, nonce):
        now_ms = int(self.clock.seconds() * 1000)
        proof = make_proof(self.prover, self.peer, [PUBLIC], now_ms, issuer=self.issuer.multihash, nonce=nonce)
        return IssueRequest(proofs=[proof], supportedCryptos=[RSA]).SerializeToString()

    def issue(self, message, peer=None):
        """The stream, and what fires when the protocol is through with it."""
        stream = FakeStream(peer or self.peer, message)
        return stream, Deferred.fromCoroutine(self.protocol.issue(stream))

    def answer(self, message, peer=None):
        stream, done = self.issue(message, peer)
        self.successResultOf(done)
        (answer,) = stream.written
        return IssueResponse.FromString(answer)

    def test_info(self):
        """It tells the zone, the algorithms, each proof server once with all its addresses, and a new nonce."""
        first, second = self.inform(), self.inform()
        self.assertEqual((first.domain, list(first.cryptos)), (ZONE, [ECDSA_P256, RSA]))
        (server,) = first.proofs
        self.assertEqual(server.id, self.prover.peer_id.multihash)
        self.assertEqual([str(Multiaddr.from_bytes(one)) for one in server.addrs], list(PLACES))
        self.assertNotEqual(first.nonce, second.nonce)
        self.assertEqual((list(server.keys), first.quorum), ([], 1))

    def test_a_nonce_is_used_up_by_the_answer(self):
        """Until then the same request may come again; afterwards it is refused."""
        request = self.request(self.inform().nonce)
        one, first_done = self.issue(request)
        two, second_done = self.issue(request)
        ((_, outcome),) = self.orders.orders
        outcome.callback(IssueResponse(error=OK))
        self.successResultOf(first_done)
        self.successResultOf(second_done)
        for stream in (one, two):
            self.assertEqual(IssueResponse.FromString(stream.written[0]).error, OK)
        self.assertEqual(self.answer(request).error, E_INVALID_PROOF)

    def test_nonces_of_others(self):
        """A nonce is good for the peer that it was given to, for a minute."""
        self.assertEqual(
            self.answer(self.request(self.inform(PrivateKey.generate().peer_id).nonce)).error, E_INVALID_PROOF
        )
        nonce = self.inform().nonce
        self.clock.advance(61)
        self.assertEqual(self.answer(self.request(nonce)).error, E_INVALID_PROOF)
        self.assertEqual(self.orders.orders, [])

    def test_failures_of_ours_are_logged_as_errors(self):
        """The peer is told its number and reason; the operator, too. A peer's own fault is no more than debug."""
        for error, code, retry_after in (
            (Unavailable("no room", E_RATE_LIMIT, 60.4), E_RATE_LIMIT, 60),
            (NodetrustError("the disk is full"), E_OTHER, 0),
        ):
            with capturedLogs() as logged:
                stream, done = self.issue(self.request(self.inform().nonce))
                self.orders.orders[-1][1].errback(error)
                self.successResultOf(done)
            response = IssueResponse.FromString(stream.written[0])
            self.assertEqual((response.error, response.message, response.retryAfter), (code, str(error), retry_after))
            self.assertEqual([event["log_level"] for event in logged], [LogLevel.error])
        with capturedLogs() as logged:
            self.assertEqual(self.answer(b"").error, E_INVALID_PROOF)
        self.assertEqual([event["log_level"] for event in logged], [LogLevel.debug])

    def test_what_is_no_request(self):
        """Garbage and a message too long are answered as well."""
        for message in (b"\xff\xff", MessageTooLong(100_000, 1000)):
            response = self.answer(message)
            self.assertEqual(response.error, E_OTHER)
            self.assertIn("cannot be read", response.message)
