"""Requests that are refused: each with its status, none dials what it must not, none leaves a record or a traceback."""

import base64
import json
from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import LogLevel, capturedLogs
from twisted.names import dns
from twisted.names.common import ResolverBase
from twisted.names.server import DNSServerFactory

from nodetrust.autotls.service import AutoTlsService
from nodetrust.broker import targets
from nodetrust.broker.pages import MAX_DISCARDED_BYTES
from nodetrust.broker.wire import MAX_BODY_BYTES
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.peer_auth.tokens import Bearer, Opaque, seal_bearer, seal_opaque
from nodetrust.peer_auth.wire import Parameters, signed_by_client
from nodetrust.settings import HostPort
from tests.autotls.site import NAME, Asker, SiteTestCase, place_of, reactor, send, send_raw, value_of

PATH = "/v1/_acme-challenge"
VALUE = value_of("x")
CHALLENGE = "c" * 44
HMAC_KEY = b"h" * 32
SERVER = PrivateKey.from_seed(b"s" * 32)
CLIENT = PrivateKey.from_seed(b"c" * 32)
TOKEN = "the operator's token"


class Trap(Factory):
    """Nobody must connect to it."""

    noisy = False

    def __init__(self) -> None:
        self.connections = 0

    def buildProtocol(self, addr: object) -> Protocol | None:
        self.connections += 1
        return None


class Names(ResolverBase):
    """A DNS server that answers something else each time."""

    def __init__(self, *answers: str) -> None:
        super().__init__()
        self._answers = list(answers)
        self.asked = 0

    def _lookup(self, name: bytes, cls: int, type: int, timeout: object) -> Deferred[object]:
        answer = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        return succeed(([dns.RRHeader(name, dns.A, ttl=0, payload=dns.Record_A(answer))], [], []))


def authorization(**changes: Any) -> str:
    """A good answer to a challenge of the broker's, but for the changes."""
    opaque = Opaque(challenge_client=CHALLENGE, hostname=NAME, created=changes.pop("created"), client=CLIENT.public_key)
    sealed = seal_opaque(changes.pop("hmac_key", HMAC_KEY), opaque)
    sig = CLIENT.sign(signed_by_client(CHALLENGE, changes.pop("hostname", NAME), SERVER.public_key))
    return Parameters(**{"sig": sig, "opaque": sealed, **changes}).to_header()


