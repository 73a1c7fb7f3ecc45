"""Asking servers over loopback, and what they see of real listeners."""

from __future__ import annotations

from typing import Any

from twisted.logger import LogLevel, capturedLogs

from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.limits import Limits
from nodetrust.libp2p.message_stream import MessageStream
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.tls import TlsSecurity
from nodetrust.libp2p.upgrade import MUXERS
from nodetrust.messages import (
    CHECK_PROTOCOL,
    E_NOT_AUTHORIZED,
    E_RATE_LIMIT,
    MAX_CHECK_REQUEST_BYTES,
    OK,
    CheckFault,
    CheckResponse,
    CheckResult,
)
from nodetrust.reachability.ask import Checked, ask_check, read_response
from nodetrust.reachability.errors import NotChecked
from nodetrust.reachability.outcome import REACHED
from tests.libp2p.throwaway_ca import ThrowawayCa
from tests.reachability.site import NAME, CheckingCase, reactor
from tests.reachability.support import ZONE


class AskCase(CheckingCase):
    async def ask(self, *addresses: Multiaddr, servers: list[Multiaddr] | None = None) -> list[Checked]:
        return await ask_check(self.asker, servers or self.servers, addresses, reactor)

    async def fault(self, address: Multiaddr) -> str:
        """What the server says of one address: the fault's name, or nothing if it is reachable."""
        [checked] = await self.ask(address)
        self.assertEqual((checked.address, checked.by), (address, self.server.peer_id))
        fault = checked.outcome.fault
        if fault is not None:
            self.assertNotEqual(checked.outcome.message, "")
        return "" if fault is None else CheckFault.Name(fault)


class OutcomeTests(AskCase):
    """Each outcome, from a real listener."""

    async def test_reachable(self) -> None:
        """A node with a good certificate is met, by its name and by its IP address."""
        address = await self.secure(self.asker, [NAME, "127.0.0.1"])
        port, peer = address.get("tcp"), self.asker.peer_id
        for one in (
            address,
            Multiaddr.parse(f"/ip4/127.0.0.1/tcp/{port}/wss/p2p/{peer}"),
            Multiaddr.parse(f"/ip4/127.0.0.1/tcp/{port}/tls/sni/{NAME}/ws/p2p/{peer}"),
        ):
            self.assertEqual(await self.fault(one), "")

    async def test_a_peer_behind(self) -> None:
        """Another node at the asker's address, that speaks no Noise, is met under its own ID."""
        key = PrivateKey.generate()
        behind = Host(reactor, key, securities=[TlsSecurity(key, MUXERS, reactor)])
        self.addCleanup(behind.stop)
        self.assertEqual(await self.fault(await self.secure(behind)), "")

    async def test_port_closed(self) -> None:
        """A port at which nobody listens."""
        self.assertEqual(await self.fault(self.address(await self.closed_port())), "CONNECTION_REFUSED")

    async def test_certificates(self) -> None:
        """A certificate for another name, from an unknown CA, or none at all."""
        other = await self.secure(self.asker, [f"ip4127-0-0-2.{ZONE}"])
        unknown = await self.secure(self.asker, ca=ThrowawayCa())
        for address in (other, unknown):
            self.assertEqual(await self.fault(address), "TLS_FAILED")
        port, _ = await self.target(lambda target: target.transport.write(b"220 mail.example ESMTP\r\n"))
        self.assertEqual(await self.fault(self.address(port)), "TLS_FAILED")

    async def test_wrong_peer(self) -> None:
        """Another node than the address names."""
        address = await self.secure(self.host())
        self.assertEqual(await self.fault(address.with_peer_id(self.asker.peer_id)), "WRONG_PEER")

    async def test_a_crowded_node(self) -> None:
        """A node that has as many connections as it takes, and one of the server's, is reachable all the same."""
        crowded = self.host(limits=Limits(connections_per_peer=1, inbound_connections=1))
        address = await self.secure(crowded)
        place = await crowded.listen(Multiaddr.parse("/ip4/127.0.0.1/tcp/0"))
        connection = await self.server.connect([place], crowded.peer_id)
        self.assertEqual(await self.fault(address), "")
        self.assertFalse(connection.closed)

    async def test_no_traces(self) -> None:
        """The dial is none of the server's connections, and is closed at once; nobody logs more than debug lines."""
        address = await self.secure(self.asker)
        met: list[Any] = []
        self.asker.on_connected(lambda connection: met.append(connection) if not connection.outbound else None)
        with capturedLogs() as logs:
            self.assertEqual(await self.fault(address), "")
            await self.until(lambda: not self.protocol._dialer._budget.open)
            await self.until(lambda: self.asker._budget.open == 1)
        self.assertEqual(met, [])
        self.assertEqual([one.remote_peer for one in self.server.connections()], [self.asker.peer_id])
        self.assertEqual([one for one in logs if one["log_level"] > LogLevel.debug], [])


