"""One port, kept mapped, on a simulated clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.portmap.errors import NoAnswerError, NoGatewayError, NoPublicAddressError, PortMapError, RefusedError
from nodetrust.portmap.keeper import Keeper
from nodetrust.portmap.mapping import Granted, Mapping, Place, Wanted
from tests.portmap.fakes import PLACE, WANTED

ADDRESS = IPv4Address("45.20.1.1")
GRANTED = Granted(ADDRESS, 4443, 3600)
CHECK = 120.0


class ScriptedProtocol:
    """Answers what the test has set: a value, or an error to raise, or a Deferred to wait for."""

    def __init__(self, name: str, **answers: Any) -> None:
        self.name = name
        self.answers: dict[str, Any] = {"probe": None, "add": GRANTED, "check": None, "remove": None, **answers}
        self.calls: list[str] = []

    async def _answer(self, call: str) -> Any:
        self.calls.append(call)
        answer = self.answers[call]
        if isinstance(answer, Deferred):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def probe(self) -> None:
        await self._answer("probe")

    async def add(self) -> Granted:
        granted: Granted = await self._answer("add")
        return granted

    async def check(self) -> Granted | None:
        granted: Granted | None = await self._answer("check")
        return granted

    async def remove(self) -> None:
        await self._answer("remove")


class KeeperTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.told: list[Mapping | None] = []
        self.place: Place | PortMapError = PLACE
        self.first, self.second = ScriptedProtocol("PCP"), ScriptedProtocol("UPnP")
        self.keeper = self.make_keeper(self.told.append)

    def make_keeper(self, changed: Callable[[Mapping | None], None]) -> Keeper:
        def find_place() -> Place:
            if isinstance(self.place, PortMapError):
                raise self.place
            return self.place

        def protocols(place: Place, wanted: Wanted) -> list[Any]:
            return [self.first, self.second]

        return Keeper(
            self.clock,
            WANTED,
            changed,
            find_place,
            protocols,
            steady=self.clock.seconds,
            chance=lambda: 0.0,
            check_seconds=CHECK,
        )

    def stop(self) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.keeper.stop()))


MAPPING = Mapping(ADDRESS, 4443, PLACE.own_address, 4443, PLACE.gateway, "PCP", 3600)


class MapTests(KeeperTestCase):
    def test_preferred(self) -> None:
        """The preferred protocol maps the port if it works; nothing else is mapped."""
        self.keeper.start()
        self.assertEqual(self.told, [MAPPING])
        self.assertEqual((self.first.calls, self.second.calls), (["probe", "add"], ["probe"]))

    def test_next(self) -> None:
        """A protocol that is not spoken, or that refuses to map, gives way to the next."""
        for call, error in (("probe", NoAnswerError("silent")), ("add", RefusedError("no"))):
            self.setUp()
            self.first.answers[call] = error
            self.keeper.start()
            self.assertEqual(self.told, [replace(MAPPING, protocol="UPnP")])

    def test_side_by_side(self) -> None:
        """The second is asked while the first has not answered, and is given up when the first does."""
        first: Deferred[None] = Deferred()
        given_up: list[Any] = []
        self.first.answers["probe"] = first
        self.second.answers["probe"] = Deferred(given_up.append)
        self.keeper.start()
        self.assertEqual(self.second.calls, ["probe"])
        first.callback(None)
        self.assertEqual(len(given_up), 1)
        self.assertEqual(self.told, [MAPPING])

    def test_all_refuse(self) -> None:
        """If nothing works, the error names what each that answered has said, once; it is tried again for ever."""
        self.first.answers["add"] = RefusedError("it does not allow this")
        self.second.answers["probe"] = NoAnswerError("it does not answer")
        with capturedLogs() as logs:
            self.keeper.start()
            for _ in range(20):
                self.clock.advance(900)
        said = [event for event in logs if event["log_level"] >= LogLevel.info]
        self.assertEqual(len(said), 1)
        self.assertEqual(said[0]["reason"], "the router 192.168.1.1 refuses. PCP: it does not allow this")
        self.assertEqual(self.first.calls.count("probe"), 21)
        self.assertEqual(self.told, [])

    def test_no_gateway(self) -> None:
        """Without a router nothing is asked; when there is one, the port is mapped."""
        self.place = NoGatewayError("there is no default route over a router")
        self.keeper.start()
        self.assertEqual(self.first.calls, [])
        self.place = PLACE
        self.clock.advance(5)
        self.assertEqual(self.told, [MAPPING])

    def test_public(self) -> None:
        """A machine with a public address of its own does not bother its provider's router."""
        self.place = Place(IPv4Address("45.20.1.254"), ADDRESS)
        with capturedLogs() as logs:
            self.keeper.start()
        self.assertEqual(self.first.calls, [])
        self.assertIn("public", logs[0]["reason"])

    def test_carrier_nat(self) -> None:
        """A mapping at an address that is not public is told, and that nobody can dial it."""
        self.first.answers["add"] = Granted(IPv4Address("100.64.1.2"), 4443, 3600)
        with capturedLogs() as logs:
            self.keeper.start()
        self.assertEqual(logs[0]["log_level"], LogLevel.warn)
        self.assertIn("nobody outside can dial it", logs[0]["but"])
        [mapping] = self.told
        assert mapping is not None and mapping.not_public is not None
        self.assertEqual(mapping.not_public.source, "RFC 6598")

    def test_no_public_address(self) -> None:
        """That one of the protocols has given it as the reason is known until there is a mapping, or another reason."""
        self.first.answers["probe"] = RefusedError("it has no room for more mappings")
        self.second.answers["probe"] = NoPublicAddressError("it has no external address")
        self.keeper.start()
        self.assertTrue(self.keeper.no_public_address)
        self.second.answers["probe"] = RefusedError("no more")
        self.keeper.look()
        self.assertFalse(self.keeper.no_public_address)
        self.second.answers["probe"] = NoPublicAddressError("it has no external address")
        self.keeper.look()
        self.assertTrue(self.keeper.no_public_address)
        self.first.answers["probe"] = None
        self.keeper.look()
        self.assertEqual((self.keeper.no_public_address, self.told), (False, [MAPPING]))


