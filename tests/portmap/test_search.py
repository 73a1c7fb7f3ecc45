"""The search for the gateway's description."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.portmap.errors import NoAnswerError
from nodetrust.portmap.upnp.search import GROUP, MAX_ANSWER_BYTES, MAX_LOCATIONS, is_on, read_location, search
from tests.portmap.fakes import PLACE, DatagramReactor

GATEWAY = PLACE.gateway
LOCATION = "http://192.168.1.1:5000/rootDesc.xml"


def answer(location: str = LOCATION) -> bytes:
    return f"HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nEXT:\r\nLocation: {location}\r\n\r\n".encode()


class LocationTests(SynchronousTestCase):
    def test_gateway(self) -> None:
        """http with the gateway's own address, with a port or without."""
        for url in (LOCATION, "http://192.168.1.1/x"):
            self.assertEqual(read_location(answer(url), GATEWAY), url)

    def test_elsewhere(self) -> None:
        """No device of the network sends us anywhere else."""
        for url in (
            "http://192.168.1.2:5000/",
            "http://127.0.0.1:5000/",
            "http://router.lan/",
            "https://192.168.1.1/",
            "file:///etc/passwd",
            "http://192.168.1.1@127.0.0.1/",
            "http://a@192.168.1.1/",
            "http://192.168.1.1:0/",
            "http://192.168.1.1:99999/",
            "http://192.168.1.1:x/",
            "http://[192.168.1.1/",
            "http://192.168.1.1.example/",
            "http://192.168.001.1/",
            "http://192.168.1.1/ü",
            "http://192.168.1.1/a\x7fb",
            "//192.168.1.1/",
            LOCATION + "x" * 512,
            "",
        ):
            self.assertFalse(is_on(GATEWAY, url), url)
            self.assertIsNone(read_location(answer(url), GATEWAY), url)

    def test_no_answer(self) -> None:
        """A search of somebody else, an error, too much: no location."""
        for data in (
            b"",
            b"M-SEARCH * HTTP/1.1\r\nMAN: x\r\n\r\n",
            answer().replace(b"200 OK", b"404 No"),
            answer().replace(b"Location", b"Elsewhere"),
            answer() + bytes(MAX_ANSWER_BYTES),
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            b"HTTP/1.1 200 OK\xff\xfe\r\nLocation: " + LOCATION.encode() + b"\r\n\r\n",
        ):
            self.assertIsNone(read_location(data, GATEWAY), data)

    @given(st.binary(max_size=300))
    def test_garbage(self, data: bytes) -> None:
        """Anything has the gateway's URL or none."""
        for octets in (data, b"HTTP/1.1 200 OK\r\n" + data, answer()[:20] + data):
            location = read_location(octets, GATEWAY)
            self.assertTrue(location is None or is_on(GATEWAY, location))


class SearchTests(SynchronousTestCase):
    def search(self, *answers: Any) -> Deferred[list[str]]:
        self.reactor = DatagramReactor(lambda data, to: list(answers))
        return Deferred.fromCoroutine(search(self.reactor, PLACE))

    def test_found(self) -> None:
        """Both the group and the gateway are asked, for both versions; each description is told once."""
        found = self.search((answer(), (str(GATEWAY), 1900)), (answer(LOCATION + "2"), (str(GATEWAY), 40000)))
        self.reactor.settle()
        self.reactor.settle(1)
        self.assertEqual(self.successResultOf(found), [LOCATION, LOCATION + "2"])
        self.assertEqual([to for _, to in self.reactor.sent], [GROUP, (str(GATEWAY), 1900)] * 2)
        self.assertIn(b"ST:urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n", self.reactor.sent[0][0])
        self.assertIn(b"ST:urn:schemas-upnp-org:device:InternetGatewayDevice:2\r\n", self.reactor.sent[2][0])
        self.assertEqual((self.reactor.open, self.reactor.getDelayedCalls()), (0, []))

    def test_strangers(self) -> None:
        """What another device answers is not heard, whatever it says."""
        found = self.search((answer(), ("192.168.1.66", 1900)))
        self.reactor.pump([0.1] * 30)
        self.failureResultOf(found, NoAnswerError)
        self.assertEqual(len(self.reactor.sent), 12)

    def test_many(self) -> None:
        """A gateway with a thousand descriptions has four."""
        found = self.search(*[(answer(f"{LOCATION}{one}"), (str(GATEWAY), 1900)) for one in range(1000)])
        self.reactor.settle()
        self.reactor.settle(1)
        self.assertEqual(len(self.successResultOf(found)), MAX_LOCATIONS)

    def test_no_way(self) -> None:
        """A network that is down, and a process without sockets, are errors in words."""
        for trouble in ("unreachable", "full"):
            reactor = DatagramReactor(lambda data, to: [])
            setattr(reactor, trouble, True)
            self.failureResultOf(Deferred.fromCoroutine(search(reactor, PLACE)), NoAnswerError)
            self.assertEqual((reactor.open, reactor.getDelayedCalls()), (0, []))

    def test_cancelled(self) -> None:
        """Whoever does not want to know any more leaves nothing behind."""
        found = self.search()
        found.cancel()
        self.failureResultOf(found, CancelledError)
        self.assertEqual((self.reactor.open, self.reactor.getDelayedCalls()), (0, []))


class PortTests(SynchronousTestCase):
    def test_any_address(self) -> None:
        """The rule goes by the gateway's address, not by a kind of address."""
        self.assertTrue(is_on(IPv4Address("45.20.1.1"), "http://45.20.1.1:80/"))
