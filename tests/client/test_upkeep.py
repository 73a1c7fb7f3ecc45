"""When a certificate is renewed and when proofs are asked for anew, by a clock."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

import nodetrust.client.by_issuer as by_issuer_module
import nodetrust.client.upkeep as upkeep_module
from nodetrust.client.by_issuer import by_issuers
from nodetrust.client.errors import IssuerUnreachable, NoProofs, ObtainError, Refused
from nodetrust.client.files import save
from nodetrust.client.obtain import Obtained
from nodetrust.client.prove import Proofs
from nodetrust.client.renewal import FIRST_REDIAL_SECONDS, FIRST_RETRY_SECONDS, RECHECK_SECONDS, REPROOF_SECONDS, SPREAD
from nodetrust.client.settings import ClientSettings
from nodetrust.client.upkeep import MOST_EARLIER, Upkeep
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import E_OTHER, E_RATE_LIMIT, IssueInfo
from nodetrust.names import NameChoice, certificate_names
from tests.client.examples import LIFE, certificate

PEER = PrivateKey.generate().peer_id
HOUR = timedelta(hours=1)
HOME, AWAY, FURTHER = (ip_address(f"192.0.2.{number}") for number in (1, 2, 3))


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


class Connection:
    """To the issue server; it is in a list while it is open."""

    def __init__(self, others: list[Any], *, brief: bool = False) -> None:
        self.brief = brief
        self._others = others

    def close(self) -> None:
        self._others.remove(self)


class UpkeepCase(SynchronousTestCase):
    """With an issue server that gives whatever it is asked for, and proof servers that see the peer at `self.at`."""

    def setUp(self) -> None:
        self.clock = ClockWithPool()
        self.at: Any = HOME
        self.proofs = self.orders = 0
        self.used: list[Obtained] = []
        self.failures: list[Exception] = []
        self.patch(by_issuer_module, "prove", self.prove)
        self.patch(by_issuer_module, "obtain_with", self.obtain_with)
        self.patch(by_issuer_module, "ask_info", self.ask_info)
        self.infos = 0
        self.renew_at: datetime | None = None
        self.refusal: Refused | None = None
        self.dialled: list[Any] = []
        self.bug: Exception | None = None
        self.places: tuple[Multiaddr, ...] = (Multiaddr.parse(f"/ip4/192.0.2.9/tcp/1/p2p/{PEER}"),)
        self.unreachable: set[Any] = set()
        self.asked: list[Multiaddr] = []
        self.open: list[Any] = []
        self.begin()

    def begin(self, names: NameChoice = "addresses", state: Path | None = None) -> None:
        settings = ClientSettings(
            issuer=self.places,
            state=Path(self.mktemp()) if state is None else state,
            names=names,
        )
        host: Any = SimpleNamespace(peer_id=PEER, connect=self.connect, connections=self.connections)
        self.state = settings.state
        ways = by_issuers(self.clock, host, settings.issuer, settings.names)
        self.upkeep = Upkeep(
            self.clock, settings, ways, self.used.append, self.failures.append, steady=self.clock.seconds
        )
        self.running = Deferred.fromCoroutine(self.upkeep.run())

    def connections(self, peer_id: Any) -> list[Any]:
        return list(self.open)

    async def connect(self, addresses: Any, *, anew: bool) -> None:
        self.dialled.append(addresses[0].peer_id)
        self.open.append(Connection(self.open))

    def end(self) -> None:
        """Stop the client that runs."""
        self.upkeep.stop()
        self.running.cancel()
        self.failureResultOf(self.running, CancelledError)

    def advance(self, time: timedelta) -> None:
        """Let time pass, an hour at a time: one long step would let a timer be late by all of it."""
        for _ in range(round(time.total_seconds() / 3600)):
            self.clock.advance(3600)

    async def ask_info(self, host: Any, issuer: Any) -> IssueInfo:
        self.infos += 1
        if issuer[0].peer_id in self.unreachable:
            raise IssuerUnreachable("it is away")
        info = IssueInfo(domain="nt.example")
        if self.renew_at is not None:
            info.renewAt = int(self.renew_at.timestamp() * 1000)
        return info

    async def prove(self, host: Any, issuer: Any, **kwargs: Any) -> Proofs:
        self.proofs += 1
        self.asked.append(issuer[0])
        if issuer[0].peer_id in self.unreachable:
            raise IssuerUnreachable("it is away")
        if self.at is None:
            raise NoProofs("nobody there")
        return Proofs("nt.example", frozenset(), (), (self.at,))

    async def obtain_with(
        self, proofs: Proofs, host: Any, issuer: Any, key: Any, crypto: int, **options: Any
    ) -> Obtained:
        self.orders += 1
        if self.bug is not None:
            raise self.bug
        if self.refusal is not None:
            raise self.refusal
        names = certificate_names(PEER, proofs.addresses, proofs.zone, options["names"])
        now = datetime.fromtimestamp(self.clock.seconds(), UTC)
        chain = certificate(key, names, now)
        return Obtained(chain, key, proofs.addresses, from_cache=False, issuer=issuer[0].peer_id)


class UpkeepTests(UpkeepCase):
    """From the first certificate on."""

    def test_renews_in_time(self) -> None:
        """One certificate at the start, and the next when a third of its life is left."""
        self.assertEqual(self.orders, 1)
        self.advance(LIFE * 2 / 3 - HOUR)
        self.assertEqual(self.orders, 1)
        self.advance(LIFE / 3 * SPREAD + 2 * HOUR)
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
        with capturedLogs() as logged:
            self.upkeep.seen_at(AWAY)
        self.assertEqual([event["log_level"] for event in logged], [LogLevel.warn])
        self.assertEqual((len(self.failures), self.orders), (1, 1))
        self.at = AWAY
        self.clock.advance(FIRST_REDIAL_SECONDS * (1 + SPREAD))
        self.assertEqual((self.used[-1].addresses, self.orders), ((AWAY,), 2))

    def test_a_machine_that_stirs(self) -> None:
        """Its own addresses have changed: new proofs are asked for, and where they say the same, no more than that."""
        self.upkeep.stirred()
        self.assertEqual((self.proofs, self.orders), (2, 1))
        self.at = AWAY
        self.upkeep.stirred()
        self.clock.advance(REPROOF_SECONDS)
        self.assertEqual((self.used[-1].addresses, self.orders), ((AWAY,), 2))

    def test_two_uplinks_that_take_turns(self) -> None:
        """Each has its certificate, which is taken up again while it is good."""
        for minute in range(4 * 60):
            self.at = HOME if minute % 2 else AWAY
            self.upkeep.seen_at(self.at)
            self.assertEqual(self.used[-1].addresses, (self.at,))
            self.clock.advance(60)
        self.assertEqual(self.orders, 2)

    def test_an_earlier_certificate_that_is_due(self) -> None:
        """Is not taken up again: another one is ordered."""
        self.at = AWAY
        self.advance(LIFE / 2)
        self.upkeep.seen_at(AWAY)
        self.assertEqual(self.orders, 2)
        self.advance(LIFE / 4)
        self.at = HOME
        self.upkeep.seen_at(HOME)
        self.assertEqual((self.orders, self.used[-1].addresses), (3, (HOME,)))
        self.assertGreater(self.used[-1].chain.not_after.timestamp(), self.clock.seconds() + LIFE.total_seconds() * 0.9)

    def test_ever_new_addresses(self) -> None:
        """Each certificate for a move doubles the distance to the next: a day costs ten, and the next day again."""
        for minute in range(3 * 24 * 60):
            self.at = HOME + minute % 20
            self.upkeep.seen_at(self.at)
            self.clock.advance(60)
        self.assertLess(self.orders, 36)
        self.assertGreater(self.orders, 15)
        self.assertEqual(len(self.upkeep._earlier), MOST_EARLIER)

    def test_a_move_while_it_waits(self) -> None:
        """Refused for a day where it was, it asks at once where it is now; for the place that was refused it waits."""
        self.refusal = Refused("later", E_RATE_LIMIT, 86400)
        self.at = AWAY
        self.upkeep.seen_at(AWAY)
        self.advance(HOUR)
        self.upkeep.seen_at(AWAY)
        self.assertEqual((len(self.failures), self.proofs), (1, 2))
        self.refusal, self.at = None, FURTHER
        self.upkeep.seen_at(FURTHER)
        self.assertEqual(self.used[-1].addresses, (FURTHER,))

    def test_the_server_is_back(self) -> None:
        """A client without a certificate asks it as soon as there is a connection, and if that fails, not again."""
        self.end()
        self.unreachable.add(PEER)
        self.begin()
        self.advance(HOUR)
        before = self.proofs
        self.upkeep.seen_at(HOME)
        self.upkeep.seen_at(HOME)
        self.assertEqual(self.proofs, before + 1)

    def test_the_connection_from_where_it_was(self) -> None:
        """Is not asked over: the issue server is dialled anew, and what was there is closed, but for what ends soon."""
        before, brief = Connection(self.open), Connection(self.open, brief=True)
        self.open += [before, brief]
        self.upkeep.seen_at(AWAY)
        self.assertEqual(self.open, [before, brief])
        self.clock.advance(REPROOF_SECONDS)
        self.upkeep.stirred()
        self.assertEqual(len(self.open), 2)
        self.assertNotIn(before, self.open)
        self.assertIn(brief, self.open)

    def test_the_next_issue_server(self) -> None:
        """Where the first is away, the second is asked at once."""
        self.end()
        second = PrivateKey.generate().peer_id
        self.places = (*self.places, Multiaddr.parse(f"/ip4/192.0.2.10/tcp/1/p2p/{second}"))
        self.unreachable.add(PEER)
        before = self.orders
        self.begin()
        self.assertEqual((self.orders, self.failures), (before + 1, []))
        self.assertEqual(self.asked[-1].peer_id, second)

    def test_the_next_issue_server_after_a_move(self) -> None:
        """It, too, is asked over a new connection, where the first one refuses; each is dialled anew once."""
        self.end()
        second = PrivateKey.generate().peer_id
        self.places = (*self.places, Multiaddr.parse(f"/ip4/192.0.2.10/tcp/1/p2p/{second}"))
        self.begin(state=self.state)
        self.refusal, self.at = Refused("no", E_RATE_LIMIT, None), AWAY
        self.upkeep.stirred()
        self.assertEqual(self.dialled, [self.places[0].peer_id, second])
        self.assertEqual(len(self.failures), 1)
        self.clock.advance(FIRST_RETRY_SECONDS * 2)
        self.assertEqual((len(self.failures), len(self.dialled)), (2, 2))

    def test_what_was_left(self) -> None:
        """Where proofs say that it is no more it is known not to be, until it is back or has another certificate."""
        self.assertEqual(self.upkeep.addresses, (HOME,))
        self.refusal, self.at = Refused("no", E_RATE_LIMIT, None), AWAY
        self.upkeep.stirred()
        self.assertEqual(self.upkeep.addresses, ())
        self.at = None
        self.clock.advance(FIRST_RETRY_SECONDS * 2)
        self.assertEqual(self.upkeep.addresses, ())
        self.at = HOME
        self.upkeep.stirred()
        self.clock.advance(REPROOF_SECONDS)
        self.assertEqual(self.upkeep.addresses, (HOME,))
        self.refusal, self.at = None, AWAY
        self.upkeep.stirred()
        self.clock.advance(REPROOF_SECONDS)
        self.assertEqual(self.upkeep.addresses, (AWAY,))

    def test_back_where_it_was_left(self) -> None:
        """That is news, though the certificate is for it: a refusal of the other place is not waited out."""
        self.refusal, self.at = Refused("later", E_RATE_LIMIT, 86400), AWAY
        self.upkeep.seen_at(AWAY)
        self.assertEqual(self.upkeep.addresses, ())
        self.clock.advance(REPROOF_SECONDS)
        self.at = HOME
        self.upkeep.seen_at(HOME)
        self.assertEqual((self.upkeep.addresses, self.proofs), ((HOME,), 3))

    def test_a_move_during_a_move(self) -> None:
        """What was dialled for the first is from before the second, and is dialled anew again."""
        in_the_midst = [self.upkeep.stirred]

        async def connect(addresses: Any, *, anew: bool) -> None:
            await self.connect(addresses, anew=anew)
            if in_the_midst:
                in_the_midst.pop()()

        self.upkeep._all_ways[0]._host.connect = connect  # type: ignore[attr-defined]
        self.upkeep.stirred()
        self.clock.advance(REPROOF_SECONDS)
        self.assertEqual((len(self.dialled), self.proofs), (2, 3))

    def test_a_bug_ends_nothing(self) -> None:
        """It is logged as one, and the next try comes as after any other failure."""
        self.bug = ZeroDivisionError()
        self.at = AWAY
        self.upkeep.seen_at(AWAY)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIn("a bug", str(self.failures[-1]))
        self.bug = None
        self.clock.advance(FIRST_RETRY_SECONDS * (1 + SPREAD))
        self.assertEqual((self.used[-1].addresses, self.orders), ((AWAY,), 3))

    def test_stops(self) -> None:
        """Nothing is left that waits."""
        self.end()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ServersWordTests(UpkeepCase):
    """What the issue server says about the time of the next certificate."""

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.seconds(), UTC)

    def test_renews_when_it_is_told(self) -> None:
        """The CA wants a certificate of two days replaced now: within four hours it is."""
        self.advance(timedelta(days=2))
        self.assertGreater(self.infos, 10)
        self.renew_at, told = self.now(), self.now()
        while self.orders == 1:
            self.advance(HOUR)
        self.assertLessEqual(self.now() - told, timedelta(hours=4))

    def test_asks_on_a_new_connection(self) -> None:
        """Once, however often the connection is lost."""
        self.advance(HOUR)
        for _ in range(3):
            self.upkeep.reconnected()
        self.assertEqual(self.infos, 1)
        self.clock.advance(RECHECK_SECONDS)
        self.upkeep.reconnected()
        self.assertEqual(self.infos, 2)

    def test_another_server_that_says_now(self) -> None:
        """It means the certificate that it gave before; who has given this one is not there."""
        self.end()
        second = PrivateKey.generate().peer_id
        self.places = (*self.places, Multiaddr.parse(f"/ip4/192.0.2.10/tcp/1/p2p/{second}"))
        self.unreachable.add(PEER)
        self.begin()
        before = self.orders
        self.unreachable = {second}
        self.renew_at = self.now()
        self.advance(timedelta(days=5))
        self.assertEqual(self.orders, before)

    def test_of_another_place(self) -> None:
        """Back where it was before, the server's word would be about the newer certificate: it is not asked."""
        self.at = AWAY
        self.advance(HOUR)
        self.upkeep.seen_at(AWAY)
        self.at = HOME
        self.advance(HOUR)
        self.upkeep.seen_at(HOME)
        before = self.infos
        self.renew_at = self.now()
        self.advance(timedelta(days=5))
        self.assertEqual((self.orders, self.infos), (2, before))

    def test_one_that_says_now_to_everything(self) -> None:
        """It costs a dozen orders, each at twice the distance of the one before, and not one an hour."""
        self.renew_at = datetime.fromtimestamp(0, UTC)
        self.advance(timedelta(days=10))
        self.assertLessEqual(self.orders, 9)

    def test_a_restart_keeps_the_plan(self) -> None:
        """It orders nothing, and goes on with the time that the issue server has said."""
        self.renew_at = self.now() + timedelta(days=50)
        self.advance(timedelta(hours=4))
        self.end()
        self.renew_at = None
        self.begin(state=self.state)
        self.advance(timedelta(days=49, hours=19))
        self.assertEqual(self.orders, 1)
        self.advance(timedelta(hours=2))
        self.assertEqual(self.orders, 2)

    def test_a_plan_that_cannot_be_read(self) -> None:
        """The certificate is used all the same, and renewed in time."""
        self.end()
        for content in ("garbage", "2026-01-01", "9999-12-31T23:59:59+00:00"):
            (self.state / "renew-at.txt").write_text(content)
            self.begin(state=self.state)
            self.assertEqual(self.orders, 1)
            self.end()

    def test_a_wait_is_kept_to(self) -> None:
        """Who is told to come back in a day comes back in a day."""
        self.refusal = Refused("later", E_RATE_LIMIT, 86400)
        self.renew_at = self.now()
        self.advance(timedelta(hours=4))
        self.assertEqual(self.orders, 2)
        self.advance(timedelta(hours=19))
        self.assertEqual(self.orders, 2)
        self.advance(timedelta(hours=8))
        self.assertEqual(self.orders, 3)

    def test_a_failure_is_said_with_the_end(self) -> None:
        """The louder, the nearer it is."""
        self.refusal = Refused("the CA is down", E_OTHER, None)
        with capturedLogs() as logged:
            self.advance(LIFE + timedelta(hours=5))
        said = [event for event in logged if "no new certificate" in event["log_format"]]
        self.assertEqual(
            [level.name for level in dict.fromkeys(event["log_level"] for event in said)], ["warn", "error"]
        )
        text = formatEvent(said[0])
        self.assertIn("the CA is down; the one that is served is good until 1970-04-01T00:00+00:00; trying", text)
        self.assertIn("(it is over)", formatEvent(said[-1]))

    def test_a_full_disk(self) -> None:
        """The certificate is used; nothing is ordered again, and it is stored when there is room."""
        self.end()
        with capturedLogs() as logged:
            self.patch(upkeep_module, "save", self.no_room)
            self.begin()
        self.assertEqual((self.orders, len(self.used)), (2, 2))
        self.assertIn("no room", formatEvent(logged[-1]))
        self.patch(upkeep_module, "save", save)
        self.advance(timedelta(hours=5))
        self.assertTrue((self.state / "renew-at.txt").exists())
        self.assertEqual(self.orders, 2)

    def no_room(self, *args: Any) -> None:
        raise ObtainError("no room")
