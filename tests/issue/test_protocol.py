"""The issue server's two protocols, with a clock of their own and orders that the test fulfils."""

from datetime import UTC, datetime
from ipaddress import ip_network
from types import SimpleNamespace

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.errors import NodetrustError
from nodetrust.issue.decide import DENIED, Policy
from nodetrust.issue.errors import Refusal, Unavailable
from nodetrust.issue.evidence.trust import own_keys, trust_in
from nodetrust.issue.protocol import RENEW_AT_SECONDS, USED, IssueProtocol
from nodetrust.libp2p.errors import MessageTooLong, StreamEnded, StreamReset, Timeout
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.lists.entries import Entries
from nodetrust.lists.lists import Lists
from nodetrust.lists.prefixes import PrefixSet
from nodetrust.messages import (
    E_INVALID_PROOF,
    E_NOT_AUTHORIZED,
    E_OTHER,
    E_RATE_LIMIT,
    ECDSA_P256,
    OK,
    RSA,
    CertificateAuthority,
    IssueInfo,
    IssueRequest,
    IssueResponse,
)
from nodetrust.proofs import VALID_MS, make_proof
from nodetrust.store import StoreError
from tests.issue.test_decide import PUBLIC, SECOND, ZONE
from tests.store.examples import certificate, later

PLACES = ("/ip4/192.0.2.1/tcp/1", "/ip6/2001:db8::1/tcp/1")


class FakeStream:
    """A stream of `peer` with one message to read."""

    def __init__(self, peer, message=b""):
        self.connection = SimpleNamespace(remote_peer=peer, remote_address=Multiaddr.parse("/ip4/8.8.8.8/tcp/1"))
        self.message = message
        self.written = []
        self.next = None
        """What fires with the message that is read after the first, or with the end."""

    async def read(self):
        first, self.next = self.next is None, Deferred()
        if not first:
            return await self.next
        if isinstance(self.message, Exception):
            raise self.message
        return self.message

    def write(self, message):
        self.written.append(message)


class FakeOrders:
    """Keeps the orders; they end when the test says so."""

    def __init__(self):
        self.orders = []

    def signers(self):
        return [CertificateAuthority(caaIdentities=["ca.example"], account="https://ca.example/acct/1")]

    async def fulfil(self, order):
        outcome = Deferred()
        self.orders.append((order, outcome))
        return await outcome


class FakeStore:
    """Remembers used proofs; `failure` is what it says instead."""

    def __init__(self):
        self.used, self.failure, self.newest = {}, None, None

    async def use_proofs(self, digests, until, now):
        if self.failure is not None:
            raise self.failure
        before = frozenset(digests) & self.used.keys()
        self.used.update((digest, until) for digest in digests if digest not in before)
        return before

    async def newest_of_peer(self, peer_id):
        if self.failure is not None:
            raise self.failure
        return await self.newest if isinstance(self.newest, Deferred) else self.newest

    async def unuse_proofs(self, digests):
        for digest in digests:
            del self.used[digest]


class ProtocolTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.prover, self.issuer = PrivateKey.generate(), PrivateKey.generate().peer_id
        self.peer = PrivateKey.generate().peer_id
        self.policy = Policy(
            zone=ZONE,
            issuer=self.issuer,
            trust=trust_in(own_keys([self.prover.peer_id])),
            cryptos=[ECDSA_P256, RSA],
            names="addresses",
            allow_private=False,
            require_nonce=False,
        )
        self.orders = FakeOrders()
        self.servers = tuple(Multiaddr.parse(place).with_peer_id(self.prover.peer_id) for place in PLACES)
        self.proofs = FakeStore()
        self.protocol = self.open()

    def tearDown(self):
        """Answer all: a coroutine that is thrown away ends at a time of its own."""
        for _, outcome in self.orders.orders:
            if not outcome.called:
                outcome.callback(IssueResponse(error=OK))

    def inform(self, peer=None):
        stream = FakeStream(peer or self.peer)
        self.successResultOf(Deferred.fromCoroutine(self.protocol.inform(stream)))
        (message,) = stream.written
        return IssueInfo.FromString(message)

    def open(self):
        """A server with the same store."""
        return IssueProtocol(self.clock, self.policy, self.servers, self.orders, self.proofs)

    def proof(self, *addresses, nonce=None, seconds=0):
        now_ms = int((self.clock.seconds() + seconds) * 1000)
        issuer = None if nonce is None else self.issuer.multihash
        return make_proof(self.prover, self.peer, addresses or [PUBLIC], now_ms, issuer=issuer, nonce=nonce)

    def request_of(self, *proofs, cryptos=(RSA,)):
        return IssueRequest(proofs=proofs, supportedCryptos=cryptos).SerializeToString()

    def request(self, nonce, cryptos=(RSA,), addresses=(), seconds=0):
        return self.request_of(self.proof(*addresses, nonce=nonce, seconds=seconds), cryptos=cryptos)

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

    def test_info_names_the_cas(self):
        """And our account there, for CAA records."""
        (signer,) = self.inform().authorities
        self.assertEqual((list(signer.caaIdentities), signer.account), (["ca.example"], "https://ca.example/acct/1"))

    def test_when_to_renew(self):
        """Info tells it of the peer's newest certificate, if good; a store that fails or is slow adds nothing."""
        self.assertFalse(self.inform().HasField("renewAt"))
        self.proofs.newest = certificate(renew_at=later(days=50))
        self.assertEqual(self.inform().renewAt, int(later(days=50).timestamp() * 1000))
        ended = datetime.fromtimestamp(self.clock.seconds(), UTC)
        self.proofs.newest = certificate(not_after=ended)
        self.assertFalse(self.inform().HasField("renewAt"))
        self.proofs.failure = StoreError("no disk")
        self.assertFalse(self.inform().HasField("renewAt"))
        self.proofs.failure, self.proofs.newest = None, Deferred()
        stream = FakeStream(self.peer)
        asking = Deferred.fromCoroutine(self.protocol.inform(stream))
        self.assertNoResult(asking)
        self.clock.advance(RENEW_AT_SECONDS)
        self.successResultOf(asking)
        self.assertEqual(IssueInfo.FromString(stream.written[0]).domain, ZONE)

    def test_info_names_keys_where_they_are_others(self):
        """A client checks proofs with them; a server that has no key that is trusted is not named at all."""
        other = PrivateKey.generate().peer_id
        prover = self.prover.peer_id
        for keys, expected in (
            ((other,), [[other]]),
            ((prover, other), [[prover, other]]),
            ((prover,), [[]]),
            ((), []),
        ):
            self.protocol.replace_trust(trust_in({prover: keys}, 3))
            info = self.inform()
            self.assertEqual([[PeerId(key) for key in server.keys] for server in info.proofs], expected)
            self.assertEqual(info.quorum, 3)

    def test_the_same_request_gets_the_same_answer(self):
        """Until it is answered it may come again, on any stream, and costs no second order; afterwards it is used."""
        for request in (self.request(self.inform().nonce), self.request(None)):
            self.orders.orders.clear()
            one, first_done = self.issue(request)
            two, second_done = self.issue(request)
            ((_, outcome),) = self.orders.orders
            outcome.callback(IssueResponse(error=OK))
            self.successResultOf(first_done)
            self.successResultOf(second_done)
            for stream in (one, two):
                self.assertEqual(IssueResponse.FromString(stream.written[0]).error, OK)
            self.assertEqual(self.answer(request).error, E_INVALID_PROOF)

    def test_another_request_with_the_same_proof(self):
        """A proof is used up by the first request, not by its answer: another one cannot slip in."""
        for nonce in (self.inform().nonce, None):
            self.issue(self.request(nonce))
            other = self.answer(self.request(nonce, cryptos=[RSA, ECDSA_P256]))
            self.assertEqual(other.error, E_INVALID_PROOF)

    def test_used_proofs_are_remembered_for_all_servers(self):
        """Another server with the same store takes none of them, for as long as the proof is good by any clock."""
        request = self.request(None)
        self.issue(request)
        (until,) = self.proofs.used.values()
        self.assertEqual(until.timestamp(), self.clock.seconds() + 2 * VALID_MS / 1000)
        self.protocol = self.open()
        response = self.answer(request)
        self.assertEqual((response.error, response.message), (E_INVALID_PROOF, USED))

    def test_one_used_proof_of_two(self):
        """The request is refused, and the other proof may come again in a better one."""
        old, new = self.proof(), self.proof(SECOND)
        self.issue(self.request_of(old))
        self.assertEqual(self.answer(self.request_of(old, new)).error, E_INVALID_PROOF)
        self.assertEqual(len(self.proofs.used), 1)
        self.issue(self.request_of(new))
        self.assertEqual(len(self.orders.orders), 2)

    def test_no_certificate_no_use(self):
        """Where no certificate comes of it, a client of 2018 may ask with the same proofs once more."""
        for error in (Unavailable("the CA is down"), Refusal(E_RATE_LIMIT, "later", 60)):
            request = self.request(None)
            _, done = self.issue(request)
            self.orders.orders[-1][1].errback(error)
            self.successResultOf(done)
            self.assertEqual(self.proofs.used, {})

    def test_a_store_that_fails(self):
        """Without it nobody knows whether a proof was used: no order, and the operator hears of it."""
        self.proofs.failure = NodetrustError("the disk is full")
        with capturedLogs() as logged:
            self.assertEqual(self.answer(self.request(None)).error, E_OTHER)
        self.assertEqual([event["log_level"] for event in logged], [LogLevel.error])
        self.assertEqual(self.orders.orders, [])

    def test_nothing_is_used_by_what_is_refused(self):
        """A request that is wrong uses up neither its nonce nor its proofs."""
        nonce = self.inform().nonce
        for refused in (self.request(nonce, cryptos=[]), self.request(None, cryptos=[])):
            self.assertNotEqual(self.answer(refused).error, OK)
        self.assertEqual(self.proofs.used, {})
        self.issue(self.request(nonce))
        self.assertEqual(len(self.orders.orders), 1)

    def test_a_peer_that_is_gone(self):
        """Nobody waits for its certificate then, it may come again with the same proof, and there is no answer."""
        request = self.request(None)
        for _ in range(2):
            stream, done = self.issue(request)
            _, outcome = self.orders.orders[-1]
            stream.next.errback(StreamReset("it went away"))
            self.successResultOf(done)
            self.assertEqual((stream.written, outcome.called), ([], True))
        self.assertEqual(len(self.orders.orders), 2)

    def test_a_peer_that_has_said_everything(self):
        """One that ends its half of the stream, is slow, or says more, waits all the same; nor is the other gone."""
        request = self.request(None)
        for ended in (StreamEnded("end"), Timeout("slow"), b"more"):
            stream, done = self.issue(request)
            (stream.next.callback if isinstance(ended, bytes) else stream.next.errback)(ended)
            gone, _ = self.issue(request)
            gone.next.errback(StreamReset("it went away"))
            self.orders.orders.pop()[1].callback(IssueResponse(error=OK))
            self.successResultOf(done)
            self.assertEqual(IssueResponse.FromString(*stream.written).error, OK)
            request = self.request(None, seconds=-len(repr(ended)))

    def test_the_denied(self):
        """A denied peer, and whoever comes from a denied address, gets nothing; from one moment to the next."""
        prefix = Entries(PrefixSet([ip_network("8.8.8.8")]))
        for denied in (Entries(peers=frozenset([self.peer])), prefix):
            self.protocol.replace_trust(trust_in(own_keys([self.prover.peer_id]), 1, Lists(denied, Entries())))
            response = self.answer(self.request(self.inform().nonce, addresses=[SECOND]))
            self.assertEqual((response.error, response.message), (E_NOT_AUTHORIZED, DENIED))
        self.protocol.replace_trust(trust_in(own_keys([self.prover.peer_id])))
        self.issue(self.request(self.inform().nonce))
        self.assertEqual(len(self.orders.orders), 1)

    def test_clocks_that_differ(self):
        """The log names the server and the difference, once an hour; what fits into the visit is no difference."""
        for seconds, side in ((-10, "behind"), (10, "ahead of")):
            self.protocol = self.open()
            nonce = self.inform().nonce
            with capturedLogs() as logged:
                for _ in range(2):
                    self.issue(self.request(self.inform().nonce, seconds=seconds))
                self.clock.advance(30)
                self.issue(self.request(nonce, seconds=-20))
            (event,) = [event for event in logged if event["log_level"] == LogLevel.warn]
            self.assertEqual((event["server"], event["side"]), (str(self.prover.peer_id), side))
            self.assertAlmostEqual(event["seconds"], 10, places=2)

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