class UpkeepTests(KeeperTestCase):
    def test_checked_and_renewed(self) -> None:
        """A look each two minutes, a renewal after half of the lifetime; nothing is told if nothing has changed."""
        self.keeper.start()
        for _ in range(30):
            self.clock.advance(60)
        self.assertEqual(self.first.calls, ["probe", "add"] + ["check"] * 14 + ["add"])
        self.assertEqual(self.told, [MAPPING])

    def test_changed(self) -> None:
        """Another address or port is told."""
        self.keeper.start()
        self.first.answers["check"] = Granted(ADDRESS, 5555, 3600)
        self.clock.advance(CHECK)
        self.assertEqual(self.told, [MAPPING, replace(MAPPING, external_port=5555)])

    def test_permanent(self) -> None:
        """A mapping that never ends is looked after like any other."""
        self.first.answers["add"] = replace(GRANTED, lifetime_seconds=None)
        self.keeper.start()
        for _ in range(30):
            self.clock.advance(60)
        self.assertEqual(self.first.calls.count("add"), 2)
        self.assertEqual(self.told, [replace(MAPPING, lifetime_seconds=None)])

    def test_silence(self) -> None:
        """A silent router may be restarting: the mapping is lost when its lifetime is over, and comes back."""
        self.keeper.start()
        for protocol in (self.first, self.second):
            protocol.answers.update(probe=NoAnswerError("silent"), check=NoAnswerError("silent"))
        while self.clock.seconds() < 3500:
            self.clock.advance(10)
        self.assertEqual(self.told, [MAPPING])
        while self.clock.seconds() < 3600 + 900:
            self.clock.advance(10)
        self.assertEqual(self.told, [MAPPING, None])
        self.first.answers["probe"] = None
        self.clock.advance(900)
        self.assertEqual(self.told, [MAPPING, None, MAPPING])

    def test_refused_later(self) -> None:
        """A router that says no to what it had granted takes the mapping with it."""
        self.keeper.start()
        for protocol in (self.first, self.second):
            protocol.answers.update(add=RefusedError("no more"), check=RefusedError("no more"))
        self.clock.advance(CHECK)
        self.assertEqual(self.told, [MAPPING, None])

    def test_lost_and_found(self) -> None:
        """What can be mapped again at once was never lost."""
        self.keeper.start()
        self.first.answers["check"] = NoAnswerError("its HTTP server has moved")
        self.clock.advance(CHECK)
        self.assertEqual(self.told, [MAPPING])
        self.assertEqual(self.first.calls, ["probe", "add", "check", "probe", "add"])

    def test_back_again(self) -> None:
        """A router that comes up while it is asked is asked once more for what mapped the port before."""
        self.keeper.start()
        late: Deferred[None] = Deferred()
        self.first.answers.update(check=NoAnswerError("nothing listens for it"), probe=NoAnswerError("silent"))
        self.second.answers["probe"] = late
        self.clock.advance(CHECK)
        self.first.answers["probe"] = None
        late.callback(None)
        self.assertEqual(self.first.calls, ["probe", "add", "check", "probe", "probe", "add"])
        self.assertEqual((self.told, self.second.calls), ([MAPPING], ["probe", "probe"]))

    def test_not_back(self) -> None:
        """What mapped the port before gives way to what the router speaks now."""
        self.keeper.start()
        self.first.answers.update(check=NoAnswerError("silent"), probe=NoAnswerError("silent"))
        self.clock.advance(CHECK)
        self.assertEqual(self.told, [MAPPING, replace(MAPPING, protocol="UPnP")])

    def test_moved(self) -> None:
        """On another network, or with another address on this one, the old mapping is not ours any more."""
        self.keeper.start()
        moved = Place(PLACE.gateway, IPv4Address("192.168.1.99"))
        self.place = moved
        self.clock.advance(CHECK)
        self.assertEqual(self.told, [MAPPING, None, replace(MAPPING, internal_address=moved.own_address)])
        self.place = NoGatewayError("there is no default route over a router")
        self.clock.advance(CHECK)
        self.assertIsNone(self.told[-1])

    def test_look(self) -> None:
        """A look out of turn checks at once, and ends a wait after a failure."""
        self.keeper.start()
        self.keeper.look()
        self.assertEqual(self.first.calls, ["probe", "add", "check"])
        self.place = NoGatewayError("gone")
        self.keeper.look()
        self.place = PLACE
        self.keeper.look()
        self.assertEqual(self.told, [MAPPING, None, MAPPING])


