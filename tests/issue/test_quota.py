"""What each kind of order draws, from whose buckets, and what comes back."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.issue.decide import Order
from nodetrust.issue.quota import Ended, Kind, draws_of, kind_of, refusal
from nodetrust.issue.settings import CaSettings, IssueSettings
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import E_RATE_LIMIT, ECDSA_P256
from nodetrust.names import IPAddress, certificate_names, name_for_peer
from nodetrust.ordering import LETS_ENCRYPT
from nodetrust.quotas import Draw, Exhausted, Limit, refund, spend
from nodetrust.settings import ZoneName
from nodetrust.store import StoredCertificate

ZONE = "nt.example.org"
NOW = 1_800_000_000.0
HOUR, WEEK = 3600.0, 7 * 86400.0
CA = CaSettings(directory=LETS_ENCRYPT)
UNLIMITED = CaSettings(directory="https://ca.example/directory")
SERVER = Multiaddr.parse(f"/ip4/192.0.2.1/tcp/1/p2p/{PrivateKey.generate().peer_id}")
SETTINGS = IssueSettings(
    zone=ZoneName(ZONE), proof_servers=(SERVER,), dns_servers=(SERVER,), state=Path("unused"), agree_to_terms=True
)

every_kind = st.sampled_from(Kind)


def settings_with(**changes: int) -> IssueSettings:
    return structs.replace(SETTINGS, **changes)


def peer_id(number: int) -> PeerId:
    """A peer like any other, without the work of making its key."""
    return PeerId(b"\x00\x24\x08\x01\x12\x20" + number.to_bytes(32, "big"))


def order_of(number: int, *addresses: str) -> Order:
    peer = peer_id(number)
    proven: list[IPAddress] = [ip_address(address) for address in addresses or ("8.8.8.8",)]
    names = tuple(sorted(certificate_names(peer, proven, ZONE, "addresses")))
    return Order(peer, names, tuple(proven), ECDSA_P256, None, name_for_peer(peer, ZONE))


def keys(draws: tuple[Draw, ...]) -> set[str]:
    return {key for draw in draws for key in draw.keys}


class Counter:
    """Buckets, and how many orders they let through."""

    def __init__(self, settings: IssueSettings, ca: CaSettings = CA) -> None:
        self.settings, self.ca = settings, ca
        self.states: dict[str, float] = {}

    def open(self, order: Order, kind: Kind, now: float = NOW) -> bool:
        try:
            self.states |= spend(self.states, draws_of(order, kind, self.ca, self.settings).all, now)
        except Exhausted:
            return False
        return True


class DrawsTests(SynchronousTestCase):
    def test_a_new_peer(self) -> None:
        """It draws from its own bucket, those of its addresses, and at the CA those of all and of the new."""
        drawn = draws_of(order_of(1, "8.8.8.8", "2606:4700:1:2::3"), Kind.NEW, CA, settings_with())
        self.assertEqual(
            keys(drawn.operator),
            {
                f"peer/{peer_id(1)}",
                "address/8.8.8.8/32",
                "address/2606:4700:1:2::/64",
                "address/2606:4700:1::/48",
            },
        )
        ca = f"ca/{LETS_ENCRYPT}"
        self.assertEqual([draw.limit.key for draw in drawn.orders], [f"{ca}/orders", f"{ca}/orders/new"])
        shared = [draw for draw in drawn.certificates if "/names/" not in draw.limit.key]
        self.assertEqual(
            [(draw.limit.key, draw.limit.amount, draw.spare) for draw in shared],
            [(f"{ca}/certificates", 50, 0), (f"{ca}/certificates/new", 25, 12.5)],
        )
        self.assertEqual(
            {(right.key, right.amount) for right in shared[1].rights},
            {(f"{ca}/certificates/8.8.8.8/32", 1), (f"{ca}/certificates/2606:4700:1::/48", 1)},
        )
        self.assertEqual(len(drawn.failures), 3)

    def test_two_addresses_of_one_prefix_count_once(self) -> None:
        """An order is one order, however many addresses of a network it has."""
        drawn = draws_of(order_of(1, "2606:4700:1:2::3", "2606:4700:1:2::4"), Kind.NEW, CA, settings_with()).all
        self.assertEqual(len({draw.limit.key for draw in drawn}), len(drawn))
        self.assertEqual([len(draw.rights) for draw in drawn if draw.rights], [1, 1])

    def test_a_renewal_is_not_kept_back_by_its_neighbours(self) -> None:
        """It draws nothing of its address's, nothing of the new peers', and no certificate for new names."""
        drawn = keys(draws_of(order_of(1), Kind.RENEWAL, CA, settings_with()).all)
        self.assertFalse([key for key in drawn if "8.8.8.8" in key or key.endswith(("/new", "/certificates"))])
        self.assertIn(f"ca/{LETS_ENCRYPT}/orders", drawn)
        self.assertEqual(len([key for key in drawn if "/names/" in key]), 1)

    def test_one_that_moved_draws_on_the_whole(self) -> None:
        """The CA counts it as new; among us it comes before those that have nothing yet."""
        drawn = keys(draws_of(order_of(1), Kind.MOVED, CA, settings_with()).all)
        self.assertTrue({f"ca/{LETS_ENCRYPT}/certificates", "address/8.8.8.8/32"} <= drawn)
        self.assertFalse([key for key in drawn if key.endswith("/new")])
        self.assertIn(f"ca/{LETS_ENCRYPT}/certificates/8.8.8.8/32", drawn)

    def test_another_key_for_the_same_names_counts_as_new_to_us(self) -> None:
        """Nobody had to ask for it: so it comes out of the new peers' part, and out of its address's."""
        drawn = keys(draws_of(order_of(1), Kind.AGAIN, CA, settings_with()).all)
        self.assertTrue({f"ca/{LETS_ENCRYPT}/orders/new", "address/8.8.8.8/32"} <= drawn)
        self.assertNotIn(f"ca/{LETS_ENCRYPT}/certificates", drawn)

    def test_a_replacement_draws_nothing_of_the_cas(self) -> None:
        """What the CA does not count is bounded all the same: a bug in a peer, or in us, ends by itself."""
        counter = Counter(settings_with())
        order = order_of(1)
        self.assertFalse(
            [key for key in keys(draws_of(order, Kind.REPLACEMENT, CA, counter.settings).all) if key[:2] == "ca"]
        )
        self.assertEqual(sum(counter.open(order, Kind.REPLACEMENT) for _ in range(100)), 20)
        self.assertTrue(counter.open(order_of(2), Kind.REPLACEMENT))
        counter.states[f"replacements/{LETS_ENCRYPT}"] = NOW + HOUR
        self.assertFalse(counter.open(order_of(3), Kind.REPLACEMENT))

    def test_each_limit_stops_orders_for_its_period(self) -> None:
        """The operator's own, and the CA's for the same names: so many at once, then one in a part of the week."""
        own = {"orders_per_peer": 3, "orders_per_address": 0, "orders_per_48": 0}
        cases = [
            (own, lambda n: order_of(1, f"8.8.{n}.8"), Kind.MOVED, 3),
            ({**own, "orders_per_peer": 0, "orders_per_address": 4}, order_of, Kind.NEW, 4),
            (
                {**own, "orders_per_peer": 0, "orders_per_48": 5},
                lambda n: order_of(n, f"2606:4700:1:{n}::1"),
                Kind.NEW,
                5,
            ),
            ({**own, "orders_per_peer": 0}, lambda n: order_of(1), Kind.RENEWAL, 5),
        ]
        for changes, order, kind, limit in cases:
            counter = Counter(settings_with(**changes), CA)
            self.assertEqual([counter.open(order(n), kind) for n in range(limit + 1)], [True] * limit + [False])
            self.assertFalse(counter.open(order(98), kind, NOW + WEEK / limit - 60))
            self.assertTrue(counter.open(order(99), kind, NOW + WEEK / limit + 1))

    @given(every_kind)
    def test_zero_is_no_limit(self, kind: Kind) -> None:
        """With every limit 0 an order draws nothing, but a replacement its own."""
        none = settings_with(orders_per_peer=0, orders_per_address=0, orders_per_48=0)
        drawn = draws_of(order_of(1), kind, UNLIMITED, none).all
        self.assertEqual(len(drawn), 2 if kind is Kind.REPLACEMENT else 0)

    @given(every_kind, st.integers(0, 100), st.integers(1, 1000))
    def test_every_bucket_is_one_that_spend_takes(self, kind: Kind, share: int, limit: int) -> None:
        """Whatever the operator says, a first order is let through, unless the new peers' part is nothing at all."""
        ca = CaSettings(
            directory=LETS_ENCRYPT, certificates_per_week=limit, orders_per_3_hours=limit, same_names_per_week=limit
        )
        opened = Counter(settings_with(renewal_share=share), ca).open(order_of(1), kind)
        self.assertEqual(opened, share < 100 or kind not in {Kind.NEW, Kind.AGAIN})

    def test_cas_have_their_own_buckets(self) -> None:
        """What is used up at one CA is not at the next; the operator's buckets are the same at both."""
        other = CaSettings(directory="https://ca.example/directory", certificates_per_week=50, orders_per_3_hours=50)
        settings = settings_with()
        one, two = (draws_of(order_of(1), Kind.NEW, ca, settings) for ca in (CA, other))
        self.assertEqual(one.operator, two.operator)
        self.assertFalse(keys(one.orders + one.certificates) & keys(two.orders + two.certificates))


