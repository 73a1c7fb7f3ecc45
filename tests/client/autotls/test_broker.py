"""The client of a broker before a server that authenticates as p2p-forge and ours do."""

import json
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from nodetrust.client.autotls.broker import CHALLENGE_SECONDS, HEALTH_SECONDS, Broker
from nodetrust.client.autotls.errors import BrokerRefused, BrokerUnreachable
from nodetrust.client.autotls.https import MAX_BODY_BYTES
from nodetrust.client.autotls.wire import Status
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.peer_auth import Authenticated, Refused, ServerRules, authenticate, challenge_of
from nodetrust.peer_auth.wire import Parameters, read_header

T = TypeVar("T")

HOST = "registration.example"
URL = f"https://{HOST}"
VALUE = "jP5hwrZwCbP_qeeET_qAa9pgG0YulNaR0ivruESzCrE"
PLACES = [Multiaddr.parse("/ip4/1.2.3.4/tcp/4001")]
HOUR = 3600.0


class Registration(Resource):
    """The API. `answer` is called with each request that is authenticated; what was asked is in `asked`."""

    isLeaf = True

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.rules = ServerRules(PrivateKey.generate(), (bytes(32),), {HOST}, HOUR)
        self.answer: Callable[[Any], bytes] = lambda request: b""
        self.health: Callable[[Any], bytes] = self.well
        self.asked: list[tuple[str, str]] = []
        self.paths: list[str] = []
        self.registered: list[tuple[Any, dict[str, Any]]] = []
        self.signs_first = True

    def well(self, request: Any) -> bytes:
        request.setResponseCode(204)
        return b""

    def render(self, request: Any) -> Any:
        if request.path == b"/v1/health":
            return self.health(request)
        self.paths.append(request.path.decode())
        self.asked.append((request.method.decode(), (request.getCookie(b"backend") or b"").decode()))
        request.addCookie("backend", "7")
        authorization = request.getHeader("Authorization")
        if (
            not self.signs_first
            and authorization
            and "challenge-server" in authorization
            and "sig=" not in authorization
        ):
            authorization = None  # as a server that knows no client-initiated handshake
        challenge = challenge_of(len(self.asked).to_bytes(32, "big"))
        verdict = authenticate(self.rules, authorization, HOST, self.clock.seconds(), challenge)
        if isinstance(verdict, Refused):
            request.setResponseCode(400)
            return b""
        if not isinstance(verdict, Authenticated):
            request.setResponseCode(401)
            request.setHeader("WWW-Authenticate", verdict.header)
            return b""
        if verdict.header is not None:
            request.setHeader("Authentication-Info", verdict.header)
        body = request.content.read()
        self.registered.append((verdict.peer, json.loads(body) if body else None))
        return self.answer(request)


class NoBroker(Resource):
    """A web server that knows nothing of it."""

    isLeaf = True

    def render(self, request: Any) -> bytes:
        request.setResponseCode(404)
        return b"404 page not found"


def answering(status: int, body: bytes = b"") -> Callable[[Any], bytes]:
    """What a `Registration` answers with."""

    def answer(request: Any) -> bytes:
        request.setResponseCode(status)
        return body

    return answer