class StopTests(KeeperTestCase):
    def test_removed(self) -> None:
        """The mapping is removed, nothing is told, and nothing waits any more."""
        self.keeper.start()
        self.stop()
        self.assertEqual(self.first.calls[-1], "remove")
        self.assertEqual((self.told, self.clock.getDelayedCalls()), ([MAPPING], []))

    def test_refused(self) -> None:
        """A router that does not remove it does not fail the stop."""
        self.keeper.start()
        self.first.answers["remove"] = NoAnswerError("silent")
        self.stop()

    def test_at_any_moment(self) -> None:
        """A stop ends whatever is under way; what may have been mapped meanwhile is removed."""
        for call, calls in (("probe", ["probe"]), ("add", ["probe", "add", "remove"])):
            self.setUp()
            waiting: Deferred[Any] = Deferred()
            self.first.answers[call] = waiting
            self.keeper.start()
            self.stop()
            self.assertEqual(self.first.calls, calls)
            self.assertEqual((self.told, self.clock.getDelayedCalls()), ([], []))

    def test_while_it_waits(self) -> None:
        """A stop between two tries ends the wait."""
        self.place = NoGatewayError("gone")
        self.keeper.start()
        self.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_from_the_callback(self) -> None:
        """Whoever stops it when told of a mapping is not called again, and the mapping is removed."""
        stopped: list[Deferred[None]] = []
        self.keeper = self.make_keeper(lambda mapping: stopped.append(Deferred.fromCoroutine(self.keeper.stop())))
        self.keeper.start()
        self.assertEqual(len(stopped), 1)
        self.assertEqual(self.first.calls, ["probe", "add", "remove"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
