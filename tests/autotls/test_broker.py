"""The broker as nodes see it, with a real DNS server, real sockets and a node that is dialled."""

import json
from dataclasses import replace
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs

from nodetrust.libp2p.keys import PrivateKey
from nodetrust.settings import HostPort
from tests.autotls.site import (
    NAME,
    TCP,
    WS,
    Asker,
    SiteTestCase,
    open_connection,
    place_of,
    reactor,
    send,
    send_raw,
    value_of,
)

FIRST, SECOND, THIRD = (value_of(text) for text in ("first", "second", "third"))


class RegistrationTests(SiteTestCase):
    async def test_registered(self) -> None:
        """A node that is met has its value in the DNS when it hears so; a second value stands in front of the first."""
        await self.start_dns()
        broker = await self.start_broker()
        for listen in (TCP, WS):
            node = await self.start_node(listen)
            asker = self.asker(broker, node)
            self.assertEqual(await self.texts(node), ["not set yet"])
            for value, expected in ((FIRST, [FIRST]), (SECOND, [SECOND, FIRST]), (THIRD, [THIRD, SECOND])):
                answer = await asker.register(value, *node.addresses())
                self.assertEqual((answer.status, answer.body), (200, b""), answer)
                self.assertEqual(await self.texts(node), expected)

    async def test_handshakes(self) -> None:
        """Two requests for the first one, with a bearer on the second alone; then one for each."""
        await self.start_dns()
        broker = await self.start_broker()
        node = await self.start_node()
        asker = self.asker(broker, node)
        answer = await asker.register(FIRST, *node.addresses())
        self.assertEqual((asker.requests, len(answer.header("Authentication-Info"))), (2, 1))
        answer = await asker.register(SECOND, *node.addresses())
        self.assertEqual((asker.requests, answer.status, answer.header("Authentication-Info")), (3, 200, []))

    async def test_the_other_clients_forms(self) -> None:
        """Keys with capitals, and addresses with /p2p, of other transports, or of no sense beside a good one."""
        await self.start_dns()
        broker = await self.start_broker()
        node = await self.start_node()
        (address,) = node.addresses()
        addresses = [
            "/ip4/192.0.2.1/udp/4001/quic-v1",
            "/ip4/192.0.2.1/udp/4001/webrtc-direct/certhash/nonsense",
            "nonsense",
            str(address.with_peer_id(node.peer_id)),
        ]
        body = json.dumps({"Value": FIRST, "Addresses": addresses}).encode()
        answer = await self.asker(broker, node).ask("POST", body=body)
        self.assertEqual((answer.status, await self.texts(node)), (200, [FIRST]), answer)

    async def test_failure_names_each_address(self) -> None:
        """The answer says for every address what happened; JSON for who asks for it. Nothing is set."""
        await self.start_dns()
        broker = await self.start_broker()
        node, other = await self.start_node(), await self.start_node()
        addresses = [*other.addresses(), "/ip4/10.1.2.3/tcp/4001", "/ip4/127.0.0.1/tcp/1", "/unix/x"]
        asker = self.asker(broker, node)
        answer = await asker.register(FIRST, *addresses)
        self.assertEqual(answer.status, 400)
        self.assertTrue(answer.text.startswith("error testing addresses: "), answer.text)
        for address in addresses:
            self.assertIn(str(address), answer.text)
        asker.headers = [("Accept", "application/json")]
        told = (await asker.register(FIRST, *addresses)).json["error"]
        self.assertEqual(told["status"], 400)
        faults = [(one["address"], one["fault"]) for one in told["addresses"]]
        expected = ("WRONG_PEER", "NOT_ALLOWED", "NOT_ALLOWED", "NOT_ALLOWED")
        self.assertEqual(faults, list(zip(map(str, addresses), expected, strict=True)))
        self.assertEqual(await self.texts(node), ["not set yet"])

    async def test_status_and_removal(self) -> None:
        """What is set and how the dial-back went is told to the peer alone; what it takes back is gone from the DNS."""
        await self.start_dns()
        broker = await self.start_broker()
        node = await self.start_node()
        asker = self.asker(broker, node)
        empty = (await asker.ask("GET", "/v1/status")).json
        self.assertEqual((empty["peer"], empty["values"], empty["dialback"]), (str(node.peer_id), [], None))
        await asker.register(FIRST, *node.addresses())
        told = (await asker.ask("GET", "/v1/status")).json
        self.assertEqual([one["value"] for one in told["values"]], [FIRST])
        self.assertTrue(told["dialback"]["reached"])
        self.assertEqual(told["dialback"]["addresses"][0]["address"], str(node.addresses()[0]))
        other = Asker(asker.place, PrivateKey.generate())
        self.assertEqual((await other.ask("GET", "/v1/status")).json["values"], [])
        self.assertEqual((await other.ask("DELETE")).status, 200)
        self.assertEqual(await self.texts(node), [FIRST])
        self.assertEqual((await asker.ask("DELETE")).status, 200)
        self.assertEqual(await self.texts(node), ["not set yet"])
        self.assertEqual((await asker.ask("GET", "/v1/status")).json["values"], [])

    async def test_restart(self) -> None:
        """A bearer, and what is set, outlive a restart of the broker."""
        await self.start_dns()
        broker = await self.start_broker()
        node = await self.start_node()
        asker = self.asker(broker, node)
        await asker.register(FIRST, *node.addresses())
        await broker.stop()
        again = await self.start_broker()
        asker.place, asker.requests = place_of(again), 0
        told = (await asker.ask("GET", "/v1/status")).json
        self.assertEqual((asker.requests, [one["value"] for one in told["values"]]), (1, [FIRST]))

    async def test_replicas(self) -> None:
        """Two on one database are one to a client that each of its requests takes to another."""
        await self.start_dns("a", "b")
        store = f"sqlite:///{self.folder('shared')}/store.sqlite"
        brokers = [await self.start_broker(name, store=store) for name in ("a", "b")]
        node = await self.start_node()
        asker = self.asker(brokers[0], node)
        places = [place_of(broker) for broker in brokers]

        class Turns(Asker):
            @property
            def place(self):  # type: ignore[no-untyped-def, override]
                return places[self.requests % 2]

            @place.setter
            def place(self, _):  # type: ignore[no-untyped-def]
                pass

        turns = Turns(places[0], asker.key)
        for number in range(6):
            answer = await turns.register(value_of(str(number)), *node.addresses())
            self.assertEqual(answer.status, 200, answer)
        self.assertEqual(await self.texts(node), [value_of("5"), value_of("4")])

    async def test_dns_server_is_down(self) -> None:
        """A value that no DNS server confirms is not called set, and nothing is left of it."""
        self.patch(__import__("nodetrust.broker.broker", fromlist=["x"]), "PUBLISH_SECONDS", 0.5)
        dns = await self.start_dns()
        broker = await self.start_broker()
        node = await self.start_node()
        await dns.stop()
        asker = self.asker(broker, node)
        answer = await asker.register(FIRST, *node.addresses())
        self.assertEqual(answer.status, 500)
        self.assertTrue(answer.text.startswith("error storing value: "), answer.text)
        self.assertEqual((await asker.ask("GET", "/v1/status")).json["values"], [])

    async def test_client_goes_away(self) -> None:
        """While a DNS server is waited for: what was begun is taken back, and is in no log as a bug."""
        dns = await self.start_dns()
        broker = await self.start_broker()
        node = await self.start_node()
        asker = self.asker(broker, node)
        await asker.ask("GET", "/v1/status")
        assert asker.token is not None and broker.store is not None
        await dns.stop()
        body = json.dumps({"value": FIRST, "addresses": [str(one) for one in node.addresses()]}).encode()
        head = (
            f"POST /v1/_acme-challenge HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: {len(body)}\r\n"
            f'Authorization: libp2p-PeerID bearer="{asker.token.bearer}"\r\n\r\n'
        )
        gone = await open_connection(asker.place, head.encode() + body)
        while not await broker.store.registrations(node.peer_id.multihash):
            await deferLater(reactor, 0.01)
        with capturedLogs() as logs:
            gone.transport.abortConnection()
            while await broker.store.registrations(node.peer_id.multihash):
                await deferLater(reactor, 0.01)
        self.assertEqual([log for log in logs if "bug" in log.get("log_format", "")], [])

    async def test_stopped_meanwhile(self) -> None:
        """A broker that is stopped in the middle of a registration stops in good time, and leaves nothing of it."""
        dns = await self.start_dns()
        broker = await self.start_broker()
        node = await self.start_node()
        asker = self.asker(broker, node)
        await asker.ask("GET", "/v1/status")
        assert asker.token is not None and broker.store is not None
        await dns.stop()
        asking = Deferred.fromCoroutine(asker.register(FIRST, *node.addresses()))
        asking.addErrback(lambda _: None)
        while not await broker.store.registrations(node.peer_id.multihash):
            await deferLater(reactor, 0.01)
        begun = reactor.seconds()
        await broker.stop()
        self.assertLess(reactor.seconds() - begun, 5)
        again = await self.start_broker()
        assert again.store is not None
        self.assertEqual(await again.store.registrations(node.peer_id.multihash), [])

    async def test_values_end(self) -> None:
        """What is over is taken back from the DNS, by whichever broker comes to it."""
        await self.start_dns()
        broker = await self.start_broker()
        node = await self.start_node()
        await self.asker(broker, node).register(FIRST, *node.addresses())
        assert broker.store is not None and broker.broker is not None and broker.broker.broker is not None
        (one,) = await broker.store.registrations(node.peer_id.multihash)
        dialback = await broker.store.dialback(one.peer_id)
        assert dialback is not None
        await broker.store.register(replace(one, until=one.set_at), 2, dialback)
        await broker.broker.broker._clean()
        self.assertEqual(await self.texts(node), ["not set yet"])
        self.assertEqual(await broker.store.registrations(node.peer_id.multihash), [])


