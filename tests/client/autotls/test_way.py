"""The way by AutoTLS: in which order things happen, and when the CA is asked what."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

import nodetrust.client.autotls.way as way_module
from nodetrust.acme import Dns01Record, IssuedCertificate, RenewalInfo, RenewalWindow, ari_id
from nodetrust.certificates import Chain, make_key
from nodetrust.client.autotls.errors import BrokerRefused, BrokerUnreachable, NoPlaces, NotReachable, NotVisible
from nodetrust.client.autotls.removal import STOP_SECONDS
from nodetrust.client.autotls.way import ByBroker, moment_in
from nodetrust.client.errors import ObtainError, OtherZone
from nodetrust.client.obtain import Obtained
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import E_OTHER, ECDSA_P256
from nodetrust.names import autotls_wildcard
from nodetrust.settings import HostPort

PEER = PrivateKey.generate().peer_id
NAME = autotls_wildcard(PEER, "libp2p.direct")
RECORD = Dns01Record(NAME.removeprefix("*."), "value")
PLACE = Multiaddr.parse("/ip4/1.2.3.4/tcp/4001")
NOW = datetime(2026, 6, 1, tzinfo=UTC)
LIFE = timedelta(days=90)


def signed(key: Any, name: str, began: datetime) -> x509.Certificate:
    """A certificate that tells its issuer's key, as those of CAs do."""
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(4711)
        .not_valid_before(began)
        .not_valid_after(began + LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier(b"k" * 20, None, None), critical=False)
        .sign(key, hashes.SHA256())
    )


def obtained(name: str, began: datetime) -> Obtained:
    """A certificate of an earlier day."""
    key = make_key(ECDSA_P256)
    return Obtained(Chain(signed(key, name, began), ()), key, (ip_address("1.2.3.4"),), from_cache=True)


class WayCase(SynchronousTestCase):
    """A broker, a CA and a DNS that do what they are told, and note it."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW.timestamp())
        self.done: list[Any] = []
        self.failing: dict[str, Exception] = {}
        self.places = [PLACE]
        self.info: RenewalInfo | None = None
        self.patch(way_module, "wait_until_visible", self.wait_until_visible)
        fake: Any = self
        self.way = ByBroker(
            self.clock,
            PEER,
            "libp2p.direct",
            fake,
            fake,
            places=lambda: self.places,
            check=self.check,
            resolvers=lambda: [HostPort("127.0.0.1", 53)],
        )

    def step(self, name: str, *more: Any) -> None:
        self.done.append((name, *more))
        if name in self.failing:
            raise self.failing[name]

    async def check(self, places: Any) -> None:
        self.step("check")

    async def check_health(self) -> None:
        self.step("health")

    async def register(self, value: str, places: Any) -> None:
        self.step("register", value, list(places))

    async def wait_until_visible(self, reactor: Any, resolvers: Any, awaited: Any) -> None:
        self.step("visible", awaited.name, awaited.value, awaited.zone)

    def remove(self) -> Deferred[bool]:
        self.done.append(("remove",))
        self.removing: Deferred[bool] = Deferred(lambda _: self.done.append(("given up",)))
        return self.removing

    async def obtain(
        self, names: list[str], csr: bytes, publish: Any, withdraw: Any, replaces: str | None
    ) -> IssuedCertificate:
        self.step("order", names, replaces)
        try:
            await publish([RECORD])
        finally:
            await withdraw([RECORD])
        self.step("finalize")
        key = self.key
        leaf = signed(key, names[0], NOW)
        pem = Chain(leaf, ()).full_pem
        return IssuedCertificate(pem, b"", tuple(names), leaf.not_valid_before_utc, leaf.not_valid_after_utc)

    async def renewal(self, certificate_pem: bytes) -> RenewalInfo | None:
        self.step("renewal")
        return self.info

    def order(self, current: Obtained | None = None) -> Obtained:
        return self.successResultOf(Deferred.fromCoroutine(self.whole(current)))

    async def whole(self, current: Obtained | None) -> Obtained:
        self.key = make_key(ECDSA_P256)
        claim = await self.way.claim()
        self.assertEqual((claim.names, claim.addresses), ({NAME}, (ip_address("1.2.3.4"),)))
        return await claim.order(self.key, ECDSA_P256, current)

    def steps(self) -> list[str]:
        return [step[0] for step in self.done]


class OrderTests(WayCase):
    """From a claim to a certificate."""

    def test_in_order(self) -> None:
        """The broker's health and what is known of us come before the CA; the DNS before the CA looks."""
        found = self.order()
        self.assertEqual(
            self.done,
            [
                ("health",),
                ("check",),
                ("order", [NAME], None),
                ("register", "value", [PLACE]),
                ("visible", RECORD.record_name, "value", "libp2p.direct"),
                ("remove",),
                ("finalize",),
            ],
        )
        self.assertEqual(
            (found.chain.names, found.addresses, found.from_cache), ({NAME}, (ip_address("1.2.3.4"),), False)
        )

    def test_the_ca_is_left_alone(self) -> None:
        """By a peer whose broker is down, and by one that nobody can connect to."""
        for step, error in (("health", BrokerUnreachable("down")), ("check", NotReachable("closed"))):
            self.failing = {step: error}
            self.assertRaises(type(error), self.order_failing)
            self.assertNotIn("order", self.steps())

    def order_failing(self) -> None:
        self.failureResultOf(Deferred.fromCoroutine(self.whole(None)), ObtainError).raiseException()

    def test_a_broker_that_refuses(self) -> None:
        """The DNS is not waited for."""
        self.failing = {"register": BrokerRefused("no", E_OTHER, 403)}
        self.assertRaises(BrokerRefused, self.order_failing)
        self.assertNotIn("visible", self.steps())

    def test_what_is_taken_back(self) -> None:
        """Whatever the broker may have set: also what nobody has seen, and what it has given no answer about."""
        for step, error in (("visible", NotVisible("hidden")), ("register", BrokerUnreachable("slow"))):
            self.done.clear()
            self.failing = {step: error}
            self.assertRaises(type(error), self.order_failing)
            self.assertEqual(self.steps()[-1], "remove")
            self.removing.callback(True)

    def test_nothing_to_take_back(self) -> None:
        """From a broker that has set nothing."""
        self.failing = {"register": BrokerRefused("no", E_OTHER, 403)}
        self.assertRaises(BrokerRefused, self.order_failing)
        self.assertNotIn("remove", self.steps())

    def test_the_next_order(self) -> None:
        """Its value is set when the one before is gone, or is not removed with it."""
        self.order()
        self.done.clear()
        ordering = Deferred.fromCoroutine(self.whole(None))
        self.assertEqual(self.steps(), ["health", "check", "order"])
        self.removing.callback(True)
        self.successResultOf(ordering)
        self.assertEqual(self.steps()[3:], ["register", "visible", "remove", "finalize"])

    def test_stop(self) -> None:
        """It waits for what is under way, and not for long."""
        self.successResultOf(Deferred.fromCoroutine(self.way.stop()))
        self.order()
        stopping = Deferred.fromCoroutine(self.way.stop())
        self.assertNoResult(stopping)
        self.removing.callback(True)
        self.successResultOf(stopping)
        self.order()
        stopping = Deferred.fromCoroutine(self.way.stop())
        self.clock.advance(STOP_SECONDS)
        self.successResultOf(stopping)
        self.assertEqual(self.steps()[-1], "given up")

    def test_nowhere(self) -> None:
        """A peer that has no public address asks nobody."""
        self.places = []
        self.failureResultOf(Deferred.fromCoroutine(self.way.claim()), NoPlaces)
        self.assertEqual(self.done, [])

    def test_a_renewal(self) -> None:
        """It says what it replaces."""
        before = obtained(NAME, NOW - LIFE / 2)
        self.order(before)
        self.assertIn(("order", [NAME], ari_id(before.chain.leaf_pem)), self.done)

    def test_what_is_not_replaced(self) -> None:
        """A certificate that has expired, and one of another way."""
        for before in (obtained(NAME, NOW - LIFE), obtained("peer.nt.example.org", NOW - LIFE / 2)):
            self.done.clear()
            self.order(before)
            self.assertIn(("order", [NAME], None), self.done)
            self.removing.callback(True)