class BrokerCase(SynchronousTestCase):
    """One broker, spoken to without a network."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.server = Registration(self.clock)
        self.agent = RequestTraversalAgent(self.server)
        self.key = PrivateKey.generate()
        self.broker = Broker(self.clock, self.agent, f"{URL}/", self.key)

    def register(self, broker: Broker | None = None) -> Deferred[None]:
        registering = Deferred.fromCoroutine((broker or self.broker).register(VALUE, PLACES))
        self.agent.flush()
        return registering

    def refusal(self, broker: Broker | None = None) -> BrokerRefused:
        error = self.failureResultOf(self.register(broker), BrokerRefused).value
        assert isinstance(error, BrokerRefused)
        return error

    def tokens(self) -> list[str | None]:
        """Those of the real requests from now on, which all get an empty answer."""
        tokens: list[str | None] = []

        def answer(request: Any) -> bytes:
            tokens.append(request.getHeader("Forge-Authorization"))
            return b""

        self.server.answer = answer
        return tokens


class RegistrationTests(BrokerCase):
    """`register`."""

    def test_the_server_signs_first(self) -> None:
        """One request without a body, then the real one, in this peer's name and with the server's cookie."""
        self.assertIsNone(self.successResultOf(self.register()))
        self.assertEqual(self.server.asked, [("GET", ""), ("POST", "7")])
        body = {"value": VALUE, "addresses": ["/ip4/1.2.3.4/tcp/4001"]}
        self.assertEqual(self.server.registered, [(self.key.peer_id, body)])

    def test_the_server_begins(self) -> None:
        """One that does not sign first is answered, and must sign last."""
        self.server.signs_first = False
        self.successResultOf(self.register())
        self.assertEqual(len(self.server.registered), 1)

    def test_the_bearer_is_used_again(self) -> None:
        """The next registration is a single request; a bearer that has expired costs one more handshake."""
        self.successResultOf(self.register())
        self.server.asked.clear()
        self.successResultOf(self.register())
        self.assertEqual([method for method, _ in self.server.asked], ["POST"])
        self.clock.advance(2 * HOUR)
        self.server.asked.clear()
        self.successResultOf(self.register())
        self.assertEqual([method for method, _ in self.server.asked], ["POST", "GET", "POST"])

    def test_an_access_token(self) -> None:
        """It goes with the real request, as it is."""
        tokens = self.tokens()
        self.successResultOf(self.register(Broker(self.clock, self.agent, URL, self.key, "secret")))
        self.successResultOf(self.register())
        self.assertEqual(tokens, ["secret", None])

    def test_refusals(self) -> None:
        """The status, the words, and when to come back, as a number or as a date."""
        for retry, seconds in (("120", 120), ("Tue, 14 Nov 2023 22:15:20 GMT", 120), ("soon", None)):

            def answer(request: Any, retry: str = retry) -> bytes:
                request.setResponseCode(429)
                request.setHeader("Retry-After", retry)
                request.setHeader("Date", "Tue, 14 Nov 2023 22:13:20 GMT")
                return b"slowly"

            self.server.answer = answer
            error = self.refusal()
            self.assertEqual((error.status, error.retry_after_seconds), (429, seconds))
            self.assertIn("slowly", str(error))

    def test_a_redirect(self) -> None:
        """It is not followed."""

        def answer(request: Any) -> bytes:
            request.redirect(b"https://elsewhere.example/")
            return b""

        self.server.answer = answer
        self.assertIn("redirects", str(self.refusal()))
        self.assertEqual(len(self.server.registered), 1)

    def test_an_endless_answer(self) -> None:
        """It is cut, and not kept."""

        def answer(request: Any) -> bytes:
            request.setResponseCode(400)
            return b"x" * (100 * MAX_BODY_BYTES)

        self.server.answer = answer
        self.assertLess(len(str(self.refusal())), 1000)

    def test_a_server_that_is_no_broker(self) -> None:
        """It is said, not that it authenticates wrongly."""
        self.agent = RequestTraversalAgent(NoBroker())
        error = self.refusal(Broker(self.clock, self.agent, URL, self.key))
        self.assertEqual(error.status, 404)
        self.assertIn("is none", str(error))

    def test_an_impostor(self) -> None:
        """A server that shows a key which it does not have is told nothing."""
        other = PrivateKey.generate().public_key

        class Impostor(Resource):
            isLeaf = True
            requests = 0

            def render(self, request: Any) -> bytes:
                Impostor.requests += 1
                theirs = read_header(request.getHeader("Authorization"))
                assert theirs.challenge_server is not None
                lie = Parameters(
                    challenge_client=challenge_of(bytes(32)), public_key=other, sig=bytes(64), opaque="opaque"
                )
                request.setResponseCode(401)
                request.setHeader("WWW-Authenticate", lie.to_header())
                return b""

        self.agent = RequestTraversalAgent(Impostor())
        error = self.refusal(Broker(self.clock, self.agent, URL, self.key))
        self.assertIn("no authentication with the broker", str(error))
        self.assertEqual(Impostor.requests, 1)

    def test_a_server_that_hangs(self) -> None:
        """It is given up in time."""

        class Silent(Resource):
            isLeaf = True

            def render(self, request: Any) -> int:
                return NOT_DONE_YET

        self.agent = RequestTraversalAgent(Silent())
        registering = self.register(Broker(self.clock, self.agent, URL, self.key))
        self.clock.advance(CHALLENGE_SECONDS)
        self.failureResultOf(registering, BrokerUnreachable)


class RemovalTests(BrokerCase):
    """`remove`."""

    def remove(self, broker: Broker | None = None) -> Deferred[bool]:
        removing = Deferred.fromCoroutine((broker or self.broker).remove())
        self.agent.flush()
        return removing

    def test_after_a_registration(self) -> None:
        """One request, in this peer's name, by the bearer that the registration has brought; without a body."""
        self.successResultOf(self.register())
        self.server.asked.clear()
        self.assertIs(self.successResultOf(self.remove()), True)
        self.assertEqual(self.server.asked, [("DELETE", "")])
        self.assertEqual(self.server.registered[1:], [(self.key.peer_id, None)])

    def test_without_a_bearer(self) -> None:
        """A handshake goes before it."""
        self.assertIs(self.successResultOf(self.remove()), True)
        self.assertEqual([method for method, _ in self.server.asked], ["GET", "DELETE"])

    def test_an_access_token(self) -> None:
        """It goes along."""
        tokens = self.tokens()
        self.successResultOf(self.remove(Broker(self.clock, self.agent, URL, self.key, "secret")))
        self.assertEqual(tokens, ["secret"])

    def test_brokers_that_remove_nothing(self) -> None:
        """p2p-forge says so in its way, others by the status that HTTP has for it."""
        for status, body in (
            (400, b"400 Bad Request: Only POST method is allowed.\n"),
            (404, b""),
            (405, b""),
            (501, b""),
        ):
            self.server.answer = answering(status, body)
            self.assertIs(self.successResultOf(self.remove()), False, status)

    def test_done(self) -> None:
        """By either status."""
        for status in (200, 204):
            self.server.answer = answering(status)
            self.assertIs(self.successResultOf(self.remove()), True)

    def test_refused(self) -> None:
        """Another time the broker may do it."""
        for status in (302, 403, 429, 500):
            self.server.answer = answering(status, b"not now")
            error = self.failureResultOf(self.remove(), BrokerRefused).value
            self.assertEqual(error.status, status)


