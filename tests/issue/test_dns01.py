"""Telling the DNS servers: all at once, and what becomes of one that does not do as it is asked."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.issue.dns01 import DnsServers
from nodetrust.issue.errors import DnsServerError
from nodetrust.libp2p.errors import DialError, Timeout
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import DNS01_PROTOCOL, E_NOT_AUTHORIZED, OK, DNS01Request, DNS01Response

ONE, TWO = (PrivateKey.from_seed(bytes([number] * 32)).peer_id for number in (1, 2))
CHALLENGES = [("ip41-2-3-4.nt.example.org", "v" * 43), ("pabc.nt.example.org", "w" * 43)]


class FakeStream:
    """One stream to a DNS server; each `read` waits for the test."""

    def __init__(self):
        self.requests, self.reads = [], []
        self.closed = False

    def write(self, message):
        self.requests.append(DNS01Request.FromString(message))

    async def read(self):
        self.reads.append(Deferred())
        return await self.reads[-1]

    def answer(self, error, message=None):
        self.reads[-1].callback(DNS01Response(error=error, message=message).SerializeToString())

    def close(self):
        self.closed = True


class FakeHost:
    """Reaches the servers of `streams`."""

    def __init__(self, *reachable):
        self.streams = {peer: FakeStream() for peer in reachable}

    async def connect(self, addresses, peer):
        if peer not in self.streams:
            raise DialError("connection refused")

    async def open_messages(self, peer, protocols, max_bytes, timeout):
        assert list(protocols) == [DNS01_PROTOCOL]
        return self.streams[peer]


class DnsServersTests(SynchronousTestCase):
    def servers(self, *reachable):
        host = FakeHost(*reachable)
        place = Multiaddr.parse("/ip4/192.0.2.1/tcp/1")
        return DnsServers(host, [place.with_peer_id(peer) for peer in (ONE, TWO)]), host.streams

    def test_all_at_once(self):
        """Every server has all challenges before any has answered; it is done when all have said OK to all."""
        servers, streams = self.servers(ONE, TWO)
        done = Deferred.fromCoroutine(servers.publish(CHALLENGES))
        for stream in streams.values():
            self.assertEqual(
                [(one.fqdn, one.value, one.remove) for one in stream.requests],
                [(*challenge, False) for challenge in CHALLENGES],
            )
        for stream in streams.values():
            self.assertNoResult(done)
            stream.answer(OK)
            stream.answer(OK)
            self.assertTrue(stream.closed)
        self.assertIsNone(self.successResultOf(done))

    def test_a_server_that_refuses(self):
        """The error names the server, the name and the server's reason."""
        servers, streams = self.servers(ONE, TWO)
        done = Deferred.fromCoroutine(servers.publish(CHALLENGES))
        streams[ONE].answer(E_NOT_AUTHORIZED, "not an admin")
        streams[TWO].answer(OK)
        streams[TWO].answer(OK)
        error = str(self.failureResultOf(done, DnsServerError).value)
        for part in (str(ONE), CHALLENGES[0][0], "not an admin"):
            self.assertIn(part, error)
        self.assertTrue(streams[ONE].closed)

    def test_servers_out_of_reach(self):
        """One that cannot be dialled, one that is silent, one that talks nonsense: each is named."""
        servers, streams = self.servers(TWO)
        done = Deferred.fromCoroutine(servers.publish(CHALLENGES))
        streams[TWO].answer(OK)
        streams[TWO].answer(OK)
        self.assertIn(f"{ONE} could not be reached", str(self.failureResultOf(done, DnsServerError).value))
        for answer in (Timeout("no message"), b"\xff"):
            servers, streams = self.servers(ONE, TWO)
            done = Deferred.fromCoroutine(servers.publish(CHALLENGES[:1]))
            streams[TWO].answer(OK)
            fire = streams[ONE].reads[0].callback if isinstance(answer, bytes) else streams[ONE].reads[0].errback
            fire(answer)
            self.assertIn(f"{ONE} did not answer", str(self.failureResultOf(done, DnsServerError).value))

    def test_withdrawing_goes_on_without_those_out_of_reach(self):
        """They forget the challenges by themselves in time."""
        servers, streams = self.servers(TWO)
        done = Deferred.fromCoroutine(servers.withdraw(CHALLENGES[:1]))
        self.assertTrue(streams[TWO].requests[0].remove)
        streams[TWO].answer(OK)
        self.assertIsNone(self.successResultOf(done))

    def test_cancelled(self):
        """Neither goes on after that, and the streams are closed."""
        for what in ("publish", "withdraw"):
            servers, streams = self.servers(ONE, TWO)
            done = Deferred.fromCoroutine(getattr(servers, what)(CHALLENGES))
            done.cancel()
            self.failureResultOf(done, CancelledError)
            self.assertTrue(all(stream.closed for stream in streams.values()))
