"""The network between the issue server and the DNS servers is cut, and heals."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from nodetrust.challenges.server import RESPONSE_SECONDS
from nodetrust.dns.service import DnsService
from nodetrust.issue.settings import IssueSettings
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import OK, IssueResponse
from nodetrust.service import load_identity
from tests.relay import Relay
from tests.servers import LOOPBACK_NAME, Peer, Servers, ServersTestCase, reactor

CUT_SECONDS = 2.0
RESUME_SECONDS = 10.0
LOOK_SECONDS = 0.05


class Remote(Servers):
    """The issue server reaches the last of the DNS servers through a relay; `other` is one more, if it is set."""

    relay: Relay
    other: DnsService | None = None

    def issue_settings(self) -> IssueSettings:
        settings = super().issue_settings()
        port = self.relay.port.getHost().port
        last = Multiaddr.parse(f"/ip4/127.0.0.1/tcp/{port}").with_peer_id((self.other or self.dns).host.peer_id)
        return replace(settings, dns_servers=(last,) if self.other is None else (*settings.dns_servers, last))

    def behind_relay(self) -> tuple[str, int]:
        """Where the relay leads."""
        (address,) = (self.other or self.dns).host.addresses()
        return "127.0.0.1", int(address.get("tcp"))


class PartitionTests(ServersTestCase):
    """An order, and what becomes of it."""

    timeout = 600

    async def start_remote(self, two: bool = False, **issue: Any) -> Remote:
        """Running servers, connected with each other."""
        servers = Remote(Path(self.mktemp()).absolute())
        self.addCleanup(lambda: Deferred.fromCoroutine(servers.stop()))
        servers.changes["issue"] = issue
        servers.relay = Relay(reactor, servers.behind_relay)
        await servers.relay.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(servers.relay.stop()))
        if two:
            issuer = load_identity(servers.folder / "issue").peer_id
            servers.other = DnsService(reactor, replace(servers.dns_settings(issuer), state=servers.folder / "dns2"))
            self.addCleanup(lambda: Deferred.fromCoroutine(servers.other.stop()))
            await servers.other.start()
        await servers.start_servers(lambda step: None)
        while not servers.issue.host.connections((servers.other or servers.dns).host.peer_id):
            await deferLater(reactor, LOOK_SECONDS)
        return servers

    def asked(self, peer: Peer) -> Deferred[IssueResponse]:
        return Deferred.fromCoroutine(peer.ask(peer.request()))

    async def seconds_until(self, holds: Callable[[], bool]) -> float:
        """How long it took."""
        began = reactor.seconds()
        while not holds():
            self.assertLess(reactor.seconds() - began, 3 * RESUME_SECONDS)
            await deferLater(reactor, LOOK_SECONDS)
        return float(reactor.seconds() - began)

    async def check_cut(self, way: str) -> None:
        servers = await self.start_remote()
        peer = await self.connected_peer(servers)
        servers.relay.cut(way)
        asked = self.asked(peer)
        await deferLater(reactor, CUT_SECONDS)
        self.assertFalse(asked.called)
        servers.relay.heal()
        healed = reactor.seconds()
        response = await asked
        self.assertEqual(response.error, OK, response.message)
        self.assertLess(reactor.seconds() - healed, RESUME_SECONDS)
        self.assertEqual(servers.orders, 1)
        table = servers.dns._answering.table
        self.assertLess(await self.seconds_until(lambda: not len(table)), RESUME_SECONDS)

    async def test_bytes_held_back(self) -> None:
        """The cable is out for a while: the order goes on soon after it is in again, on the same connection or not."""
        await self.check_cut("held")

    async def test_bytes_lost(self) -> None:
        """What stands between has forgotten the connection: it is dialled anew."""
        await self.check_cut("lost")

    async def test_connections_ended(self) -> None:
        """The server is down for a while, or a firewall says so."""
        await self.check_cut("ended")

    async def test_cut_before_the_challenge_is_removed(self) -> None:
        """The peer has its certificate at once; the challenge goes when the network is back."""
        servers = await self.start_remote()
        peer = await self.connected_peer(servers)
        withdraw = servers.issue.dns.withdraw

        async def cut(records: Any) -> None:
            servers.relay.cut("ended")
            await withdraw(records)

        self.patch(servers.issue.dns, "withdraw", cut)
        response = await self.asked(peer)
        self.assertEqual(response.error, OK, response.message)
        self.assertTrue(await servers.challenges(LOOPBACK_NAME))
        await deferLater(reactor, CUT_SECONDS)
        servers.relay.heal()
        table = servers.dns._answering.table
        self.assertLess(await self.seconds_until(lambda: not len(table)), RESUME_SECONDS)

    async def test_one_of_two(self) -> None:
        """Where one confirmation is enough, no order waits for a server that is cut off; it gets what it missed."""
        servers = await self.start_remote(two=True, dns_confirmations=1)
        peer = await self.connected_peer(servers)
        servers.relay.cut("lost")
        began = reactor.seconds()
        response = await self.asked(peer)
        self.assertEqual(response.error, OK, response.message)
        self.assertLess(reactor.seconds() - began, RESPONSE_SECONDS, "sooner than a silent server is given up")
        # Of that order the server was not told, and need not be; of the next one it will be.
        challenges = [(LOOPBACK_NAME, "v" * 43)]
        await servers.issue.dns.publish(challenges)
        servers.relay.heal()
        table = servers.other._answering.table
        self.assertLess(await self.seconds_until(lambda: len(table) == 1), RESUME_SECONDS)
        await servers.issue.dns.withdraw(challenges)
        self.assertLess(await self.seconds_until(lambda: not len(table)), RESUME_SECONDS)