class QuestionTests(BrokerCase):
    """`meet` and `status`, which change nothing."""

    def ask(self, question: Coroutine[Any, Any, T]) -> Deferred[T]:
        asking = Deferred.fromCoroutine(question)
        self.agent.flush()
        return asking

    def test_meet(self) -> None:
        """Both prove who they are; p2p-forge has only POST, and says so after that. The bearer is good for more."""
        for status in (200, 400):
            self.server.answer = answering(status)
            self.assertEqual(self.successResultOf(self.ask(self.broker.meet())), self.server.rules.key.peer_id)
        self.assertEqual([method for method, _ in self.server.asked], ["GET", "GET", "GET"])
        self.assertEqual({body for _, body in self.server.registered}, {None})

    def test_not_met(self) -> None:
        """A server that is no broker."""
        self.agent = RequestTraversalAgent(NoBroker())
        broker = Broker(self.clock, self.agent, URL, self.key)
        error = self.failureResultOf(self.ask(broker.meet()), BrokerRefused).value
        self.assertEqual(error.status, 404)

    def test_status(self) -> None:
        """It is asked for in this peer's name."""
        self.server.answer = answering(200, b'{"values":[],"dialback":null}')
        self.assertEqual(self.successResultOf(self.ask(self.broker.status())), Status((), None))
        self.assertEqual(self.server.registered, [(self.key.peer_id, None)])
        self.assertEqual(self.server.paths[-1], "/v1/status")

    def test_brokers_that_do_not_tell(self) -> None:
        """Before a handshake, as p2p-forge's HTTP server, or after it."""
        self.server.answer = answering(404)
        self.assertIsNone(self.successResultOf(self.ask(self.broker.status())))
        self.agent = RequestTraversalAgent(NoBroker())
        broker = Broker(self.clock, self.agent, URL, self.key)
        self.assertIsNone(self.successResultOf(self.ask(broker.status())))

    def test_nonsense(self) -> None:
        """It is said."""
        self.server.answer = answering(200, b"<html>")
        error = self.failureResultOf(self.ask(self.broker.status()), BrokerRefused).value
        self.assertIn("makes no sense", str(error))

    def test_refused(self) -> None:
        """The broker's words come through."""
        self.server.answer = answering(503, b"the broker starts")
        error = self.failureResultOf(self.ask(self.broker.status()), BrokerRefused).value
        self.assertIn("the broker starts", str(error))


class HealthTests(BrokerCase):
    """`check_health`."""

    def check(self) -> Deferred[None]:
        checking = Deferred.fromCoroutine(self.broker.check_health())
        self.agent.flush()
        return checking

    def test_well(self) -> None:
        """204 and nothing else."""
        self.assertIsNone(self.successResultOf(self.check()))
        self.server.health = lambda request: b"ok"
        self.failureResultOf(self.check(), BrokerUnreachable)

    def test_when_it_will_be(self) -> None:
        """A broker that is restarted says so."""

        def health(request: Any) -> bytes:
            request.setResponseCode(503)
            request.setHeader("Retry-After", "60")
            return b""

        self.server.health = health
        error = self.failureResultOf(self.check(), BrokerRefused).value
        self.assertEqual(error.retry_after_seconds, 60)

    def test_silence(self) -> None:
        """It is as good as no broker."""
        self.server.health = lambda request: NOT_DONE_YET  # type: ignore[assignment,return-value]
        checking = self.check()
        self.clock.advance(HEALTH_SECONDS)
        self.failureResultOf(checking, BrokerUnreachable)