class RenewalTests(WayCase):
    """The CA's word."""

    def ask(self, current: Obtained) -> int | None:
        return self.successResultOf(Deferred.fromCoroutine(self.way.renew_at(current)))

    def test_a_moment_of_the_window(self) -> None:
        """The same at each question, and the CA is asked no more often than it likes."""
        current = obtained(NAME, NOW)
        window = RenewalWindow(NOW + timedelta(days=60), NOW + timedelta(days=62))
        self.info = RenewalInfo(window, 21600.0)
        first = self.ask(current)
        self.clock.advance(21599)
        self.assertEqual((self.ask(current), self.steps()), (first, ["renewal"]))
        self.clock.advance(1)
        self.assertEqual((self.ask(current), self.steps()), (first, ["renewal"] * 2))
        assert first is not None
        self.assertTrue(window.start.timestamp() * 1000 <= first <= window.end.timestamp() * 1000)

    def test_another_certificate(self) -> None:
        """It is asked about at once, and has another moment."""
        window = RenewalWindow(NOW, NOW + timedelta(days=1))
        self.info = RenewalInfo(window, 21600.0)
        one, other = obtained(NAME, NOW), obtained(NAME, NOW)
        self.assertNotEqual(self.ask(one), self.ask(other))
        self.assertEqual(self.steps(), ["renewal"] * 2)
        self.assertEqual(self.ask(one), moment_in(window, one.chain.leaf_pem))

    def test_no_opinion(self) -> None:
        """A CA without ARI says nothing."""
        self.assertIsNone(self.ask(obtained(NAME, NOW)))

    def test_a_certificate_of_another_way(self) -> None:
        """It is none of this CA's business."""
        other = obtained("peer.nt.example.org", NOW)
        self.failureResultOf(Deferred.fromCoroutine(self.way.renew_at(other)), OtherZone)
        self.assertEqual(self.done, [])
