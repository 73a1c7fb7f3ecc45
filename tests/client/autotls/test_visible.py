"""When a challenge's value is to be seen by everybody who answers for it."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

import nodetrust.client.autotls.visible as visible_module
from nodetrust.client.autotls.errors import NotVisible
from nodetrust.client.autotls.visible import VISIBLE_SECONDS, Awaited, wait_until_visible
from nodetrust.client.lookup.errors import NoReply
from nodetrust.client.lookup.wire import Record, Reply, Type
from nodetrust.settings import HostPort

ZONE = "libp2p.direct"
AWAITED = Awaited(f"_acme-challenge.k51.{ZONE}", "value", ZONE)
SYSTEM, FIRST, SECOND = (HostPort(host, 53) for host in ("127.0.0.53", "46.1.1.1", "2a01::1"))
NOT_YET = "not set yet"


class VisibleTests(SynchronousTestCase):
    """`texts` has what each server answers to TXT; a server without texts does not answer."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.texts: dict[HostPort, list[str]] = {SYSTEM: [NOT_YET], FIRST: [NOT_YET], SECOND: [NOT_YET]}
        self.delegated = True
        test = self

        class Scripted:
            def __init__(self, reactor: Any, servers: Any) -> None:
                self.server = servers[0]

            async def ask(self, name: str, type_: Type) -> Reply:
                return test.reply(self.server, name, type_)

        self.patch(visible_module, "Resolver", Scripted)

    def reply(self, server: HostPort, name: str, type_: Type) -> Reply:
        if server not in self.texts:
            raise NoReply("nobody there")
        values: dict[Any, list[Any]] = {
            (ZONE, Type.NS): ["ns1." + ZONE] if self.delegated else [],
            ("ns1." + ZONE, Type.A): [FIRST.host],
            ("ns1." + ZONE, Type.AAAA): [SECOND.host],
            (AWAITED.name, Type.TXT): self.texts[server],
        }
        answers = tuple(Record(name, type_, 10, value) for value in values.get((name, type_), []))
        return Reply(code=0, authoritative=True, truncated=False, answers=answers)

    def wait(self) -> Deferred[None]:
        return Deferred.fromCoroutine(wait_until_visible(self.clock, [SYSTEM], AWAITED))

    def advance(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)

    def test_everybody_has_it(self) -> None:
        """It may stand beside others."""
        self.texts = {server: ["another", "value"] for server in self.texts}
        self.assertIsNone(self.successResultOf(self.wait()))

    def test_each_is_waited_for(self) -> None:
        """The resolver alone, or one of the zone's servers alone, is not enough."""
        waiting = self.wait()
        for server in (SYSTEM, FIRST, SECOND):
            self.advance(15)
            self.assertNoResult(waiting)
            self.texts[server] = ["value"]
        self.advance(15)
        self.assertIsNone(self.successResultOf(waiting))

    def test_who_does_not_answer(self) -> None:
        """Is not waited for: a server that is down tells the CA nothing either."""
        del self.texts[SECOND]
        self.texts.update({SYSTEM: ["value"], FIRST: ["value"]})
        self.assertIsNone(self.successResultOf(self.wait()))

    def test_a_zone_without_servers(self) -> None:
        """Of a private network, say: then the resolver's word counts."""
        self.delegated = False
        waiting = self.wait()
        self.assertNoResult(waiting)
        self.texts[SYSTEM] = ["value"]
        self.advance(1)
        self.assertIsNone(self.successResultOf(waiting))

    def test_never(self) -> None:
        """After three minutes it is said who has it not."""
        self.texts[SYSTEM] = ["value"]
        waiting = self.wait()
        self.advance(int(VISIBLE_SECONDS) - 15)
        self.assertNoResult(waiting)
        self.advance(15)
        error = self.failureResultOf(waiting, NotVisible).value
        self.assertIn(str(FIRST), str(error))
        self.assertNotIn("the resolver", str(error))

    def test_nobody(self) -> None:
        """Silence from all is no sign that it is there."""
        self.texts = {}
        waiting = self.wait()
        self.advance(int(VISIBLE_SECONDS))
        error = self.failureResultOf(waiting, NotVisible).value
        self.assertIn("nobody answers", str(error))