class ProxyTests(SiteTestCase):
    async def test_proxy_header(self) -> None:
        """A PROXY header of version 1 or 2 says where the client is; without one, or from elsewhere, none is served."""
        await self.start_dns()
        broker = await self.start_broker(proxy_protocol=True, proxies=("127.0.0.1/32",))
        place = place_of(broker)
        request = f"GET /v1/health HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode()
        first = b"PROXY TCP4 45.1.1.1 45.2.2.2 1000 443\r\n"
        second = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes([45, 1, 1, 1, 45, 2, 2, 2, 3, 232, 1, 187])
        for header in (first, second):
            self.assertIn(b" 204 ", await send_raw(place, header + request))
        for header in (b"", b"PROXY nonsense\r\n"):
            self.assertNotIn(b" 204 ", await send_raw(place, header + request))
        other = await self.start_broker("other", proxy_protocol=True, proxies=("10.0.0.0/8",))
        self.assertEqual(await send_raw(place_of(other), first + request), b"")

    async def test_who_the_client_is(self) -> None:
        """By the PROXY header; with same_address only what is there counts."""
        await self.start_dns()
        broker = await self.start_broker(proxy_protocol=True, proxies=("127.0.0.1/32",), same_address=True)
        node = await self.start_node()
        asker = self.asker(broker, node)
        for source, status in (("127.0.0.1", 200), ("45.1.1.1", 400)):
            asker.before = f"PROXY TCP4 {source} 45.2.2.2 1000 443\r\n".encode()
            answer = await asker.register(FIRST, *node.addresses())
            self.assertEqual(answer.status, status, answer)
        self.assertIn("you come from 45.1.1.1", answer.text)