class ServersTests(AskCase):
    """Several servers, and those that do not check."""

    async def other_server(self, answer: CheckResponse | None = None) -> list[Multiaddr]:
        """A server that does not know the protocol, or always says the same."""
        server = self.host()
        if answer is not None:

            async def respond(stream: MessageStream) -> None:
                await stream.read()
                stream.write(answer.SerializeToString())

            server.handle_messages(CHECK_PROTOCOL, respond, MAX_CHECK_REQUEST_BYTES)
        return [(await server.listen(Multiaddr.parse("/ip4/127.0.0.1/tcp/0"))).with_peer_id(server.peer_id)]

    async def test_the_next_one(self) -> None:
        """A server that is too old, busy, gone or talks nonsense is passed over for the next one."""
        address = await self.secure(self.asker)
        busy = CheckResponse(error=E_RATE_LIMIT, message="come again\nlater", retryAfter=9)
        nonsense = CheckResponse(error=OK, results=[CheckResult(addr=b"x", reachable=True)])
        gone = Multiaddr.parse(f"/ip4/127.0.0.1/tcp/{await self.closed_port()}")
        for bad in (
            await self.other_server(),
            await self.other_server(busy),
            await self.other_server(nonsense),
            [gone.with_peer_id(PrivateKey.generate().peer_id)],
        ):
            [checked] = await self.ask(address, servers=[*bad, *self.servers])
            self.assertEqual((checked.outcome, checked.by), (REACHED, self.server.peer_id))

    async def test_the_first_one(self) -> None:
        """A server that has answered is believed, and no further one is asked."""
        address = await self.secure(self.asker)
        silent = CheckResult(addr=bytes(address), reachable=False, fault=CheckFault.TIMED_OUT, message="si\nlent")
        first = await self.other_server(CheckResponse(error=OK, results=[silent]))
        [checked] = await self.ask(address, servers=[*first, *self.servers])
        self.assertEqual((checked.outcome.fault, checked.outcome.message), (CheckFault.TIMED_OUT, "si lent"))

    async def test_one_that_does_not_dial(self) -> None:
        """What a server would not dial the next one is asked; where all refuse, that is the answer."""
        address = await self.secure(self.asker)
        refused = CheckResult(addr=bytes(address), reachable=False, fault=CheckFault.NOT_ALLOWED)
        first = await self.other_server(CheckResponse(error=OK, results=[refused]))
        [checked] = await self.ask(address, servers=[*first, *self.servers])
        self.assertTrue(checked.outcome.reachable)
        [checked] = await self.ask(address, servers=first)
        self.assertEqual(checked.outcome.fault, CheckFault.NOT_ALLOWED)

    async def test_none(self) -> None:
        """Where no server checks anything the error has what each said, and its rest is printable."""
        address = await self.secure(self.asker)
        denied = CheckResponse(error=E_NOT_AUTHORIZED, message="no\x1b[31m")
        servers = [*await self.other_server(), *await self.other_server(denied)]
        with self.assertRaises(NotChecked) as caught:
            await self.ask(address, servers=servers)
        for part in ("too old", "no [31m", *(str(one.peer_id) for one in servers)):
            self.assertIn(part, str(caught.exception))

    async def test_another_family(self) -> None:
        """IPv6 addresses are asked for over IPv6 alone; those of neither family not at all."""
        with self.assertRaises(NotChecked):
            await self.ask(Multiaddr.parse(f"/dns6/ip6--1.{ZONE}/tcp/4443/tls/ws/p2p/{self.asker.peer_id}"))
        with self.assertRaises(NotChecked):
            await self.ask(Multiaddr.parse(f"/dns4/a.example/tcp/4443/tls/ws/p2p/{self.asker.peer_id}"))
        self.assertEqual(self.server.connections(), [])

    async def test_both_families(self) -> None:
        """Each over its own: both are dialled, and the answer has the order of the question."""
        over6 = await self.server.listen(Multiaddr.parse("/ip6/::1/tcp/0"))
        first = Multiaddr.parse(f"/ip6/::1/tcp/{await self.closed_port()}/tls/ws/p2p/{self.asker.peer_id}")
        second = await self.secure(self.asker)
        checked = await self.ask(first, second, servers=[*self.servers, over6.with_peer_id(self.server.peer_id)])
        self.assertEqual([one.address for one in checked], [first, second])
        self.assertEqual([one.outcome.fault for one in checked], [CheckFault.CONNECTION_REFUSED, None])

    async def test_connections_stay_few(self) -> None:
        """However often one asks, one connection to the server is kept."""
        address = await self.secure(self.asker)
        for _ in range(5):
            await self.ask(address)
        self.assertEqual(len(self.asker.connections(self.server.peer_id)), 1)

    async def test_with_a_newer_server(self) -> None:
        """A result without a fault, and an unknown address beside a known one, are understood."""
        known = self.address(4443)
        results = [CheckResult(addr=bytes(known), reachable=False), CheckResult(addr=b"x", reachable=True)]
        found = read_response(CheckResponse(error=OK, results=results), [known])
        self.assertEqual({address: one.fault for address, one in found.items()}, {known: CheckFault.FAILED})
