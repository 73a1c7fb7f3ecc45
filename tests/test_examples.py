"""The examples run as they are, against servers on loopback."""

import contextlib
import os
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol, Protocol, connectionDone
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from nodetrust.command.deployment import ZONE, full_addresses
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.yamux.errors import StreamLostError
from nodetrust.service import dial_options
from tests.servers import LOOPBACK_NAME, Servers, ServersTestCase, reactor

CHECKOUT = Path(__file__).parents[1]
ECHO = "/nodetrust/example/echo/1.0.0"
LINE_SECONDS = 120.0


class Example(ProcessProtocol):
    """A running example, of which lines are awaited."""

    def __init__(self) -> None:
        self.ended: Deferred[None] = Deferred()
        self.printed = ""
        self.errors = ""
        self._waiting: list[tuple[str, Deferred[str]]] = []

    def outReceived(self, data: bytes) -> None:
        self.printed += data.decode()
        self._look()

    def errReceived(self, data: bytes) -> None:
        self.errors += data.decode()

    def processEnded(self, reason: Failure) -> None:
        self.ended.callback(None)
        for _, waiting in self._waiting:
            waiting.errback(AssertionError(f"it ended: {self.errors}"))

    def signal(self, name: str) -> None:
        """Such as INT, which is Ctrl-C's."""
        assert self.transport is not None
        with contextlib.suppress(ProcessExitedAlready):  # a moment ago, and it says so next
            self.transport.signalProcess(name)

    async def line(self, with_text: str) -> str:
        """The first whole line with the text."""
        waiting: Deferred[str] = Deferred()
        self._waiting.append((with_text, waiting))
        self._look()
        return await waiting.addTimeout(LINE_SECONDS, reactor)

    def _look(self) -> None:
        lines = self.printed.split("\n")[:-1]
        for wanted in list(self._waiting):
            found = next((line for line in lines if wanted[0] in line), None)
            if found is not None:
                self._waiting.remove(wanted)
                wanted[1].callback(found)


class Received(Protocol):
    """All that comes until the stream ends."""

    def __init__(self, wanted: int) -> None:
        self.data = b""
        self.done: Deferred[bytes] = Deferred()
        self._wanted = wanted

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        if len(self.data) == self._wanted:
            self.done.callback(self.data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.done.called:
            self.done.errback(reason)


class ExampleTests(ServersTestCase):
    """Each is a process, given the settings that loopback needs."""

    async def run_example(self, servers: Servers, name: str, **settings: Any) -> Example:
        example = Example()
        given = {
            "issuer": str(full_addresses(servers.issue.host)[0]),
            "state": str(servers.folder / name),
            "listen": "/ip4/127.0.0.1/tcp/0",
            "wss_listen": "/ip4/127.0.0.1/tcp/0/tls/ws",
            "announce_seconds": "1",
            "nameserver": str(servers.dns_place),
            "trust_file": str(servers.ca.root_pem_path),
            "map_ports": "false",
            "allow_private": "true",
            **settings,
        }
        arguments = [sys.executable, str(CHECKOUT / "examples" / f"{name}.py"), *(f"{k}={v}" for k, v in given.items())]
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
        reactor.spawnProcess(example, sys.executable, arguments, env=environment)

        async def end() -> None:
            if not example.ended.called:
                example.signal("INT")
            await example.ended

        self.addCleanup(lambda: Deferred.fromCoroutine(end()))
        return example

    def dialer(self, servers: Servers) -> Host:
        options = dial_options(reactor, servers.dns_place, servers.ca.root_pem_path)
        host = Host(reactor, PrivateKey.generate(), **options)
        self.addCleanup(host.stop)
        return host

    async def test_https(self) -> None:
        """A page under the name of the address, with a certificate for it."""
        servers = await self.start()
        example = await self.run_example(servers, "https", port="0")
        url = await example.line("https://")
        self.assertRegex(url, rf"^https://{LOOPBACK_NAME}:\d+/$")
        context = ssl.create_default_context(cafile=str(servers.ca.root_pem_path))
        port = int(url.rpartition(":")[2].strip("/"))

        def fetch() -> bytes:
            """The zone is known to our own DNS server alone, so the address is dialled; TLS checks the name."""
            with (
                socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
                context.wrap_socket(plain, server_hostname=LOOPBACK_NAME) as secure,
            ):
                secure.sendall(b"GET / HTTP/1.0\r\n\r\n")
                return b"".join(iter(lambda: secure.recv(4096), b""))

        self.assertIn(b"without a domain", await deferToThread(fetch))
        self.assertEqual(example.printed, f"{url}\n")

    async def test_https_with_a_wildcard(self) -> None:
        """It tells the name of the address below the peer's."""
        servers = await self.start(issue={"names": "both"})
        example = await self.run_example(servers, "https", port="0", names="peer")
        self.assertRegex(await example.line("https://"), rf"^https://ip4127-0-0-1\.p[0-9a-z]+\.{ZONE}:\d+/$")

    async def check_echo(self, name: str) -> None:
        servers = await self.start()
        example = await self.run_example(servers, name)
        other = await self.run_example(servers, "echo", state=str(servers.folder / "other"))
        address = Multiaddr.parse(await other.line(ZONE))
        received = Received(100_000)
        stream = await (await self.dialer(servers).connect([address])).open_stream([ECHO])
        stream.attach(received)
        stream.write(bytes(100_000))
        self.assertEqual(await received.done.addTimeout(LINE_SECONDS, reactor), bytes(100_000))
        self.assertIn(str(address.peer_id), await example.line("sends back b'hello'"))

    async def test_echo(self) -> None:
        """Twisted: whoever dials it gets back what it sent, and it greets whom it hears of."""
        await self.check_echo("echo")

    async def test_echo_ends(self) -> None:
        """On Ctrl-C it has time to stop: whoever is connected is told so."""
        servers = await self.start()
        example = await self.run_example(servers, "echo")
        address = Multiaddr.parse(await example.line(ZONE))
        stream = await (await self.dialer(servers).connect([address])).open_stream([ECHO])
        received = Received(1)
        stream.attach(received)
        example.signal("INT")
        error = await self.assertFailure(received.done.addTimeout(LINE_SECONDS, reactor), StreamLostError)
        self.assertIn("the remote side ended the session", str(error))

    async def test_asyncio(self) -> None:
        """The same on asyncio's loop, with a clean end on Ctrl-C."""
        await self.check_echo("asyncio_echo")
