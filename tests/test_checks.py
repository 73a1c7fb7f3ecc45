"""The check from outside in the servers themselves: switched on, switched off, and for those who are denied."""

from nodetrust.command.deployment import full_addresses
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import CHECK_PROTOCOL, CheckFault
from nodetrust.reachability.ask import Checked, ask_check
from nodetrust.reachability.errors import NotChecked
from tests.servers import LOOPBACK_NAME, Servers, ServersTestCase, reactor


class CheckTests(ServersTestCase):
    async def certified(self, servers: Servers) -> Multiaddr:
        """A client's WSS address, once it is served."""
        self.certified_client = await self.client(servers)
        [address] = await self.certified_client.announced()
        return address

    async def ask(self, servers: list[Multiaddr], *addresses: Multiaddr) -> list[Checked]:
        return await ask_check(self.certified_client.host, servers, addresses, reactor)

    async def test_both_kinds_of_server(self) -> None:
        """Issue and proof server each meet the client at its address, by the CA's root in their `trust_file`."""
        servers = await self.start()
        address = await self.certified(servers)
        low_port = Multiaddr.parse(str(address).replace(f"/tcp/{address.get('tcp')}/", "/tcp/4/"))
        for service in (servers.issue, servers.proof):
            [checked, refused] = await self.ask(full_addresses(service.host), address, low_port)
            self.assertEqual((checked.outcome.fault, checked.by), (None, service.host.peer_id))
            self.assertEqual(refused.outcome.fault, CheckFault.NOT_ALLOWED)
            self.assertEqual(
                [one.remote_peer for one in service.host.connections() if one.outbound],
                [servers.dns.host.peer_id] if service is servers.issue else [],
            )

    async def test_zone(self) -> None:
        """The issue server knows its zone; a proof server takes whatever spells the address."""
        servers = await self.start()
        address = await self.certified(servers)
        elsewhere = Multiaddr.parse(str(address).replace(LOOPBACK_NAME, "ip4127-0-0-1.elsewhere.example"))
        for service, fault in ((servers.issue, CheckFault.NOT_ALLOWED), (servers.proof, CheckFault.TLS_FAILED)):
            [checked] = await self.ask(full_addresses(service.host), elsewhere)
            self.assertEqual(checked.outcome.fault, fault)

    async def test_switched_off(self) -> None:
        """With `--no-checks` the protocol is not spoken, and the next server is asked."""
        servers = await self.start(issue={"checks": False})
        address = await self.certified(servers)
        self.assertNotIn(CHECK_PROTOCOL, servers.issue.host.protocols)
        issue, proof = full_addresses(servers.issue.host), full_addresses(servers.proof.host)
        with self.assertRaisesRegex(NotChecked, "too old"):
            await self.ask(issue, address)
        [checked] = await self.ask([*issue, *proof], address)
        self.assertEqual((checked.outcome.fault, checked.by), (None, servers.proof.host.peer_id))

    async def test_denied(self) -> None:
        """The denylist of the role applies, as it is when the question comes."""
        servers = self.prepare()
        servers.folder.mkdir(parents=True)
        denied = servers.folder / "denied"
        denied.write_text("192.0.2.0/24\n")
        servers.changes["issue"] = {"deny": (denied,)}
        await servers.start_servers(lambda step: None)
        address = await self.certified(servers)
        issue = full_addresses(servers.issue.host)
        await self.ask(issue, address)
        denied.write_text("127.0.0.0/8\n")
        await servers.issue._trust.lists._files.poll()
        with self.assertRaisesRegex(NotChecked, "denylist"):
            await self.ask(issue, address)
