"""UPnP with a gateway on loopback."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.http import Request
from twisted.web.server import NOT_DONE_YET, Site

from nodetrust.portmap.errors import NoAnswerError, NoPublicAddressError, PortMapError, RefusedError
from nodetrust.portmap.mapping import Granted, Place, Wanted
from nodetrust.portmap.upnp import requester, transport
from nodetrust.portmap.upnp.faults import WORDS, describe
from nodetrust.portmap.upnp.requester import MAX_DESCRIPTIONS, MAX_RESPONSE_BYTES, GatewayRequester
from nodetrust.portmap.upnp.transport import PORTS_TO_TRY, Upnp
from tests.portmap.igd import Fault, Igd, actions, device, envelope, service

LOOPBACK = IPv4Address("127.0.0.1")
ADDRESS = IPv4Address("45.20.1.1")
PPP = "urn:schemas-upnp-org:service:WANPPPConnection:1"
LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><root>&c;</root>'
)
FILE = '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><root>&x;</root>'


class UpnpTestCase(TestCase):
    def setUp(self) -> None:
        self.igd = Igd()
        self.port: Any = reactor.listenTCP(0, Site(self.igd), interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(self.port.stopListening)
        self.location = f"http://127.0.0.1:{self.port.getHost().port}/root.xml"
        self.locations = [self.location]

        async def found(reactor: Any, place: Place) -> list[str]:
            return self.locations

        self.patch(transport, "search", found)
        self.upnp = Upnp(reactor, Place(LOOPBACK, LOOPBACK), Wanted(4443, 4443, "a <node> & more", 3600), lambda: 0.5)

    async def fails(self, kind: type[PortMapError], coroutine: Any) -> str:
        """What it raises, in words."""
        error = await self.assertFailure(Deferred.fromCoroutine(coroutine), kind)
        return str(error)


class MapTests(UpnpTestCase):
    async def test_mapped_and_removed(self) -> None:
        """The mapping is what was asked for, and a removal ends it."""
        await self.upnp.probe()
        self.assertEqual(self.igd.mapped, {})
        self.assertEqual(await self.upnp.add(), Granted(ADDRESS, 4443, 3600))
        self.assertEqual(
            self.igd.mapped[4443],
            {
                "NewRemoteHost": "",
                "NewExternalPort": "4443",
                "NewProtocol": "TCP",
                "NewInternalPort": "4443",
                "NewInternalClient": "127.0.0.1",
                "NewEnabled": "1",
                "NewPortMappingDescription": "a &lt;node&gt; &amp; more",
                "NewLeaseDuration": "3600",
            },
        )
        await self.upnp.remove()
        self.assertEqual(self.igd.mapped, {})

    async def test_nothing_to_remove(self) -> None:
        """Where nothing was mapped, nothing is sent."""
        await self.upnp.remove()
        await self.upnp.probe()
        await self.upnp.remove()
        self.assertNotIn("DeletePortMapping", self.igd.requests)

    async def test_not_probed(self) -> None:
        """A gateway that was not found maps nothing."""
        await self.fails(NoAnswerError, self.upnp.add())

    async def test_checked(self) -> None:
        """A look changes nothing while the mapping is there; what is gone, or another machine's, is mapped again."""
        await self.upnp.probe()
        await self.upnp.add()
        self.assertIsNone(await self.upnp.check())
        self.assertEqual(self.igd.requests.count("AddPortMapping"), 1)
        self.igd.mapped.clear()
        self.assertEqual(await self.upnp.check(), Granted(ADDRESS, 4443, 3600))
        self.igd.mapped[4443]["NewInternalClient"] = "192.168.1.66"
        self.assertEqual(await self.upnp.check(), Granted(ADDRESS, 4443, 3600))
        self.igd.address = "45.20.1.7"
        granted = await self.upnp.check()
        self.assertEqual(granted, Granted(IPv4Address("45.20.1.7"), 4443, 3600))

    async def test_conflict(self) -> None:
        """A port of another machine is left to it, and the next renewal asks for the one that was given."""

        def rule(asked: dict[str, str]) -> None:
            if asked["NewExternalPort"] == "4443":
                raise Fault(718)

        self.igd.rule = rule
        await self.upnp.probe()
        granted = await self.upnp.add()
        self.assertEqual(granted.external_port, 57344)
        self.assertEqual((await self.upnp.add()).external_port, 57344)
        self.assertEqual(self.igd.requests.count("AddPortMapping"), 3)

    async def test_all_taken(self) -> None:
        """Four ports are tried, not all of them."""
        self._refuse(718)
        await self.upnp.probe()
        self.assertIn("others'", await self.fails(RefusedError, self.upnp.add()))
        self.assertEqual(self.igd.requests.count("AddPortMapping"), PORTS_TO_TRY)

    async def test_permanent_only(self) -> None:
        """Error 725: a gateway without lifetimes gets none, and we say that the mapping has none."""

        def rule(asked: dict[str, str]) -> None:
            if asked["NewLeaseDuration"] != "0":
                raise Fault(725)

        self.igd.rule = rule
        await self.upnp.probe()
        self.assertEqual(await self.upnp.add(), Granted(ADDRESS, 4443, None))

    async def test_same_ports_only(self) -> None:
        """Error 724: a gateway that maps a port to the same port gets that."""

        def rule(asked: dict[str, str]) -> None:
            if asked["NewExternalPort"] != asked["NewInternalPort"]:
                raise Fault(724)

        self.igd.rule = rule
        self.upnp = Upnp(reactor, Place(LOOPBACK, LOOPBACK), Wanted(4443, 443, "x"), lambda: 0.5)
        await self.upnp.probe()
        self.assertEqual((await self.upnp.add()).external_port, 4443)

    async def test_every_fault(self) -> None:
        """Each other code of the specification is told in its words."""
        await self.upnp.probe()
        for code in WORDS.keys() - {718, 724, 725, 729}:
            self._refuse(code)
            self.assertEqual(await self.fails(RefusedError, self.upnp.add()), WORDS[code])
        for code in (724, 725):  # what cannot be given way to twice
            self._refuse(code)
            self.assertEqual(await self.fails(RefusedError, self.upnp.add()), WORDS[code])

    async def test_no_address(self) -> None:
        """A gateway that is not connected itself is none."""
        for address in ("", "0.0.0.0", "none", "::1"):
            self.igd.address = address
            self.assertIn("no external address", await self.fails(NoPublicAddressError, self.upnp.probe()))

    async def test_other_line(self) -> None:
        """Of several services the one that has an external address is taken."""
        self.igd.pages["/root.xml"] = device(
            service("urn:x:service:Other:1", scpd="/none.xml") + service() + service(PPP)
        )
        await self.upnp.probe()
        await self.upnp.add()
        self.assertIn(4443, self.igd.mapped)

    async def test_second_location(self) -> None:
        """A description that is of no use gives way to the gateway's next."""
        self.igd.pages["/bad.xml"] = "<root/>"
        self.locations = [self.location.replace("root", "bad"), self.location.replace("root", "none"), self.location]
        await self.upnp.probe()

    def _refuse(self, code: int) -> None:
        def rule(asked: dict[str, str]) -> None:
            raise Fault(code)

        self.igd.rule = rule


