"""When a certificate is renewed and when proofs are asked for anew, by a clock."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

import nodetrust.client.upkeep as upkeep_module
from nodetrust.certificates import Chain
from nodetrust.client.errors import NoProofs
from nodetrust.client.obtain import Obtained
from nodetrust.client.prove import Proofs
from nodetrust.client.renewal import FIRST_REDIAL_SECONDS, REPROOF_SECONDS, SPREAD
from nodetrust.client.settings import ClientSettings
from nodetrust.client.upkeep import Upkeep
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.names import NameChoice, certificate_names

PEER = PrivateKey.generate().peer_id
LIFE = timedelta(days=90)
HOME, AWAY = ip_address("192.0.2.1"), ip_address("192.0.2.2")


class ImmediatePool:
    """A thread pool without threads."""

    def callInThreadWithCallback(self, done: Callable[[bool, Any], None], call: Any, *args: Any, **kwargs: Any) -> None:
        done(True, call(*args, **kwargs))


class ClockWithPool(Clock):
    """Time that is told, and threads that are none."""

    def getThreadPool(self) -> ImmediatePool:
        return ImmediatePool()

    def callFromThread(self, call: Any, *args: Any) -> None:
        call(*args)


def certificate(key: Any, names: Iterable[str], now: datetime) -> Chain:
    """A self-signed one, which is all that is looked at here."""
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Chain(leaf, ())


class UpkeepTests(SynchronousTestCase):
    """With an issue server that gives whatever it is asked for, and proof servers that see the peer at `self.at`."""

    def setUp(self) -> None:
        self.clock = ClockWithPool()
        self.at: Any = HOME
        self.proofs = self.orders = 0
        self.used: list[Obtained] = []
        self.failures: list[Exception] = []
        self.patch(upkeep_module, "prove", self.prove)
        self.patch(upkeep_module, "obtain_with", self.obtain_with)
        self.begin()

    def begin(self, names: NameChoice = "addresses") -> None:
        settings = ClientSettings(
            issuer=(Multiaddr.parse(f"/ip4/192.0.2.9/tcp/1/p2p/{PEER}"),), state=Path(self.mktemp()), names=names
        )
        host: Any = SimpleNamespace(peer_id=PEER)
        self.upkeep = Upkeep(self.clock, settings, host, self.used.append, self.failures.append)
        self.running = Deferred.fromCoroutine(self.upkeep.run())

    async def prove(self, *args: Any, **kwargs: Any) -> Proofs:
        self.proofs += 1
        if self.at is None:
            raise NoProofs("nobody there")
        return Proofs("nt.example", frozenset(), (), (self.at,))

    async def obtain_with(
        self, proofs: Proofs, host: Any, issuer: Any, key: Any, crypto: int, **options: Any
    ) -> Obtained:
        self.orders += 1
        names = certificate_names(PEER, proofs.addresses, proofs.zone, options["names"])
        now = datetime.fromtimestamp(self.clock.seconds(), UTC)
        return Obtained(certificate(key, names, now), key, proofs.addresses, from_cache=False)

    def test_renews_in_time(self) -> None:
        """One certificate at the start, and the next when a third of its life is left."""
        self.assertEqual(self.orders, 1)
        self.clock.advance(LIFE.total_seconds() * 2 / 3 - 1)
        self.assertEqual(self.orders, 1)
        self.clock.advance(LIFE.total_seconds() / 3 * SPREAD + 2)
        self.assertEqual(self.orders, 2)

    def test_follows_a_move(self) -> None:
        """What the issue server sees and proof servers confirm is certified at once."""
        self.at = AWAY
        self.upkeep.seen_at(AWAY)
        self.assertEqual((self.orders, self.used[-1].addresses), (2, (AWAY,)))

    def test_no_order_where_nobody_confirms(self) -> None:
        """Proof servers are asked, but not over and over; nothing is ordered."""
        for _ in range(3):
            self.upkeep.seen_at(AWAY)
        self.assertEqual(self.proofs, 2)
        self.clock.advance(REPROOF_SECONDS)
        self.assertEqual((self.proofs, self.orders), (3, 1))

    def test_no_proofs_where_nothing_has_changed(self) -> None:
        """A connection from the proven address is no reason to ask anybody."""
        self.upkeep.seen_at(HOME)
        self.clock.advance(REPROOF_SECONDS)
        self.assertEqual(self.proofs, 1)

    def test_a_wildcard_outlives_a_move(self) -> None:
        """The certificate of a peer and everything below it stays, with the new address beside it."""
        self.begin("peer")
        before, self.at = self.used[-1], AWAY
        self.upkeep.seen_at(AWAY)
        self.assertEqual((self.used[-1].chain, self.used[-1].addresses), (before.chain, (AWAY,)))
        self.assertEqual(self.orders, 2)  # those of the two starts

    def test_a_move_that_fails_is_tried_again(self) -> None:
        """Until then the old certificate is kept; then the new address is proven without another hint."""
        self.at = None
        self.upkeep.seen_at(AWAY)
        self.assertEqual((len(self.failures), self.orders), (1, 1))
        self.at = AWAY
        self.clock.advance(FIRST_REDIAL_SECONDS * (1 + SPREAD))
        self.assertEqual((self.used[-1].addresses, self.orders), ((AWAY,), 2))

    def test_stops(self) -> None:
        """Nothing is left that waits."""
        self.upkeep.stop()
        self.running.cancel()
        self.failureResultOf(self.running, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
