"""The issue server as an AutoTLS broker: on its own HTTPS listener under another name, or behind a proxy."""

from pathlib import Path
from typing import Any

from msgspec.structs import replace
from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from nodetrust.command.deployment import BROKER_NAME, PAGE_NAME, ZONE, Deployment
from nodetrust.issue.settings import IssueSettings
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.names import autotls_wildcard
from nodetrust.settings import HostPort, SettingsError
from nodetrust.store import Store
from tests.autotls.site import Asker, value_of
from tests.test_own_name import Answer

reactor: Any = default_reactor

WHERE = (Multiaddr.parse("/ip4/127.0.0.1/tcp/0"),)


class Servers(Deployment):
    """`changes` are the broker's settings that are others, `own` the issue server's."""

    changes: dict[str, Any]
    own: dict[str, Any]

    def issue_settings(self) -> IssueSettings:
        settings = super().issue_settings()
        if settings.autotls is not None:
            settings = replace(settings, autotls=replace(settings.autotls, **self.changes))
        return replace(settings, **self.own)


class IssueBrokerTests(TestCase):
    timeout = 300

    async def start(self, changes: dict[str, Any] | None = None, **own: Any) -> Servers:
        servers = Servers(reactor, Path(self.mktemp()).absolute(), clients=1, page=True, autotls=True)
        servers.folder.mkdir(parents=True, exist_ok=True)
        servers.changes, servers.own = changes or {}, own
        self.addCleanup(lambda: Deferred.fromCoroutine(servers.stop()))
        await servers.start_servers(lambda _: None)
        return servers

    async def behind_a_proxy(self, **own: Any) -> tuple[Servers, Asker, Host]:
        """And a node that is registered by hand."""
        place = HostPort("127.0.0.1", 0)
        servers = await self.start({"external_tls": (place,), "metrics_listen": place}, **own)
        assert servers.issue.broker is not None
        node = Host(reactor, PrivateKey.generate())
        self.addCleanup(node.stop)
        await node.listen(WHERE[0])
        return servers, Asker(servers.issue.broker.http[0].place, node.key, BROKER_NAME), node

    async def ask(self, servers: Servers, name: str, path: str, method: str = "GET", body: bytes = b"") -> str:
        """The head of an answer under the name."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {name.upper()}:443", f"Content-Length: {len(body)}"]
        request = "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body
        return await self.send(servers, name, request)

    async def send(self, servers: Servers, name: str, request: bytes) -> str:
        """The head of what is answered over TLS that is verified for the name."""
        own = servers.issue.own
        assert own is not None
        root = Certificate.loadPEM(servers.ca.root_pem_path.read_bytes())
        options = optionsForClientTLS(name, trustRootFromCertificates([root]))
        place = own.https[0].place
        endpoint = wrapClientTLS(options, HostnameEndpoint(reactor, place.host, place.port))
        answer: Any = await endpoint.connect(Factory.forProtocol(lambda: Answer(request)))
        return (await answer.done).data.partition(b"\r\n\r\n")[0].decode()

    async def test_both_ways(self) -> None:
        """One process, two ways to a certificate, both in one zone."""
        servers = await self.start()
        (obtained,) = await servers._start_clients(lambda _: None)
        self.assertIn(f"ip4127-0-0-1.{ZONE}", obtained.chain.names)
        client = servers.autotls_client
        assert client is not None and client.current is not None
        self.assertEqual(client.current.chain.names, {autotls_wildcard(client.peer_id, ZONE)})
        visit = await servers.visit(client)
        self.assertIn(f"127-0-0-1.{client.peer_id.to_cid_base36()}.{ZONE}", str(visit.address))

    async def test_two_names_on_one_listener(self) -> None:
        """The broker answers under its own, the page under all others; the one certificate is for both."""
        servers = await self.start()
        own = servers.issue.own
        assert own is not None
        certified = await own.certified
        self.assertEqual(certified.chain.names, {BROKER_NAME, PAGE_NAME})
        self.assertTrue((await self.ask(servers, BROKER_NAME, "/v1/health")).startswith("HTTP/1.1 204 "))
        asked = await self.ask(servers, BROKER_NAME, "/v1/_acme-challenge", "POST", b"{}")
        self.assertTrue(asked.startswith("HTTP/1.1 401 "), asked)
        self.assertIn("libp2p-PeerID challenge-client=", asked)
        self.assertTrue((await self.ask(servers, BROKER_NAME, "/health")).startswith("HTTP/1.1 404 "))
        self.assertTrue((await self.ask(servers, PAGE_NAME, "/v1/health")).startswith("HTTP/1.1 404 "))
        self.assertTrue((await self.ask(servers, PAGE_NAME, "/health")).startswith("HTTP/1.1 200 "))
        assert servers.issue.host is not None
        announced = [str(one) for one in servers.issue.host.addresses()]
        self.assertTrue(any(f"/dns/{PAGE_NAME}/" in one for one in announced), announced)
        self.assertFalse(any(BROKER_NAME in one for one in announced), "WSS is the page's")

    async def test_a_body_for_the_page_is_bounded(self) -> None:
        """It is read no further than one for the broker, and then the connection ends."""
        servers = await self.start()
        assert servers.issue.own is not None
        await servers.issue.own.certified
        self.assertEqual(await self.ask(servers, PAGE_NAME, "/", "POST", bytes(1024 * 1024)), "")

    async def test_which_host(self) -> None:
        """One header says it, whatever its case and port; the name that TLS was verified for says nothing."""
        servers = await self.start()
        assert servers.issue.own is not None
        await servers.issue.own.certified
        ours, other = f"Host: {BROKER_NAME}:8443\r\n", f"Host: {PAGE_NAME}\r\n"
        for headers, version, status in (
            (ours, "1.1", "204"),
            (ours, "1.0", "204"),
            (other, "1.1", "404"),
            (f"Host: {BROKER_NAME}.\r\n", "1.1", "404"),
            ("", "1.0", "404"),
            ("", "1.1", "400"),
            (ours + other, "1.1", "400"),
            (other + ours, "1.1", "400"),
        ):
            request = f"GET /v1/health HTTP/{version}\r\n{headers}Connection: close\r\n\r\n".encode()
            for name in (BROKER_NAME, PAGE_NAME):
                self.assertIn(f" {status} ", (await self.send(servers, name, request)).partition("\r\n")[0], request)

    async def test_behind_a_proxy(self) -> None:
        """Over plain HTTP alone; the issue server's own services are dialled for nobody, whatever it announces."""
        servers, asker, node = await self.behind_a_proxy(announce=(Multiaddr.parse("/ip4/192.0.2.1/tcp/1"),))
        answer = await asker.register(value_of("x"), *node.addresses())
        self.assertEqual(answer.status, 200, answer)
        host, own, broker = servers.issue.host, servers.issue.own, servers.issue.broker
        assert host is not None and own is not None and broker is not None and broker.metrics is not None
        metrics: Any = broker.metrics.getHost()
        ports = {metrics.port, asker.place.port, own.https[0].place.port}
        ports |= {int(one.get("tcp") or 0) for one in host.listening}
        self.assertEqual(len(ports), 5, "libp2p, WSS, HTTPS, HTTP, metrics")
        answer = await asker.register(value_of("x"), *(f"/ip4/127.0.0.1/tcp/{port}" for port in ports))
        self.assertEqual(answer.status, 400, answer)
        self.assertEqual(answer.text.count("is where this broker's own services are"), 5, answer.text)
        await own.certified
        self.assertIn(" 404 ", (await self.ask(servers, PAGE_NAME, "/v1/health")).partition("\r\n")[0])

    async def test_stopped_meanwhile(self) -> None:
        """In the middle of a registration: it stops in good time, and leaves nothing of it."""
        servers, asker, node = await self.behind_a_proxy(own_names=(), wss_listen=(), https_listen=())
        await asker.ask("GET", "/v1/status")
        await servers.dns.stop()
        asking = Deferred.fromCoroutine(asker.register(value_of("x"), *node.addresses()))
        asking.addErrback(lambda _: None)
        store = servers.issue.store
        assert store is not None
        while not await store.registrations(node.peer_id.multihash):
            await deferLater(reactor, 0.01)
        begun = reactor.seconds()
        await servers.issue.stop()
        self.assertLess(reactor.seconds() - begun, 5)
        left = await Store.open(reactor, servers.issue.settings.store_url)
        self.assertEqual(await left.registrations(node.peer_id.multihash), [])
        await left.close()

    async def test_what_is_wrong_at_the_start(self) -> None:
        """The line names the key in its table."""
        servers = await self.start()
        assert servers.issue.own is not None
        taken = servers.issue.own.https[0].place
        starting = Deferred.fromCoroutine(self.start({"metrics_listen": taken}))
        error = await self.assertFailure(starting, SettingsError)
        self.assertTrue(str(error).startswith(f"autotls.metrics_listen: cannot listen on {taken}"), str(error))
