"""A proxy between the issue server and Pebble does what networks and overloaded CAs do: every endpoint, every fault.

Each case has a proxy and an issue server of its own, and a peer that asks once while something is wrong and once more
when it is not. Whatever happens, the peer has an answer soon; in the end it has a certificate, the CA one order for it
and no more requests than that takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.internet.task import deferLater

from nodetrust.acme import transport
from nodetrust.client.errors import ObtainError, Refused
from nodetrust.issue.authorities import pauses
from tests.interop import acme_proxy
from tests.interop.acme_proxy import AcmeProxy, Answer, Fault, say
from tests.interop.harness import InteropTestCase
from tests.interop.roles import Asker, Roles

reactor: Any = default_reactor

ENDPOINTS = (
    "directory",
    "newNonce",
    "newAccount",
    "newOrder",
    "authorization",
    "challenge",
    "finalize",
    "order",
    "certificate",
)

LASTING = ("directory", "newOrder", "finalize")
"""Where a fault may stay: before the CA knows of the order, when it may, and when it does."""

RETRY_AFTER = 2
"""Seconds, where a fault says when to come back."""

PASSING: dict[str, Fault] = {
    "delay": acme_proxy.delay,
    "drop before": acme_proxy.drop_before,
    "drop after": acme_proxy.drop_after,
    "cut": acme_proxy.cut,
    "hang": acme_proxy.hang,
    "hang after": acme_proxy.hang_after,
    "500 HTML": say(Answer.html(500)),
    "502 HTML": say(Answer.html(502)),
    "503": say(Answer.html(503)),
    "500 serverInternal": say(Answer.problem(500, "serverInternal")),
    "badNonce": say(Answer.problem(400, "badNonce")),
}
"""What a client gets over by itself: the first answer is the certificate."""

LATER: dict[str, Fault] = {
    "503 Retry-After": say(Answer.html(503, RETRY_AFTER)),
    "429 Retry-After": say(Answer.html(429, RETRY_AFTER)),
    "rateLimited": say(Answer.problem(429, "rateLimited", RETRY_AFTER)),
}
"""What says when to come back: the CA is left alone until then."""

BROKEN: dict[str, Fault] = {
    "200 HTML": say(Answer.html(200)),
    "truncated": acme_proxy.truncate,
    "empty": acme_proxy.empty,
    "10 MB": acme_proxy.huge,
    "redirect": acme_proxy.redirect,
    "impostor": acme_proxy.impostor,
}
"""What may be an error for the peer, but a clear one; an order that the CA has taken goes on afterwards."""

REFUSED: dict[str, Fault] = {
    "malformed": say(Answer.problem(400, "malformed")),
    "unauthorized": say(Answer.problem(403, "unauthorized")),
}
"""What the CA says where it will not do it: then an order may be made anew."""

FAULTS = {**PASSING, **LATER, **BROKEN, **REFUSED}

REQUEST_SECONDS = 2.0
"""How long a request may take in these tests, so that those that hang do not take half a minute each."""

PAUSE_SECONDS = 1.0
"""How long a CA that failed is left alone in these tests."""

ANSWER_SECONDS = 30.0
"""Any answer is there by then."""

MAX_REQUESTS = 60
"""To one CA in one case; an order without faults takes 13."""

MARGIN_SECONDS = 0.5

SIDE_BY_SIDE = 12


@dataclass(frozen=True, slots=True)
class Case:
    """One fault at one endpoint; so many times, or always until the CA is well again."""

    endpoint: str
    fault: str
    times: int | None = 1

    def __str__(self) -> str:
        return f"{self.fault} at {self.endpoint}{', always' if self.times is None else ''}"


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    first: str = ""
    """The error of the first request, empty for a certificate."""
    first_seconds: float = 0.0
    second: str = ""
    orders: int = 0
    requests: int = 0
    happened: bool = False
    early: int = 0
    """Requests that came before the time that the CA had named."""


class FaultTests(InteropTestCase):
    """The issue server in front of CAs that fail."""

    timeout = 400

    async def run_cases(self, cases: Sequence[Case]) -> list[Outcome]:
        """All cases, some side by side."""
        self.patch(transport, "_REQUEST_SECONDS", REQUEST_SECONDS)
        self.patch(pauses, "STEPS_SECONDS", (PAUSE_SECONDS,) * 4)
        self.roles = Roles(self.tools.pebble, Path(self.mktemp()))
        self.addCleanup(lambda: Deferred.fromCoroutine(self.roles.stop()))
        folders = [f"issue-{number}" for number in range(len(cases))]
        await self.roles.start_surroundings(bad_nonce_percent=0, issuers=folders)
        places = DeferredSemaphore(SIDE_BY_SIDE)
        return await gatherResults(
            [
                places.run(lambda one, place: Deferred.fromCoroutine(self.run_case(one, place)), case, folder)
                for case, folder in zip(cases, folders, strict=True)
            ]
        )

    async def run_case(self, case: Case, folder: str) -> Outcome:
        """Ask while something is wrong, and again when it is not."""
        roles = self.roles
        origin = roles.pebble.directory.removesuffix("/dir")
        proxy = AcmeProxy(reactor, origin, roles.pebble.https_root, roles.folder / folder)
        proxy.start()
        issue = await roles.start_issue(folder, acme_directory=proxy.directory, acme_ca_file=proxy.root)
        number = int(folder.removeprefix("issue-"))
        asker = roles.asker(f"127.2.{number // 250}.{number % 250 + 1}", issue=issue)
        outcome = Outcome()
        try:
            proxy.spoil(case.endpoint, FAULTS[case.fault], case.times)
            begun = reactor.seconds()
            outcome.first = await self.ask(asker)
            outcome.first_seconds = reactor.seconds() - begun
            outcome.happened = proxy.is_spoilt == (case.times is None)
            if outcome.first:
                await self.ask_again(case, asker, proxy, outcome)
            outcome.orders = proxy.orders[asker.names]
            outcome.requests = proxy.count()
        finally:
            await asker.host.stop()
            await issue.stop()
            await proxy.stop()
        return outcome

    async def ask_again(self, case: Case, asker: Asker, proxy: AcmeProxy, outcome: Outcome) -> None:
        if case.fault in LATER:
            before = proxy.count()
            until = proxy.seen[-1].at + RETRY_AFTER
            await self.ask(asker)
            outcome.early = sum(one.at < until for one in proxy.seen[before:])
        await deferLater(reactor, max(RETRY_AFTER if case.fault in LATER else 0, PAUSE_SECONDS) + MARGIN_SECONDS)
        proxy.heal()
        outcome.second = await self.ask(asker)

    async def ask(self, asker: Asker) -> str:
        """The error, if it is one."""
        try:
            obtained = await Deferred.fromCoroutine(asker.ask()).addTimeout(ANSWER_SECONDS, reactor)
        except Refused as refused:
            return str(refused)
        except ObtainError as error:
            return f"NO ANSWER {error}"
        return "" if obtained.chain.names == asker.names else f"NO ANSWER: {obtained.chain.names}"

    async def check(self, cases: Sequence[Case]) -> list[Outcome]:
        """Run them, and have what must hold for all; every case that breaks it is named."""
        outcomes = await self.run_cases(cases)
        wrong = []
        for case, outcome in zip(cases, outcomes, strict=True):
            faults = [
                "it did not happen" * (not outcome.happened),
                "no certificate in the end" * bool(outcome.second),
                "no clear error" * ("NO ANSWER" in outcome.first or "its log says how" in outcome.first),
                "slow" * (outcome.first_seconds > ANSWER_SECONDS),
                "ordered twice" * (outcome.orders > (2 if case.fault in REFUSED else 1)),
                "too many requests" * (outcome.requests > MAX_REQUESTS),
                "came back too early" * (outcome.early > 0),
                "no certificate at first" * (case.fault in PASSING and case.times == 1 and bool(outcome.first)),
            ]
            if any(faults):
                wrong.append(f"{case}: {', '.join(filter(None, faults))}: {outcome}")
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))
        return outcomes

    async def test_passing_faults(self) -> None:
        """The peer gets its certificate as if nothing had been."""
        cases = [Case(endpoint, fault) for endpoint in ENDPOINTS for fault in PASSING]
        cases.remove(Case("newNonce", "badNonce"))  # a HEAD request, which has none
        await self.check(cases)

    async def test_faults_that_say_when_to_come_back(self) -> None:
        """The peer is told when, and nobody asks the CA before."""
        await self.check([Case(endpoint, fault) for endpoint in ENDPOINTS for fault in LATER])

    async def test_broken_answers(self) -> None:
        """A clear error, or a certificate; and nothing is left that would spoil the next order."""
        await self.check([Case(endpoint, fault) for endpoint in ENDPOINTS for fault in BROKEN])

    async def test_refusals(self) -> None:
        """A clear error, and the next order is not spoilt."""
        await self.check([Case(endpoint, fault) for endpoint in ENDPOINTS for fault in REFUSED])

    async def test_faults_that_stay(self) -> None:
        """The peer gets a clear error in bounded time, the CA few requests, and all is well when the fault is gone."""
        faults = FAULTS.keys() - {"delay", "badNonce"}
        await self.check([Case(endpoint, fault, None) for endpoint in LASTING for fault in sorted(faults)])


class PoliteTests(InteropTestCase):
    """What the proxy sees of an issue server that has no faults to get over."""

    async def start(self, **pebble_environment: str) -> None:
        """A proxy, and an issue server behind it."""
        self.roles = roles = Roles(self.tools.pebble, Path(self.mktemp()))
        self.addCleanup(lambda: Deferred.fromCoroutine(roles.stop()))
        await roles.start_surroundings(bad_nonce_percent=0, pebble_environment=pebble_environment)
        origin = roles.pebble.directory.removesuffix("/dir")
        self.proxy = AcmeProxy(reactor, origin, roles.pebble.https_root, roles.folder)
        self.proxy.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.proxy.stop()))
        roles.issue = await roles.start_issue(acme_directory=self.proxy.directory, acme_ca_file=self.proxy.root)

    async def test_polls(self) -> None:
        """While the CA validates and signs it is asked no sooner than its answers say."""
        await self.start(PEBBLE_VA_NOSLEEP="0", PEBBLE_VA_SLEEPTIME="4", PEBBLE_AUTHZREUSE="0")
        askers = [self.roles.asker(f"127.3.0.{number}") for number in range(1, 6)]
        await gatherResults([Deferred.fromCoroutine(asker.ask()) for asker in askers])
        polls: dict[str, list[float]] = {}
        for one in self.proxy.seen:
            if one.endpoint in ("authorization", "order"):
                polls.setdefault(one.path, []).append(one.early_seconds)
        # An authorization is read once before the CA is told to validate, and looked at once just after that.
        repeated = [seconds for early in polls.values() for seconds in early[2:]]
        self.assertGreater(len(repeated), 5)
        self.assertEqual(max(repeated), 0.0)

    async def test_replaces_that_is_refused(self) -> None:
        """A renewal says what it replaces; a CA that will not have that gets the same order without."""
        await self.start()
        asker = self.roles.asker()
        await asker.ask()
        for refusal in (Answer.problem(400, "malformed"), Answer.problem(409, "alreadyReplaced")):
            asker.change_key()
            self.proxy.spoil("newOrder", say(refusal, only_with="replaces"))
            obtained = await asker.ask()
            self.assertFalse(obtained.from_cache)
            self.assertFalse(self.proxy.is_spoilt)
        self.assertEqual(self.proxy.orders[asker.names], 3)
        self.assertEqual(self.proxy.count("newOrder"), 5)
