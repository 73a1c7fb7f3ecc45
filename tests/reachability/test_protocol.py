"""The server's side of the check, with a reactor that dials nowhere."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError, NoRouteError, TimeoutError
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.errors import MessageTooLong, StreamEnded, StreamReset
from nodetrust.libp2p.multiaddr import MAX_MULTIADDR_BYTES, Multiaddr
from nodetrust.messages import (
    E_NOT_AUTHORIZED,
    E_OTHER,
    E_RATE_LIMIT,
    MAX_CHECK_REQUEST_BYTES,
    MAX_CHECK_RESPONSE_BYTES,
    OK,
    CheckFault,
)
from nodetrust.reachability.bounds import RETRY_SECONDS
from nodetrust.reachability.outcome import MAX_MESSAGE_CHARACTERS, Outcome
from tests.reachability.support import ASKER, HERE, OTHER, ZONE, AskingStream, CheckingServer, request, wss

NAME = f"ip48-8-8-8.{ZONE}"


class CheckProtocolTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = CheckingServer(self)
        self.reactor = self.server.reactor

    def faults(self, stream: AskingStream) -> list[str]:
        self.successResultOf(stream.asking)
        self.assertEqual(stream.response.error, OK)
        return ["" if one.reachable else CheckFault.Name(one.fault) for one in stream.response.results]

    def test_one_answer_for_each_address(self) -> None:
        """In the order of the request, refused ones beside dialled ones; what stands there twice is dialled once."""
        good, again, other = wss(f"dns4/{NAME}"), wss(f"dns4/{NAME}"), wss(f"dns4/{NAME}", 4444)
        addresses = [good, wss("ip4/1.1.1.1"), again, other]
        stream = self.server.ask(request(*addresses))
        self.assertNoResult(stream.asking)
        self.assertEqual(self.reactor.dialled, [("8.8.8.8", 4443), ("8.8.8.8", 4444)])
        self.server.fail_dials(Failure(ConnectionRefusedError()))
        refused = "CONNECTION_REFUSED"
        self.assertEqual(self.faults(stream), [refused, "NOT_ALLOWED", refused, refused])
        results = stream.response.results
        self.assertEqual([one.addr for one in results], [bytes(Multiaddr.parse(one)) for one in addresses])
        self.assertIn("refused", results[0].message)
        self.assertFalse(results[0].reachable)

    def test_connections_that_fail(self) -> None:
        """Each way has its fault."""
        for error, fault in (
            (ConnectionRefusedError(), "CONNECTION_REFUSED"),
            (TimeoutError(), "TIMED_OUT"),
            (NoRouteError(), "FAILED"),
        ):
            stream = self.server.ask(request(wss("ip4/8.8.8.8")))
            self.server.fail_dials(Failure(error))
            self.assertEqual(self.faults(stream), [fault])

    def test_dials_are_bounded_in_time(self) -> None:
        """Where nothing at all happens there is an answer within 15 seconds, and nothing is left to run."""
        stream = self.server.ask(request(wss("ip4/8.8.8.8")))
        self.reactor.pump([0.5] * 30)
        self.assertEqual(len(stream.written), 1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_the_asker_leaves(self) -> None:
        """When it is gone the dials are given up, nothing is written, and its place is free again."""
        for _ in range(3):
            stream = self.server.ask(request(*[wss("ip4/8.8.8.8", 4000 + n) for n in range(5)]))
            stream.next.errback(StreamReset("the connection was lost"))
            self.successResultOf(stream.asking)
            self.assertEqual(stream.written, [])
            self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertTrue(all(connector.stoppedConnecting for connector in self.reactor.connectors))
        self.assertEqual(self.server.protocol._running, set())
        self.assertEqual(self.server.protocol._bounds._dials, {})

    def test_the_asker_ends_its_half(self) -> None:
        """It has said all that it has to say, and waits."""
        stream = self.server.ask(request(wss("ip4/8.8.8.8")))
        stream.next.errback(StreamEnded("the remote side ended the stream"))
        self.server.fail_dials(Failure(ConnectionRefusedError()))
        self.assertEqual(self.faults(stream), ["CONNECTION_REFUSED"])

    def test_it_leaves_before_the_request(self) -> None:
        """Nothing is dialled, and the stream's end is the peer's fault."""
        stream = self.server.ask(StreamReset("gone"))
        self.failureResultOf(stream.asking, StreamReset)
        self.assertEqual(self.reactor.dialled, [])

    def test_stop(self) -> None:
        """Stopping gives up what is dialled, and answers nobody."""
        streams = [self.server.ask(request(wss("ip4/8.8.8.8"))), self.server.ask(request(wss("ip4/8.8.8.8", 4444)))]
        self.successResultOf(Deferred.fromCoroutine(self.server.protocol.stop()))
        self.assertEqual([one.written for one in streams], [[], []])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def refused(self, stream: AskingStream, code: int, text: str) -> None:
        self.successResultOf(stream.asking)
        self.assertEqual((stream.response.error, len(stream.response.results)), (code, 0))
        self.assertIn(text, stream.response.message)
        self.assertEqual(self.reactor.dialled, [])

    def test_denied(self) -> None:
        """Who is on a denylist gets nothing dialled, and is told."""
        asked: list[Any] = []
        self.server = CheckingServer(self, denied=lambda *who: asked.append(who) or True)
        self.reactor = self.server.reactor
        self.refused(self.server.ask(request(wss("ip4/8.8.8.8"))), E_NOT_AUTHORIZED, "denylist")
        self.assertEqual(asked, [(ASKER, ip_address("8.8.8.8"))])

    def test_relayed(self) -> None:
        """A relay's address is not the asker's."""
        relayed = f"/ip4/8.8.8.8/tcp/1/p2p/{OTHER}/p2p-circuit"
        self.refused(self.server.ask(request(wss("ip4/8.8.8.8")), relayed), E_NOT_AUTHORIZED, "straight")

    def test_unreadable(self) -> None:
        """What is too long, or no request, is answered all the same."""
        self.refused(self.server.ask(MessageTooLong(9000, MAX_CHECK_REQUEST_BYTES)), E_OTHER, "9000 bytes")
        self.refused(self.server.ask(b"\xff"), E_OTHER, "cannot be read")
        self.refused(self.server.ask(b""), E_OTHER, "expected 1 to 8 addresses, got 0")

    def test_too_many_at_once(self) -> None:
        """Who finds no room is told when to come again, and what runs goes on."""
        running = self.server.ask(request(*[wss("ip4/8.8.8.8", 4000 + number) for number in range(8)]))
        stream = self.server.ask(request(wss("ip4/8.8.8.8")), peer=OTHER)
        self.successResultOf(stream.asking)
        self.assertEqual((stream.response.error, stream.response.retryAfter), (E_RATE_LIMIT, RETRY_SECONDS))
        self.server.fail_dials(Failure(ConnectionRefusedError()))
        self.assertEqual(self.faults(running), ["CONNECTION_REFUSED"] * 8)

    def test_a_thousand_in_a_row(self) -> None:
        """One who asks again and again has few addresses dialled, and leaves nothing behind but two numbers."""
        codes = []
        with capturedLogs() as logs:
            for _ in range(1000):
                stream = self.server.ask(request(wss("ip4/8.8.8.8")))
                self.server.fail_dials(Failure(ConnectionRefusedError()))
                self.successResultOf(stream.asking)
                codes.append(stream.response.error)
        self.assertEqual((codes.count(OK), codes.count(E_RATE_LIMIT)), (16, 984))
        self.assertEqual(len(self.server.protocol._bounds._buckets), 2)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual([one for one in logs if one["log_level"] > LogLevel.debug], [])

    def test_largest_response(self) -> None:
        """The longest addresses, each with the longest message of the widest characters, fit into a response."""
        result = Outcome(CheckFault.NOT_ALLOWED, "\U00020000" * 1000).to_result(b"x" * MAX_MULTIADDR_BYTES)
        self.assertEqual(len(result.message), MAX_MESSAGE_CHARACTERS)
        stream = self.server.ask(request(*[b"x" * 1010] * 8))
        self.successResultOf(stream.asking)
        response = stream.response
        for one in response.results:
            one.message = result.message
        self.assertLess(len(response.SerializeToString()), MAX_CHECK_RESPONSE_BYTES)
        self.assertGreater(8 * len(result.SerializeToString()), MAX_CHECK_REQUEST_BYTES)


class LocalTests(SynchronousTestCase):
    def test_own_machine(self) -> None:
        """The end of the connection at the server counts as it is, mapped or not."""
        server = CheckingServer(self)
        stream = server.ask(request(wss("ip4/9.9.9.9")), "/ip4/9.9.9.9/tcp/1", here=HERE.replace("ip4/", "ip6/::ffff:"))
        self.successResultOf(stream.asking)
        self.assertIn("where this server is", stream.response.results[0].message)
        self.assertEqual(server.reactor.dialled, [])