class HostileTests(UpnpTestCase):
    async def test_elsewhere(self) -> None:
        """A description that leads to another machine is not followed there, wherever in it that stands."""
        other = "http://127.0.0.2:1/x"
        for page in (device(service(control=other)), device(service(scpd=other))):
            self.igd.pages["/root.xml"] = page
            await self.fails(RefusedError, self.upnp.probe())
        self.assertNotIn("/x", self.igd.requests)

    async def test_requester(self) -> None:
        """Whatever the library asks for, no request leaves for another machine."""
        asking = GatewayRequester(reactor, LOOPBACK)
        for url in ("http://127.0.0.2:1/", "http://localhost/", "https://127.0.0.1/"):
            await self.fails(RefusedError, asking.async_http_request(requester.HttpRequest("GET", url, {}, None)))

    async def test_redirect(self) -> None:
        """No redirect is followed."""

        def redirect(request: Request) -> bytes:
            request.redirect(b"/other.xml")
            return b""

        self.igd.pages["/root.xml"] = redirect
        self.assertIn("302", await self.fails(RefusedError, self.upnp.probe()))
        self.assertEqual(self.igd.requests, ["/root.xml"])

    async def test_bombs(self) -> None:
        """XML with entities is refused, in descriptions and in answers."""
        for bomb in (LAUGHS, FILE):
            self.igd.pages["/root.xml"] = bomb
            self.assertIn("malformed", await self.fails(RefusedError, self.upnp.probe()))
            self.igd.pages["/root.xml"] = device(service())
            self.igd.pages["/control"] = _answer(bomb)
            self.assertIn("malformed", await self.fails(RefusedError, self.upnp.probe()))
            del self.igd.pages["/control"]

    async def test_too_long(self) -> None:
        """A document or headers without end are given up."""

        def headers(request: Request) -> bytes:
            for number in range(3000):
                request.setHeader(f"X-{number}", "x" * 100)
            return b""

        for page in ("x" * (MAX_RESPONSE_BYTES + 1), headers):
            self.igd.pages["/root.xml"] = page
            await self.fails(NoAnswerError, self.upnp.probe())

    async def test_too_many(self) -> None:
        """A description of hundreds of services is given up."""
        self.igd.pages["/root.xml"] = device(service() * 300)
        await self.fails(RefusedError, self.upnp.probe())
        self.assertEqual(len(self.igd.requests), MAX_DESCRIPTIONS)

    async def test_deep(self) -> None:
        """Nor do devices in devices exhaust the stack."""
        deep = "<deviceList><device>" * 3000 + "</device></deviceList>" * 3000
        self.igd.pages["/root.xml"] = device("").replace("</device></root>", f"{deep}</device></root>")
        self.assertIn("malformed", await self.fails(RefusedError, self.upnp.probe()))

    async def test_no_http(self) -> None:
        """What is no HTTP is quoted as such."""

        def page(request: Request) -> int:
            wire: Any = request.transport
            wire.write(b"SSH-2.0-dropbear\r\n\r\n")
            return NOT_DONE_YET

        self.igd.pages["/root.xml"] = page
        said = await self.fails(NoAnswerError, self.upnp.probe())
        self.assertNotIn("Failure", said)

    async def test_silent(self) -> None:
        """A server that accepts and says nothing is given up."""
        self.patch(requester, "REQUEST_SECONDS", 0.1)
        self.igd.pages["/root.xml"] = lambda request: NOT_DONE_YET
        await self.fails(NoAnswerError, self.upnp.probe())

    async def test_gone(self) -> None:
        """So is one that is not there."""
        await self.port.stopListening()
        await self.fails(NoAnswerError, self.upnp.probe())

    async def test_http_1_0(self) -> None:
        """An answer that ends with its connection is an answer."""

        def page(request: Request) -> int:
            request.channel.loseConnection = lambda: None  # type: ignore[union-attr]
            wire: Any = request.transport
            wire.write(b"HTTP/1.0 200 OK\r\n\r\n" + device(service()).encode())
            request.channel.transport.loseConnection()  # type: ignore[union-attr]
            return NOT_DONE_YET

        self.igd.pages["/root.xml"] = page
        await self.upnp.probe()

    async def test_answers(self) -> None:
        """Every kind of nonsense in place of an answer is an error in words, and nothing is printed."""
        printed = io.StringIO()
        self.patch(sys, "stderr", printed)
        for body in (
            "",
            "x",
            "<a/>",
            envelope(""),
            envelope("<s:Fault/>"),
            envelope("<s:Fault><errorCode>x</errorCode></s:Fault>"),
            envelope('<u:GetExternalIPAddressResponse xmlns:u="x"><a/></u:GetExternalIPAddressResponse>'),
        ):
            for status in (200, 500):
                self.igd.pages["/control"] = _answer(body, status)
                await self.fails(RefusedError, self.upnp.probe())
        self.assertEqual(printed.getvalue(), "")


