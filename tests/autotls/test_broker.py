"""The broker as nodes see it, with a real DNS server, real sockets and a node that is dialled."""

import json

from nodetrust.libp2p.keys import PrivateKey
from tests.autotls.site import NAME, TCP, WS, Asker, SiteTestCase, send, value_of

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
        asker.place, asker.requests = again.http[0].place, 0
        told = (await asker.ask("GET", "/v1/status")).json
        self.assertEqual((asker.requests, [one["value"] for one in told["values"]]), (1, [FIRST]))

    async def test_replicas(self) -> None:
        """Two on one database are one to a client that each of its requests takes to another."""
        await self.start_dns("a", "b")
        store = f"sqlite:///{self.folder('shared')}/store.sqlite"
        brokers = [await self.start_broker(name, store=store) for name in ("a", "b")]
        node = await self.start_node()
        asker = self.asker(brokers[0], node)
        places = [broker.http[0].place for broker in brokers]

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
        self.patch(__import__("nodetrust.autotls.broker", fromlist=["x"]), "PUBLISH_SECONDS", 0.5)
        dns = await self.start_dns()
        broker = await self.start_broker()
        node = await self.start_node()
        await dns.stop()
        asker = self.asker(broker, node)
        answer = await asker.register(FIRST, *node.addresses())
        self.assertEqual(answer.status, 500)
        self.assertTrue(answer.text.startswith("error storing value: "), answer.text)
        self.assertEqual((await asker.ask("GET", "/v1/status")).json["values"], [])


class PageTests(SiteTestCase):
    async def test_health(self) -> None:
        """204 for whoever asks, however."""
        await self.start_dns()
        broker = await self.start_broker()
        for method in ("GET", "HEAD", "POST", "OPTIONS", "BREW"):
            answer = await send(broker.http[0].place, method, "/v1/health", [("Host", "anything")])
            self.assertEqual((answer.status, answer.body), (204, b""), method)

    async def test_challenged(self) -> None:
        """GET, OPTIONS and POST begin the handshake alike, as js, nim and py do."""
        await self.start_dns()
        broker = await self.start_broker()
        for method in ("GET", "OPTIONS", "POST", "DELETE"):
            answer = await send(broker.http[0].place, method, "/v1/_acme-challenge", [("Host", NAME)])
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
        answer = await send(broker.http[0].place, "OPTIONS", "/v1/_acme-challenge", headers)
        self.assertEqual((answer.status, answer.header("WWW-Authenticate")), (204, []))
        self.assertIn("Authorization", answer.header("Access-Control-Allow-Headers")[0])
        answer = await send(broker.http[0].place, "GET", "/v1/status", headers[:2])
        self.assertEqual((answer.status, answer.header("Access-Control-Allow-Origin")), (401, ["*"]))
        self.assertIn("WWW-Authenticate", answer.header("Access-Control-Expose-Headers")[0])
