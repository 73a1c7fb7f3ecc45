"""What is refused: each with its error number and a reason, nothing left behind, and the connection still good."""

import time
from collections.abc import Sequence

from twisted.internet.defer import Deferred

from nodetrust.certificates import make_key
from nodetrust.challenges import servers as challenges
from nodetrust.challenges.outbox import Challenge
from nodetrust.command.deployment import full_addresses
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.messages import (
    DNS01_PROTOCOL,
    E_INVALID_PROOF,
    E_NO_MATCHING_CRYPTO,
    E_NOT_AUTHORIZED,
    E_OTHER,
    E_RATE_LIMIT,
    ECDSA_P256,
    MAX_DNS01_RESPONSE_BYTES,
    MAX_ISSUE_REQUEST_BYTES,
    OK,
    RSA,
    DNS01Request,
    DNS01Response,
    IssueRequest,
    IssueResponse,
)
from nodetrust.testing.ca import CASettings
from tests.servers import LOOPBACK_NAME, Peer, Servers, ServersTestCase, ip_address, reactor

HOUR_MS = 3_600_000
VALUE = "v" * 43


class RefusalTests(ServersTestCase):
    """A peer that asks for what it may not have, or at the wrong time."""

    async def assert_refused(self, peer: Peer, request: IssueRequest, code: int, reason: str) -> IssueResponse:
        servers = peer.servers
        before = servers.stored_certificates()
        response = await peer.ask(request)
        self.assertEqual(response.error, code, response.message)
        self.assertIn(reason, response.message)
        for field in ("cert", "chain", "ca", "key"):
            self.assertEqual(getattr(response, field), b"")
        self.assertEqual((servers.open_orders, servers.stored_certificates()), (0, before))
        return response

    async def assert_nothing_published(self, servers: Servers, *names: str) -> None:
        for name in names:
            self.assertEqual(await servers.challenges(name), 0)

    async def test_requests_that_are_refused(self) -> None:
        """Each kind of bad request is refused without a word to the CA; then a good one is served."""
        servers = await self.start(issue={"allow_private": False})
        peer = await self.connected_peer(servers)
        stranger = PrivateKey.generate()
        now_ms = int(time.time() * 1000)
        public = [peer.proof(ip_address("8.8.8.8"))]
        changed = peer.proof(ip_address("8.8.8.8"))
        changed.proof = changed.proof.replace(b"8.8.8.8", b"8.8.4.4")
        other = peer.proof(ip_address("8.8.8.8"), peer_id=stranger.peer_id)
        expired = peer.proof(ip_address("8.8.8.8"), now_ms=now_ms - HOUR_MS)
        for request, code, reason in (
            (peer.request(proofs=[]), E_INVALID_PROOF, "no proof"),
            (peer.request(proofs=[other]), E_INVALID_PROOF, "another peer"),
            (peer.request(proofs=[expired]), E_INVALID_PROOF, "too old"),
            (peer.request(proofs=[peer.proof(key=stranger)]), E_INVALID_PROOF, "trusted"),
            (peer.request(proofs=[changed]), E_INVALID_PROOF, "trusted"),
            (peer.request(proofs=[*public, expired]), E_INVALID_PROOF, "too old"),
            (peer.request(), E_INVALID_PROOF, "127.0.0.1 is not a public address"),
            (peer.request(proofs=public, supportedCryptos=[]), E_NO_MATCHING_CRYPTO, "no common key algorithm"),
            (peer.request(proofs=public, supportedCryptos=[RSA]), E_NO_MATCHING_CRYPTO, "CSR's key"),
            (peer.request(proofs=public, csr=b"garbage"), E_OTHER, "CSR cannot be read"),
            (peer.request(["ip48-8-4-4.nodetrust.test"], proofs=public), E_NOT_AUTHORIZED, "ip48-8-4-4"),
            (peer.request(["*.nodetrust.test"], proofs=public), E_NOT_AUTHORIZED, "not proven"),
        ):
            await self.assert_refused(peer, request, code, reason)
        for message in (b"", b"\xff\xff", b"x" * (MAX_ISSUE_REQUEST_BYTES + 1)):
            response = IssueResponse.FromString(await peer.ask_bytes(message))
            self.assertEqual(response.error, E_INVALID_PROOF if not message else E_OTHER)
        self.assertEqual(servers.orders, 0)
        await self.assert_nothing_published(servers, LOOPBACK_NAME, "ip48-8-8-8.nodetrust.test", peer.own_name)
        good = await peer.ask(peer.request(["ip48-8-8-8.nodetrust.test", peer.own_name], proofs=public))
        self.assertEqual(good.error, OK, good.message)
        self.assertEqual(len(peer.host.connections()), 1)

    async def test_the_ca_refuses(self) -> None:
        """What the CA says is passed on; another name is served on the same connection."""
        servers = await self.start(CASettings(refused=(LOOPBACK_NAME,)))
        peer = await self.connected_peer(servers)
        await self.assert_refused(peer, peer.request(), E_OTHER, "does not sign")
        await self.assert_nothing_published(servers, LOOPBACK_NAME, peer.own_name)
        good = await peer.ask(peer.request([peer.own_name]))
        self.assertEqual(good.error, OK, good.message)

    async def test_the_ca_is_busy(self) -> None:
        """A rate limit is E_RATE_LIMIT, with the CA's own word on when to come back."""
        servers = await self.start(CASettings(rate_limited_seconds=4000))
        peer = await self.connected_peer(servers)
        response = await self.assert_refused(peer, peer.request(), E_RATE_LIMIT, "too many new orders")
        self.assertAlmostEqual(response.retryAfter, 4000, delta=60)

    async def test_the_dns_server_is_out_of_reach(self) -> None:
        """Then no challenge can be set; what is in the store is handed out all the same."""
        self.patch(challenges, "PUBLISH_SECONDS", 2.0)
        servers = await self.start()
        peer = await self.connected_peer(servers)
        good = peer.key
        self.assertEqual((await peer.ask(peer.request())).error, OK)
        await servers.dns.stop()
        peer.key = make_key(ECDSA_P256)
        await self.assert_refused(peer, peer.request(), E_OTHER, "could not be reached")
        peer.key = good
        response = await peer.ask(peer.request())
        self.assertEqual((response.error, response.fromCache), (OK, True))

    async def test_the_ca_is_out_of_reach(self) -> None:
        """The same without a CA."""
        servers = await self.start()
        peer = await self.connected_peer(servers)
        good = peer.key
        self.assertEqual((await peer.ask(peer.request())).error, OK)
        await servers.ca.stop()
        peer.key = make_key(ECDSA_P256)
        await self.assert_refused(peer, peer.request(), E_OTHER, "cannot be reached")
        await self.assert_nothing_published(servers, LOOPBACK_NAME, peer.own_name)
        peer.key = good
        response = await peer.ask(peer.request())
        self.assertEqual((response.error, response.fromCache), (OK, True))

    async def test_addresses_that_dns_does_not_resolve(self) -> None:
        """Where names of private addresses are not resolved they still get certificates: challenges are TXT."""
        servers = await self.start(dns={"addresses": "public"})
        peer = await self.connected_peer(servers)
        response = await peer.ask(peer.request())
        self.assertEqual(response.error, OK, response.message)