def _answer(body: str, status: int = 200) -> Callable[[Request], bytes]:
    def page(request: Request) -> bytes:
        request.setResponseCode(status)
        return body.encode()

    return page


class BrokenXmlTests(SynchronousTestCase):
    """Descriptions and answers with pieces cut out, doubled or put elsewhere, read in memory."""

    @settings(max_examples=300)
    @given(st.integers(0, 3000), st.integers(0, 300), st.integers(0, 3000), st.sampled_from(["", "<x/>", "-1", "&#0;"]))
    def test_mutated(self, at: int, length: int, to: int, piece: str) -> None:
        """It works, or it is an error of ours."""

        def mutate(text: str) -> str:
            cut = text[:at] + piece + text[at + length :]
            return cut[:to] + text[at : at + length] + cut[to:]

        pages = {"/root.xml": device(service()), "/scpd.xml": actions()}
        answer = envelope(
            '<u:GetExternalIPAddressResponse xmlns:u="urn:schemas-upnp-org:service:WANIPConnection:1">'
            "<NewExternalIPAddress>45.20.1.1</NewExternalIPAddress></u:GetExternalIPAddressResponse>"
        )
        for victim in (*pages, "/control"):

            async def request(self: Any, asked: Any, victim: str = victim) -> Any:
                path = "/" + asked.url.rsplit("/", 1)[-1]
                body = pages.get(path, answer)
                return requester.HttpResponse(200, {}, mutate(body) if path == victim else body)

            self.patch(GatewayRequester, "async_http_request", request)
            upnp = Upnp(reactor, Place(LOOPBACK, LOOPBACK), Wanted(4443, 4443, "x"), lambda: 0.5)
            described = Deferred.fromCoroutine(upnp._describe("http://127.0.0.1:5000/root.xml"))
            failures: list[Any] = []
            described.addErrback(failures.append)
            self.assertTrue(all(failure.check(PortMapError) for failure in failures), failures)


class WordsTests(SynchronousTestCase):
    def test_unknown(self) -> None:
        """A code of the router's own comes with its number and what can be printed of its text."""
        self.assertEqual(
            describe(899, "no\x1b[2J\n" + "x" * 200), "it refuses with the code 899 (no[2J" + "x" * 75 + ")"
        )
        self.assertEqual(describe(None, None), "it refuses with the code None")
