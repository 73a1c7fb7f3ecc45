"""A DNS server in trouble: killed, out of descriptors, out of disk.

Whatever else fails, queries over UDP are answered. Linux alone has what makes the trouble here.
"""

import resource
import socket
import time
from pathlib import Path
from typing import Any

import dns.message
import dns.query
from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest, TestCase

from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import DNS01_PROTOCOL, MAX_DNS01_RESPONSE_BYTES, OK, DNS01Request, DNS01Response
from tests.dns.challenges.test_table import VALUE
from tests.dns.process import ServerProcess

NAME = "ip41-2-3-4.nt.test"
OTHER_VALUE = VALUE[::-1]


class FaultTests(TestCase):
    """One server, one fault."""

    timeout = 300

    def setUp(self) -> None:
        if not hasattr(resource, "prlimit"):
            raise SkipTest("only Linux lets one process set the limits of another")
        self.folder = Path(self.mktemp())
        self.key = PrivateKey.generate()

    async def start(self, **settings: Any) -> ServerProcess:
        admins = [str(self.key.peer_id)]
        server: ServerProcess = await deferToThread(ServerProcess, self.folder, admins=admins, **settings)
        self.addCleanup(server.kill)
        return server

    async def set_challenge(self, server: ServerProcess, value: str) -> int:
        """The error number of the server's response; OK is 0."""
        host = Host(reactor, self.key)
        try:
            address = Multiaddr.parse(server.address)
            assert address.peer_id is not None
            await host.connect([address], address.peer_id)
            stream = await host.open_messages(address.peer_id, [DNS01_PROTOCOL], MAX_DNS01_RESPONSE_BYTES, 20.0)
            stream.write(DNS01Request(fqdn=NAME, value=value).SerializeToString())
            return int(DNS01Response.FromString(await stream.read()).error)
        finally:
            await host.stop()

    def set_limit(self, server: ServerProcess, which: int, soft: int) -> None:
        _, hard = resource.prlimit(server.process.pid, which)
        resource.prlimit(server.process.pid, which, (soft, hard))

    async def test_killed(self) -> None:
        """kill -9 as soon as the OK is there: the next process answers with the value."""
        server = await self.start()
        self.assertEqual(await self.set_challenge(server, VALUE), OK)
        server.kill()
        server = await self.start()
        self.assertEqual(await deferToThread(server.texts, f"_acme-challenge.{NAME}"), [VALUE])

    async def test_killed_with_workers(self) -> None:
        """Several processes, all killed: all of the next ones answer with the value."""
        server = await self.start(workers=2)
        self.assertEqual(await self.set_challenge(server, VALUE), OK)
        server.kill()
        server = await self.start(workers=2)
        for _ in range(20):
            self.assertEqual(await deferToThread(server.texts, f"_acme-challenge.{NAME}"), [VALUE])

    async def test_disk_full(self) -> None:
        """No file can grow: challenges are refused and not answered, all else is; then it recovers by itself."""
        server = await self.start()
        self.set_limit(server, resource.RLIMIT_FSIZE, 0)
        self.assertNotEqual(await self.set_challenge(server, VALUE), OK)
        self.assertEqual(await deferToThread(server.texts, f"_acme-challenge.{NAME}"), [])
        self.assertIsNotNone(await deferToThread(server.ask, NAME))
        self.set_limit(server, resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)
        self.assertEqual(await self.set_challenge(server, OTHER_VALUE), OK)
        self.assertEqual(await deferToThread(server.texts, f"_acme-challenge.{NAME}"), [OTHER_VALUE])
        self.assertEqual([line for line in server.lines if "Traceback" in line], [])

    async def test_few_descriptors(self) -> None:
        """With 384 descriptors and a crowd of TCP connections, UDP is answered, and TCP again as soon as they go."""
        server = await self.start(descriptors=384, max_connections=64)
        crowd = await deferToThread(self._crowd, server)
        try:
            answers = [await deferToThread(server.ask, NAME) for _ in range(100)]
            self.assertNotIn(None, answers)
        finally:
            for one in crowd:
                one.close()
        begin = time.monotonic()
        await deferToThread(self._ask_over_tcp, server)
        self.assertLess(time.monotonic() - begin, 1.0)
        self.assertEqual([line for line in server.lines if "Traceback" in line], [])

    def _crowd(self, server: ServerProcess) -> list[socket.socket]:
        """600 connections from 60 addresses, which all say nothing."""
        crowd = []
        for number in range(600):
            one = socket.socket()
            crowd.append(one)
            one.setblocking(False)
            one.bind((f"127.0.1.{number % 60 + 1}", 0))
            one.connect_ex(server.place)
        return crowd

    def _ask_over_tcp(self, server: ServerProcess) -> None:
        query = dns.message.make_query(NAME, "A")
        response = dns.query.tcp(query, server.place[0], timeout=5, port=server.place[1])
        self.assertEqual(len(response.answer), 1)