class ChallengeTests(ServersTestCase):
    """The DNS server's own refusals."""

    async def test_strangers_and_foreign_names(self) -> None:
        """An unlisted caller, and a name outside the zone, leave nothing; the admin is served on the same stream."""
        admin = PrivateKey.generate()
        servers = await self.start(dns={"admins": (admin.peer_id,)})
        outside = DNS01Request(fqdn="ip41-2-3-4.example.org", value=VALUE)
        inside = DNS01Request(fqdn="ip41-2-3-4.nodetrust.test", value=VALUE)
        stranger = PrivateKey.generate()
        self.assertEqual(await self.set(servers, stranger, inside), [E_NOT_AUTHORIZED])
        self.assertEqual(await servers.challenges(inside.fqdn), 0)
        self.assertEqual(await self.set(servers, admin, outside, inside), [E_OTHER, OK])
        self.assertEqual(await servers.challenges(inside.fqdn), 1)

    async def test_an_issue_server_that_is_not_listed(self) -> None:
        """It says so to the peer, and gets nothing published."""
        servers = await self.start(dns={"admins": ()})
        peer = await self.connected_peer(servers)
        response = await peer.ask(peer.request())
        self.assertEqual(response.error, E_OTHER)
        self.assertIn("is not one of this server's admins", response.message)
        self.assertEqual(await servers.challenges(LOOPBACK_NAME), 0)

    async def set(self, servers: Servers, key: PrivateKey, *requests: DNS01Request) -> list[int]:
        """The error numbers that the DNS server answers with, on one stream."""
        host = Host(reactor, key)
        self.addCleanup(host.stop)
        addresses = full_addresses(servers.dns.host)
        await host.connect(addresses)
        server = addresses[0].peer_id
        assert server is not None
        stream = await host.open_messages(server, [DNS01_PROTOCOL], MAX_DNS01_RESPONSE_BYTES, 5.0)
        errors = []
        for request in requests:
            stream.write(request.SerializeToString())
            errors.append(int(DNS01Response.FromString(await stream.read()).error))
        stream.close()
        return errors


class StopTests(ServersTestCase):
    """An issue server that stops in the middle of an order."""

    async def test_open_orders_are_given_up(self) -> None:
        """Who waits is told, challenges of which the CA has not heard are withdrawn, in less than two seconds."""
        servers = await self.start()
        peer = await self.connected_peer(servers)
        dns = servers.issue.dns
        assert dns is not None
        publish, published = dns.publish, Deferred[None]()

        async def publish_slowly(challenges: Sequence[Challenge]) -> None:
            await publish(challenges)
            published.callback(None)
            await Deferred()

        self.patch(dns, "publish", publish_slowly)
        asking = Deferred.fromCoroutine(peer.ask(peer.request()))
        await published
        self.assertEqual(await servers.challenges(LOOPBACK_NAME), 1)
        begun = time.monotonic()
        await servers.issue.stop()
        self.assertLess(time.monotonic() - begun, 2.0)
        response = await asking
        self.assertEqual(response.error, E_OTHER)
        self.assertIn("stopping", response.message)
        self.assertEqual(await servers.challenges(LOOPBACK_NAME), 0)