class BadRequestsTests(SiteTestCase):
    async def start(self, **changes: Any) -> AutoTlsService:
        """A broker whose keys are known here, and a trap on loopback."""
        await self.start_dns()
        self.trap = Trap()
        self.trap_port = reactor.listenTCP(0, self.trap, interface="127.0.0.2")
        self.addCleanup(self.trap_port.stopListening)
        broker = await self.start_broker(**changes)
        assert broker.store is not None
        return broker

    async def with_known_keys(self) -> AutoTlsService:
        """The same, with keys that were in the store before the broker."""
        from nodetrust.broker.service import HMAC_KEY as HMAC_NAME  # noqa: PLC0415
        from nodetrust.broker.service import IDENTITY  # noqa: PLC0415
        from nodetrust.store import Store  # noqa: PLC0415

        await self.start_dns()
        store = await Store.open(reactor, self.broker_settings().store_url)
        await store.secret(IDENTITY, SERVER.to_protobuf())
        await store.secret(HMAC_NAME, HMAC_KEY)
        await store.close()
        return await self.start_broker()

    async def assert_nothing_left(self, broker: AutoTlsService, host: Host) -> None:
        """Neither in the store nor in the DNS."""
        assert broker.store is not None
        self.assertEqual(await broker.store.registrations(host.peer_id.multihash), [])
        self.assertEqual(await self.texts(host), ["not set yet"])

    async def test_credentials(self) -> None:
        """Twenty-odd wrong ones: 400 where they can never be right, 401 with a challenge where new ones may be."""
        broker = await self.with_known_keys()
        place = place_of(broker)
        now = reactor.seconds()
        good = authorization(created=now)
        bearer = Bearer(peer=CLIENT.peer_id, hostname=NAME, created=now)

        def bearer_of(key: bytes = HMAC_KEY, **changes: Any) -> str:
            changed = Bearer(**{"peer": bearer.peer, "hostname": NAME, "created": now, **changes})
            return Parameters(bearer=seal_bearer(key, changed)).to_header()

        other = PrivateKey.generate()
        wrong: list[tuple[int, str]] = [
            (400, ""),
            (400, "Basic eDp5"),
            (400, "libp2p-PeerID"),
            (400, "libp2p-PeerID x"),
            (400, f"{good}, {good}"),
            (400, good[:60]),
            (400, good + 'x="'),
            (400, good.replace('sig="', 'sig="?')),
            (400, good.partition(", opaque")[0]),
            (400, f"{good}, x={'y' * 2048}"),
            (400, "libp2p-PeerID " + "x" * 4000),
            (400, authorization(created=now, hostname="other.example")),
            (400, authorization(created=now, sig=b"")),
            (400, authorization(created=now, sig=bytes(64))),
            (400, authorization(created=now, sig=other.sign(b""))),
            (400, authorization(created=now, public_key=other.public_key)),
            (400, 'libp2p-PeerID challenge-server="short", public-key="CAESIA=="'),
            (400, f'libp2p-PeerID challenge-server="{CHALLENGE}", public-key="AAAA"'),
            (400, f'libp2p-PeerID challenge-server="{CHALLENGE}", public-key="CAESI{"A" * 43}="'),
            (401, authorization(created=now - 301)),
            (401, authorization(created=now + 3600)),
            (401, authorization(created=now, hmac_key=b"x" * 32)),
            (401, authorization(created=now, opaque="AAAA")),
            (401, bearer_of(b"x" * 32)),
            (401, bearer_of(created=now - 201 * 86400)),
            (401, bearer_of(hostname="other.example")),
            (401, Parameters(bearer=base64.urlsafe_b64encode(b"{}" * 40).decode()).to_header()),
            (401, Parameters(bearer="?").to_header()),
        ]
        for status, header in wrong:
            answer = await send(place, "POST", PATH, [("Host", NAME), ("Authorization", header)], b"{}")
            self.assertEqual(answer.status, status, header[:120])
            self.assertEqual(len(answer.header("WWW-Authenticate")), int(status == 401), header[:120])
            self.assertEqual(answer.body, b"")
        for right in (good, bearer_of()):
            answer = await send(place, "GET", "/v1/status", [("Host", NAME), ("Authorization", right)])
            self.assertEqual(answer.status, 200, "else the above says nothing")

    async def test_hosts(self) -> None:
        """A request for another name, or for none, is refused before anything is signed for it."""
        broker = await self.start()
        place = place_of(broker)
        for host in ("example.com", f"{NAME}.", f"x.{NAME}", "127.0.0.1", "", f"{NAME}:x", f"{NAME}, {NAME}"):
            answer = await send(place, "OPTIONS", PATH, [("Host", host)])
            self.assertEqual((answer.status, answer.header("WWW-Authenticate")), (400, []), host)
        answer = await send(place, "OPTIONS", PATH, [("Host", NAME), ("Host", NAME)])
        self.assertEqual(answer.status, 400)
        answer = await send(place, "OPTIONS", PATH, [("Host", NAME), ("Authorization", "a"), ("Authorization", "b")])
        self.assertEqual(answer.status, 400)

    async def test_methods_and_paths(self) -> None:
        """As p2p-forge: whatever is no POST has 400, after the handshake, whose result comes along."""
        broker = await self.start()
        asker = self.asker(broker, await self.start_node())
        answer = await asker.ask("GET")
        self.assertEqual((answer.status, answer.text), (400, "400 Bad Request: Only POST method is allowed.\n"))
        self.assertEqual(len(answer.header("Authentication-Info")), 1)
        for method in ("PUT", "PATCH", "OPTIONS", "BREW"):
            self.assertEqual((await asker.ask(method)).status, 400, method)
        self.assertEqual((await asker.ask("POST", "/v1/status", b"{}")).status, 405)
        for path in ("/", "/v1", "/v1/_acme-challenge/", "/v1/_ACME-challenge", "//", "/../v1/status", "/v1/health/"):
            self.assertEqual((await send(asker.place, "GET", path, [("Host", NAME)])).status, 404, path)

    async def test_bodies(self) -> None:
        """Each with p2p-forge's status and the beginning of its text; a large one with 413, an endless one is cut."""
        broker = await self.start()
        node = await self.start_node()
        asker = self.asker(broker, node)
        (address,) = map(str, node.addresses())
        for begin, body in (
            ("error decoding body", b""),
            ("error decoding body", b"\0"),
            ("error decoding body", b"{"),
            ("error decoding body", b"[" * 30_000),
            ("error decoding body", json.dumps({"value": VALUE, "addresses": [address], "x": 1}).encode()),
            ("error decoding body", json.dumps({"value": VALUE, "addresses": {"a": address}}).encode()),
            ("error decoding body", json.dumps({"value": [VALUE], "addresses": [address]}).encode()),
            ("error decoding value as base64url", json.dumps({"value": VALUE + "=", "addresses": [address]}).encode()),
            ("value is not a base64url of a SHA256 digest", json.dumps({"addresses": [address]}).encode()),
            ("value is not a base64url of a SHA256 digest", json.dumps({"value": "AAAA"}).encode()),
            ("error testing addresses", json.dumps({"value": VALUE}).encode()),
            ("error testing addresses", json.dumps({"value": VALUE, "addresses": []}).encode()),
            ("error testing addresses", json.dumps({"value": VALUE, "addresses": ["/x"] * 1000}).encode()),
        ):
            answer = await asker.ask("POST", body=body)
            self.assertEqual(answer.status, 400, body[:80])
            self.assertTrue(answer.text.startswith(begin), answer.text)
        answer = await asker.ask("POST", body=b" " * (MAX_BODY_BYTES + 1))
        self.assertEqual(answer.status, 413)
        endless = f"POST {PATH} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 99999999\r\n\r\n".encode()
        self.assertEqual(await send_raw(asker.place, endless + b"x" * (2 * MAX_DISCARDED_BYTES)), b"")
        await self.assert_nothing_left(broker, node)

    async def test_raw(self) -> None:
        """What is no HTTP ends the connection, and is in no log."""
        broker = await self.start()
        place = place_of(broker)
        with capturedLogs() as logs:
            for request in (
                b"nonsense\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 100 + b"\r\n",
                b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 20_000 + b"\r\n\r\n",
                b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
                b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            ):
                self.assertNotIn(b" 200 ", await send_raw(place, request))
        self.assertEqual([log for log in logs if log["log_level"] >= LogLevel.error], [])

    async def test_octets_that_are_no_text(self) -> None:
        """In any header that is looked at: an answer, and nothing in the log, which Trial would see."""
        place = place_of(await self.start())
        for name in ("Accept", "Authorization", "Access-Control-Request-Method", "User-Agent", "Forge-Authorization"):
            for method in ("GET", "OPTIONS", "POST"):
                answer = await send(place, method, "/v1/status", [("Host", NAME), (name, "\xff")])
                self.assertGreaterEqual(answer.status, 200)

    async def test_addresses(self) -> None:
        """Private ones, our own, names that lead there, ports of others: nobody connects, and the answer says why."""
        names = Names("127.0.0.2")
        port = reactor.listenUDP(0, dns.DNSDatagramProtocol(DNSServerFactory(clients=[names])), "127.0.0.1")
        self.addCleanup(port.stopListening)
        nameserver = HostPort("127.0.0.1", port.getHost().port)
        broker = await self.start(allow_networks=("127.0.0.1/32",), nameserver=nameserver)
        node = await self.start_node()
        asker = self.asker(broker, node)
        trap = self.trap_port.getHost().port
        assert self.dns.host is not None
        (dns_server,) = self.dns.host.addresses()
        places = [f"/ip4/127.0.0.2/tcp/{trap}", f"/ip6/::ffff:127.0.0.2/tcp/{trap}", f"/dns4/trap.example/tcp/{trap}"]
        places += [f"{place}/ws" for place in places]
        own = f"/ip4/127.0.0.1/tcp/{place_of(broker).port}"
        for address in (
            *places,
            str(dns_server),
            own,
            f"{own}/ws",
            "/ip4/0.0.0.0/tcp/4001",
            "/ip4/169.254.169.254/tcp/80/ws",
            "/ip4/255.255.255.255/tcp/4001",
            "/ip6/::1/tcp/4001",
            "/ip6/fe80::1/tcp/4001",
            "/ip6/64:ff9b::7f00:2/tcp/4001",
            "/ip6/2002:7f00:2::/tcp/4001",
            "/ip4/127.0.0.1/tcp/22",
            "/dns4/localhost/tcp/4001",
            f"/ip4/127.0.0.1/tcp/{trap}/p2p/{PrivateKey.generate().peer_id}",
            f"/ip4/127.0.0.1/tcp/{trap}/p2p/{node.peer_id}/p2p-circuit",
        ):
            answer = await asker.register(VALUE, address)
            self.assertEqual(answer.status, 400, address)
            self.assertTrue(answer.text.startswith(f"error testing addresses: {address}: "), answer.text)
            self.assertEqual(self.trap.connections, 0, address)
        await self.assert_nothing_left(broker, node)

    async def test_rebinding(self) -> None:
        """A name is looked up once: what was looked at is what is dialled, whatever it would be a moment later."""
        for answers, expected in ((("127.0.0.1", "127.0.0.2"), 200), (("127.0.0.2", "127.0.0.1"), 400)):
            names = Names(*answers)
            port = reactor.listenUDP(0, dns.DNSDatagramProtocol(DNSServerFactory(clients=[names])), "127.0.0.1")
            self.addCleanup(port.stopListening)
            self.setUp()
            broker = await self.start(
                allow_networks=("127.0.0.1/32",), nameserver=HostPort("127.0.0.1", port.getHost().port)
            )
            node = await self.start_node()
            tcp = node.addresses()[0].get("tcp")
            answer = await self.asker(broker, node).register(VALUE, f"/dns4/node.example/tcp/{tcp}")
            self.assertEqual((answer.status, names.asked), (expected, 1), answer)

    async def test_token(self) -> None:
        """Without the operator's token nothing is done, after the handshake and before the body is looked at."""
        file = self.folder("broker") / "token"
        file.write_text(f"{TOKEN}\n")
        broker = await self.start(access_token_file=file)
        node = await self.start_node()
        asker = self.asker(broker, node)
        for headers in ([], [("Forge-Authorization", "x")], [("Forge-Authorization", f"Bearer {TOKEN}")]):
            asker.headers = headers
            for method in ("POST", "DELETE"):
                answer = await asker.ask(method, body=b"no JSON")
                self.assertEqual(answer.status, 403)
                self.assertEqual(answer.text, "403 Forbidden: Missing Forge-Authorization header.\n")
        asker.headers = [("Forge-Authorization", TOKEN)]
        self.assertEqual((await asker.register(VALUE, *node.addresses())).status, 200)

    async def test_lists(self) -> None:
        """Whoever is denied, and whoever names an address that is, has 403 and is not dialled."""
        deny = self.folder("broker") / "deny"
        deny.write_text("45.6.0.0/16\n")
        broker = await self.start(deny=(deny,), proxies=("127.0.0.1/32",))
        node = await self.start_node()
        asker = self.asker(broker, node)
        answer = await asker.register(VALUE, *node.addresses(), "/ip4/45.6.1.1/tcp/4001")
        self.assertEqual(answer.status, 403)
        self.assertTrue(answer.text.startswith("403 Forbidden: multiaddr IP 45.6.1.1 blocked by "), answer.text)
        asker.headers = [("X-Forwarded-For", "45.6.1.1")]
        answer = await asker.register(VALUE, *node.addresses())
        self.assertTrue(answer.text.startswith("403 Forbidden: client IP 45.6.1.1 blocked by "), answer.text)
        asker.headers = [("X-Forwarded-For", "nonsense")]
        self.assertEqual((await asker.register(VALUE, *node.addresses())).status, 400)
        await self.assert_nothing_left(broker, node)

    async def test_quotas(self) -> None:
        """Of a peer and of an address, of which the second outlives a change of keys; the answer says when to come."""
        broker = await self.start(registrations_per_peer=2, registrations_per_address=3)
        node = await self.start_node()
        asker = self.asker(broker, node)

        def statuses() -> Iterator[int]:
            yield from (200, 200, 429)

        for status in statuses():
            answer = await asker.register(VALUE, *node.addresses())
            self.assertEqual(answer.status, status, answer)
        self.assertGreater(int(answer.header("Retry-After")[0]), 600)
        other = Asker(asker.place, PrivateKey.generate(), headers=[("Accept", "application/json")])
        self.assertEqual((await other.register(VALUE, *node.addresses())).status, 400)
        told = (await other.register(VALUE, *node.addresses())).json["error"]
        self.assertEqual((told["status"], told["retryAfter"] > 600), (429, True))

    async def test_many_name_one_address(self) -> None:
        """Peers from everywhere have one address dialled so often; who asks from there is none the worse for it."""
        self.patch(targets, "DIALS_PER_ADDRESS", 6)
        broker = await self.start(proxies=("127.0.0.1/32",))
        trap = f"/ip4/127.0.0.2/tcp/{self.trap_port.getHost().port}"
        place = place_of(broker)
        told = []
        for number in range(5):
            stranger = Asker(place, PrivateKey.generate(), headers=[("X-Forwarded-For", f"45.1.1.{number}")])
            told.append(await stranger.register(VALUE, trap, f"{trap}/ws"))
        self.assertEqual([one.status for one in told], [400, 400, 400, 429, 429])
        self.assertEqual(self.trap.connections, 6)
        self.assertRegex(told[-1].text, f"{trap}/ws: 127.0.0.2 was dialled too often lately: try again in \\d+ s")
        self.assertIn(int(told[-1].header("Retry-After")[0]), range(90, 101))
        node = await self.start_node(Multiaddr.parse("/ip4/127.0.0.2/tcp/0"), Multiaddr.parse("/ip4/127.0.0.3/tcp/0"))
        asker = Asker(place, node.key, headers=[("X-Forwarded-For", "45.1.1.9")])
        (there, elsewhere) = node.addresses()
        self.assertEqual((await asker.register(VALUE, there)).status, 429)
        for _ in range(8):
            self.assertEqual((await asker.register(VALUE, trap, elsewhere)).status, 200)
        asker.headers = [("X-Forwarded-For", "127.0.0.2")]
        self.assertEqual((await asker.register(VALUE, there)).status, 200)