class PageTests(SiteTestCase):
    async def test_metrics(self) -> None:
        """Dial-backs by their result under p2p-forge's name, whatever a client calls itself; answers by status."""
        await self.start_dns()
        deny = Path(self.mktemp())
        deny.write_text("192.0.2.1\n")
        broker = await self.start_broker(metrics_listen=HostPort("127.0.0.1", 0), deny=(deny,))
        node = await self.start_node()
        asker = self.asker(broker, node)
        for agent in ("kubo/0.40", "me" * 500):
            asker.headers = [("User-Agent", agent)]
            await asker.register(FIRST, *node.addresses())
        await asker.register(SECOND, "/ip4/127.0.0.1/tcp/1024")
        assert broker.broker is not None and broker.broker.metrics is not None
        place = HostPort("127.0.0.1", broker.broker.metrics.getHost().port)  # type: ignore[attr-defined]
        with capturedLogs() as logs:
            told = (await send(place, "GET", "/metrics", [("Host", "x")])).text.splitlines()
        self.assertEqual([log for log in logs if "/metrics" in str(log)], [], "who watches comes again and again")
        for line in (
            'coredns_forge_acme_libp2p_probe_total{agent="kubo",result="ok"} 1.0',
            'coredns_forge_acme_libp2p_probe_total{agent="other",result="ok"} 1.0',
            'coredns_forge_acme_libp2p_probe_total{agent="other",result="error"} 1.0',
            "coredns_forge_acme_http_request_duration_seconds_count"
            '{code="200",handler="/v1/_acme-challenge",method="POST"} 2.0',
            'coredns_forge_acme_http_requests_inflight{handler="/v1/_acme-challenge"} 0.0',
            f'coredns_forge_denylist_entries{{name="{deny}",type="deny"}} 1.0',
            'nodetrust_autotls_answers_total{code="200"} 2.0',
            'nodetrust_autotls_answers_total{code="401"} 1.0',
        ):
            self.assertIn(line, told)

    async def test_health(self) -> None:
        """204 for whoever asks, however."""
        await self.start_dns()
        broker = await self.start_broker()
        for method in ("GET", "HEAD", "POST", "OPTIONS", "BREW"):
            answer = await send(place_of(broker), method, "/v1/health", [("Host", "anything")])
            self.assertEqual((answer.status, answer.body), (204, b""), method)

    async def test_challenged(self) -> None:
        """GET, OPTIONS and POST begin the handshake alike, as js, nim and py do."""
        await self.start_dns()
        broker = await self.start_broker()
        for method in ("GET", "OPTIONS", "POST", "DELETE"):
            answer = await send(place_of(broker), method, "/v1/_acme-challenge", [("Host", NAME)])
            self.assertEqual(answer.status, 401)
            (header,) = answer.header("WWW-Authenticate")
            self.assertRegex(
                header, '\\Alibp2p-PeerID challenge-client="[^"]{44}", public-key="[^"]+", opaque="[^"]+"\\Z'
            )

    async def test_browsers(self) -> None:
        """What a browser asks before a page's request is answered, and what it may read is said on every answer."""
        await self.start_dns()
        broker = await self.start_broker()
        headers = [("Host", NAME), ("Origin", "https://a.example"), ("Access-Control-Request-Method", "POST")]
        answer = await send(place_of(broker), "OPTIONS", "/v1/_acme-challenge", headers)
        self.assertEqual((answer.status, answer.header("WWW-Authenticate")), (204, []))
        self.assertIn("Authorization", answer.header("Access-Control-Allow-Headers")[0])
        answer = await send(place_of(broker), "GET", "/v1/status", headers[:2])
        self.assertEqual((answer.status, answer.header("Access-Control-Allow-Origin")), (401, ["*"]))
        self.assertIn("WWW-Authenticate", answer.header("Access-Control-Expose-Headers")[0])