class FairnessTests(SynchronousTestCase):
    def test_one_prefix_cannot_starve_the_others(self) -> None:
        """Made-up peers in one /48 ask again and again, and first; who is new comes before them all the same."""
        counter = Counter(settings_with())
        number, honest = 0, []
        for hour in range(8 * 7 * 24):
            for _ in range(3):
                number += 1
                counter.open(order_of(number, f"2606:4700:1:{number % 65536:x}::1"), Kind.NEW, NOW + hour * HOUR)
            if hour % 8 == 7:  # three a day, of the 25 a week that are for new peers
                honest.append(counter.open(order_of(1 << 20 | hour, f"8.8.{hour // 8}.8"), Kind.NEW, NOW + hour * HOUR))
        self.assertEqual(honest, [True] * 168)

    def test_one_prefix_gets_what_nobody_else_wants(self) -> None:
        """Ten peers of one household, on a domain of their own, have not to wait for one another."""
        counter = Counter(settings_with())
        self.assertTrue(all(counter.open(order_of(n, "8.8.8.8"), Kind.NEW) for n in range(10)))

    def test_new_peers_cannot_starve_those_that_have_certificates(self) -> None:
        """A flood from everywhere takes the new peers' part, and leaves the rest."""
        counter = Counter(settings_with(renewal_share=40))
        new = sum(counter.open(order_of(n, f"8.{n // 256}.{n % 256}.8"), Kind.NEW) for n in range(1000))
        moved = sum(counter.open(order_of(2000 + n, f"9.9.{n}.9"), Kind.MOVED) for n in range(100))
        self.assertEqual((new, moved), (30, 20))
        self.assertFalse(counter.open(order_of(5000, "9.9.9.9"), Kind.NEW))

    def test_the_cas_limits_are_never_exceeded(self) -> None:
        """Whatever comes, in five weeks Let's Encrypt sees at most what its own buckets hold and regain."""
        randomness = random.Random(7)
        counter = Counter(settings_with(orders_per_address=0, orders_per_48=0))
        opened = [0, 0]
        for step in range(20_000):
            kind = randomness.choice([Kind.NEW, Kind.MOVED, Kind.RENEWAL])
            order = order_of(randomness.randrange(5000), f"8.{randomness.randrange(50)}.{randomness.randrange(250)}.8")
            if counter.open(order, kind, NOW + step * 5 * WEEK / 20_000):
                opened[kind is Kind.RENEWAL] += 1
        self.assertLessEqual(opened[0], 50 + 5 * 50)
        self.assertGreaterEqual(opened[0], 5 * 50)
        self.assertGreater(opened[1], 1000)


class EndedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.order = order_of(1)
        self.draws = draws_of(self.order, Kind.NEW, CA, settings_with())

    def test_an_order_that_the_ca_has_not_taken_costs_nothing(self) -> None:
        """All comes back, and the buckets are full again."""
        states = spend({}, self.draws.all, NOW)
        states |= refund(states, self.draws.unspent(Ended.UNPLACED), NOW)
        self.assertEqual(set(states.values()), {NOW})

    def test_a_certificate(self) -> None:
        """Nothing comes back."""
        self.assertEqual(self.draws.unspent(Ended.SIGNED), ())

    def test_an_order_that_fails(self) -> None:
        """The CA counts the order and the names that failed; the peer is not to blame, and keeps its week."""
        failed = self.order.names[0]
        given = self.draws.unspent(Ended.UNVALIDATED, [failed])
        self.assertEqual(
            set(given), {*self.draws.operator, *self.draws.certificates, Draw(self.draws.failures[failed].limit, -1)}
        )

    def test_a_key_that_the_ca_refuses(self) -> None:
        """That costs the peer its own share, so that it does not do it again and again."""
        self.assertEqual(self.draws.unspent(Ended.REFUSED), self.draws.certificates)

    def test_failed_validations_of_a_name(self) -> None:
        """After five in an hour no order for that name is opened, for twelve minutes."""
        settings = settings_with(orders_per_peer=0, orders_per_address=0)
        counter = Counter(settings)
        name = self.order.names[0]
        for _ in range(5):
            self.assertTrue(counter.open(self.order, Kind.RENEWAL))
            draws = draws_of(self.order, Kind.RENEWAL, CA, settings)
            counter.states |= refund(counter.states, draws.unspent(Ended.UNVALIDATED, [name]), NOW)
        with self.assertRaises(Exhausted) as caught:
            spend(counter.states, draws_of(self.order, Kind.RENEWAL, CA, settings).all, NOW)
        self.assertTrue(caught.exception.limit.key.endswith(f"/failures/{name}"))
        self.assertAlmostEqual(caught.exception.retry_after_seconds, HOUR / 5, 3)

    def test_what_the_peer_is_told(self) -> None:
        """The number, how long to wait, and whose limit it is."""
        told = refusal(Exhausted(Limit(f"ca/{LETS_ENCRYPT}/certificates", 50, WEEK), 12_000.0))
        self.assertEqual((told.code, told.retry_after_seconds), (E_RATE_LIMIT, 12_000.0))
        self.assertIn("the CA's limits", str(told))
        self.assertIn("this server's limits", str(refusal(Exhausted(Limit("peer/x", 50, WEEK), 1))))


class KindTests(SynchronousTestCase):
    START = datetime(2026, 1, 1, tzinfo=UTC)

    def stored(
        self, directory: str = LETS_ENCRYPT, renew_at: datetime | None = None, days: int = 90
    ) -> StoredCertificate:
        end = self.START + timedelta(days=days)
        return StoredCertificate(
            b"", (), b"", ECDSA_P256, b"", b"", self.START, end, True, directory_url=directory, renew_at=renew_at
        )

    def kind(self, days: float, same: StoredCertificate | None, newest: StoredCertificate | None) -> Kind:
        return kind_of(LETS_ENCRYPT, same, newest, self.START + timedelta(days=days), replaces=False)

    def test_by_what_the_peer_has(self) -> None:
        """Nothing; other names; the same names, due at a third of their life or when the CA says so, or ended."""
        one = self.stored()
        self.assertIs(self.kind(1, None, None), Kind.NEW)
        self.assertIs(self.kind(1, None, one), Kind.MOVED)
        self.assertIs(self.kind(59, one, one), Kind.AGAIN)
        self.assertIs(self.kind(60, one, one), Kind.RENEWAL)
        self.assertIs(self.kind(119.9, one, None), Kind.RENEWAL)
        self.assertIs(self.kind(120, one, None), Kind.NEW)
        long = self.stored(days=398)
        self.assertIs(self.kind(397, long, long), Kind.RENEWAL)
        self.assertIs(self.kind(398, long, None), Kind.NEW)
        early = self.stored(renew_at=self.START + timedelta(days=5))
        self.assertIs(self.kind(6, early, early), Kind.RENEWAL)

    def test_what_another_ca_signed_is_new_to_this_one(self) -> None:
        """Only the CA that signed the last one counts the next as a renewal."""
        other = self.stored(directory="https://ca.example/directory")
        self.assertIs(self.kind(60, other, other), Kind.MOVED)

    def test_replaces(self) -> None:
        """What says `replaces` in its window is a replacement, whatever its names."""
        one = self.stored()
        now = self.START + timedelta(days=60)
        for same in (None, one):
            self.assertIs(kind_of(LETS_ENCRYPT, same, one, now, replaces=True), Kind.REPLACEMENT)
