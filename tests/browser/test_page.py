"""The page beside real servers and clients, whose CA the browser really trusts."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from nodetrust.client.client import Client
from nodetrust.command.deployment import PAGE_NAME, ZONE, Deployment, full_addresses
from nodetrust.command.hello import HELLO_PROTOCOL
from nodetrust.discovery import TOPIC, encode_announcement, relay, start_pubsub
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.page.resource import HEADERS
from tests.browser.chromium import FOLDER, require_chromium, trusting_home
from tests.browser.devtools import Chromium
from tests.libp2p.throwaway_ca import ThrowawayCa

reactor: Any = default_reactor

CLIENTS = 3
DESKTOP, PHONE, SMALL = (1280, 900), (390, 844), (320, 568)

CONNECTED = "document.querySelectorAll('#peers [data-phase=connected]').length"
PINGED = "[...document.querySelectorAll('#peers .ping')].filter(ping => / ms$/.test(ping.textContent)).length"
MESSAGES = "[...document.querySelectorAll('#peers .message:not([hidden])')].map(said => said.textContent)"
POINTS = "[...document.querySelectorAll('#plot-round-trips .round-trip')].map(p => p.getAttribute('d').length)"
STEPS = "[...document.querySelectorAll('#steps li')].map(step => step.dataset.state)"
NEWS = "document.getElementById('news').innerText"
FOCUS = "document.activeElement.outerHTML.slice(0, 80)"
OUTLINE = "getComputedStyle(document.activeElement).outlineStyle"


class PageTestCase(TestCase):
    """Starts a deployment and a browser for each test."""

    timeout = 120

    async def start(self, clients: int) -> None:
        program = require_chromium()
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        self.deployment = Deployment(reactor, folder, clients=clients, page=True)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.deployment.stop()))
        await self.deployment.start(lambda step: None)
        await deferToThread(trusting_home, folder / "home", self.deployment.ca.root_pem_path)
        self.browser = Chromium(reactor, program)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.browser.stop()))
        await self.browser.open(ZONE, folder / "home")
        await self.browser.size(*DESKTOP)

    async def open_page(self) -> None:
        """Open it, and wait until it has reached the issue server."""
        url = self.deployment.page_url
        assert url is not None
        await self.browser.go(url)
        await self.browser.until("document.querySelector('#step-issuer')?.dataset.state === 'done'")

    async def look(self, name: str) -> None:
        """Keep a picture of the whole page, and see that nothing sticks out at its side."""
        width, height = await self.browser.evaluate("[innerWidth, innerHeight]")
        whole, wide = await self.browser.evaluate(
            "[document.documentElement.scrollHeight, document.documentElement.scrollWidth]"
        )
        self.assertLessEqual(wide, width, f"{name}: wider than the window")
        phone = width < DESKTOP[0]
        await self.browser.size(width, max(whole, height), phone=phone)
        await self.browser.screenshot(FOLDER / f"{name}.png")
        await self.browser.size(width, height, phone=phone)

    def console(self) -> list[str]:
        """What the page has printed or thrown, and what the browser has to say about it."""
        return [
            *self.browser.happened("Log.entryAdded", lambda told: told["entry"]["text"]),
            *self.browser.happened("Runtime.exceptionThrown", json.dumps),
            *self.browser.happened("Runtime.consoleAPICalled", json.dumps),
        ]

    def asked(self) -> set[str]:
        """The hosts that were asked for anything."""
        urls = self.browser.happened("Network.requestWillBeSent", lambda told: told["request"]["url"])
        sockets = self.browser.happened("Network.webSocketCreated", lambda told: told["url"])
        return {str(urlsplit(url).hostname) for url in [*urls, *sockets] if not url.startswith("data:")}

    def row(self, client: Host, part: str = "") -> str:
        """A script for the row of a peer, or an element in it."""
        row = f"[...document.querySelectorAll('#peers > li')].find(row => row.innerHTML.includes('{client.peer_id}'))"
        return f"{row}?.querySelector('{part}')" if part else row

    async def phase(self, client: Host, phase: str) -> None:
        """Wait until the row of a peer says so."""
        await self.browser.until(f"{self.row(client)}?.dataset.phase === '{phase}'")

    async def failure(self, client: Host, kind: str) -> str:
        """Wait for a failure of this kind; its words."""
        await self.browser.until(f"{self.row(client, '.failure:not([hidden])')}?.dataset.kind === '{kind}'")
        return str(await self.browser.evaluate(f"{self.row(client, '.failure')}.innerText"))

    def hosts(self) -> list[Host]:
        """Those of the clients."""
        return [host for client in self.deployment.clients if (host := client.host) is not None]


class WellTests(PageTestCase):
    """Everybody is there, and speaks."""

    async def test_finds_dials_and_talks(self) -> None:
        """Three clients are found, dialled and pinged, each message appears, and nobody else is asked for anything."""
        await self.start(CLIENTS)
        await self.open_page()
        await self.browser.until(f"{CONNECTED} === {CLIENTS} && {PINGED} === {CLIENTS}")
        said = await self.browser.until(f"{MESSAGES}.length === {CLIENTS} && {MESSAGES}")
        for host in self.hosts():
            self.assertTrue(any(f"this is {str(host.peer_id)[-6:]}" in text for text in said), said)
        await self.browser.until(f"{POINTS}.length === {CLIENTS} && {POINTS}.every(length => length > 20)")
        await self.browser.until(f"document.getElementById('number-connected').textContent === '{CLIENTS}'")
        self.assertEqual(await self.browser.evaluate(STEPS), ["done"] * 4)
        self.assertIn("Found", await self.browser.evaluate(NEWS))
        await self.look("desktop")
        await self.browser.prefer(color_scheme="dark")
        await self.look("desktop-dark")
        self.assertEqual(self.console(), [])
        names = {str(address.get("dns4")) for client in self.deployment.clients for address in client.addresses}
        self.assertEqual(self.asked(), {PAGE_NAME, *names})
        headers = self.browser.happened("Network.responseReceived", lambda told: told["response"]["headers"])
        policies = [
            value for sent in headers for name, value in sent.items() if name.lower() == "content-security-policy"
        ]
        self.assertEqual(set(policies), {HEADERS["Content-Security-Policy"]})

    async def test_the_server_is_told(self) -> None:
        """Zone, peer ID and addresses of the server are on the page, and its other pages open."""
        await self.start(1)
        await self.open_page()
        text = await self.browser.evaluate("document.querySelector('.server').innerText")
        for part in (ZONE, *map(str, full_addresses(self.deployment.issue.host))):
            self.assertIn(part, text)
        for link in await self.browser.evaluate("[...document.querySelectorAll('.server a')].map(a => a.href)"):
            status = await self.browser.evaluate(f"fetch({json.dumps(link)}).then(answer => answer.status)")
            self.assertEqual(status, 200, link)


class AnybodyTests(PageTestCase):
    """For everybody, on everything."""

    async def test_keyboard(self) -> None:
        """Without a mouse: the first key leads past the top, what has the focus is seen, and details open."""
        await self.start(1)
        await self.open_page()
        await self.browser.until(f"{CONNECTED} === 1 && {MESSAGES}.length === 1")
        await self.browser.press("Tab")
        self.assertIn("Skip to the peers", await self.browser.evaluate(FOCUS))
        self.assertGreaterEqual(await self.browser.evaluate("document.activeElement.getBoundingClientRect().top"), 0)
        await self.browser.press("Enter")
        await self.browser.until("document.activeElement.id === 'peers-title'")
        seen = []
        for _ in range(5):
            await self.browser.press("Tab")
            if await self.browser.evaluate("document.activeElement.tagName === 'SUMMARY'"):
                await self.browser.press("Enter")
                await self.browser.until("document.querySelector('#peers details').open")
            self.assertEqual(await self.browser.evaluate(OUTLINE), "solid")
            seen.append(await self.browser.evaluate("document.activeElement.textContent || document.activeElement.id"))
        self.assertEqual(
            [text.partition(" of ")[0].partition(" to ")[0] for text in seen[:2]], ["Details", "Say hello again"]
        )
        before = await self.browser.evaluate(f"{NEWS}.split('says').length")
        await self.browser.evaluate("document.querySelector('#peers button').focus()")
        await self.browser.press("Enter")
        await self.browser.until(f"{NEWS}.split('says').length === {before + 1}")
        self.assertEqual(await self.browser.evaluate("document.activeElement.tagName"), "BUTTON")
        await self.look("keyboard")

    async def test_phone(self) -> None:
        """On any phone nothing sticks out, in the light and in the dark, and nothing moves for who wants no motion."""
        await self.start(CLIENTS)
        await self.browser.size(*PHONE, phone=True)
        await self.browser.prefer(color_scheme="light", reduced_motion="reduce")
        await self.open_page()
        await self.browser.until(f"{CONNECTED} === {CLIENTS} && {MESSAGES}.length === {CLIENTS}")
        self.assertEqual(await self.browser.evaluate("document.getAnimations().length"), 0)
        await self.look("phone")
        light = await self.browser.evaluate("getComputedStyle(document.body).backgroundColor")
        await self.browser.prefer(color_scheme="dark", reduced_motion="reduce")
        self.assertNotEqual(await self.browser.evaluate("getComputedStyle(document.body).backgroundColor"), light)
        await self.browser.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        await self.look("phone-dark")
        await self.browser.size(*SMALL, phone=True)
        await self.browser.evaluate("document.getElementById('number-ping').textContent = '888 ms'")
        self.assertEqual(await self.browser.evaluate("innerWidth"), SMALL[0], "zoomed out, since something sticks out")

    async def test_read_out(self) -> None:
        """What a screen reader is told: the log is live, plots have words, each step says how far it is."""
        await self.start(1)
        await self.open_page()
        await self.browser.until(f"{CONNECTED} === 1 && {PINGED} === 1")
        nodes = (await self.browser.send("Accessibility.getFullAXTree"))["nodes"]
        named = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if "role" in node}
        self.assertIn(("log", "What happened"), named)
        self.assertIn(("heading", "Reach the issue server (done)"), named)
        images = [name for role, name in named if role == "image"]
        self.assertTrue(any("1 peer heard of, 1 connected." in name for name in images), images)
        self.assertTrue(any(name.startswith("The median round trip is") for name in images), images)


class FailureTests(PageTestCase):
    """What fails is said in words."""

    async def test_a_client_that_stops(self) -> None:
        """Its connection has ended, then it is gone; the others stay."""
        await self.start(2)
        await self.open_page()
        await self.browser.until(f"{CONNECTED} === 2")
        leaving, staying = self.hosts()
        await self.deployment.clients[0].stop()
        self.assertIn("The connection ended.", await self.failure(leaving, "closed"))
        await self.phase(leaving, "gone")
        self.assertIn("Last heard of", await self.browser.evaluate(f"{self.row(leaving)}.innerText"))
        self.assertIn("is gone: it does not announce itself any more", await self.browser.evaluate(NEWS))
        self.assertEqual(await self.browser.evaluate(f"{self.row(staying)}.dataset.phase"), "connected")
        await self.look("gone")
        self.assertEqual(self.console(), [])

    async def test_each_failure(self) -> None:
        """A bad certificate, another peer, silence, no address, no message protocol: each has its own words."""
        await self.start(CLIENTS)
        bad, other, speechless = self.deployment.clients
        _spoil(bad)
        assert speechless.host is not None and other.host is not None and bad.host is not None
        speechless.host.stop_handling(HELLO_PROTOCOL)
        wrong = await self.announce(other.addresses[0])
        silent = reactor.listenTCP(0, Factory.forProtocol(Protocol), interface="127.0.0.1")
        self.addCleanup(silent.stopListening)
        name = other.addresses[0].get("dns4")
        mute = await self.announce(Multiaddr.parse(f"/dns4/{name}/tcp/{silent.getHost().port}/tls/ws"))
        plain = await self.announce(Multiaddr.parse("/ip4/127.0.0.1/tcp/4001"))
        await self.open_page()
        words = await self.failure(bad.host, "secure")
        self.assertIn("TLS failed. The browser opened no secure WebSocket to ip4127-0-0-1.nodetrust.test:", words)
        self.assertIn("The peer itself is alive", words)
        self.assertTrue(any("ERR_CERT_AUTHORITY_INVALID" in line for line in self.console()), self.console())
        self.assertIn("proved another peer ID than the one announced", await self.failure(wrong, "wrong-peer"))
        self.assertIn("No address for browsers.", await self.failure(plain, "no-address"))
        await self.phase(speechless.host, "connected")
        note = await self.browser.until(f"{self.row(speechless.host, 'p.quiet')}.textContent")
        self.assertIn("Speaks no message protocol.", note)
        self.assertIn("within 10 seconds. Nothing at all came back", await self.failure(mute, "timeout"))
        await self.phase(other.host, "connected")
        await self.look("failures")
        await self.browser.size(*PHONE, phone=True)
        await self.browser.prefer(color_scheme="dark")
        await self.look("failures-phone-dark")
        self.assertTrue(all("ERR_CERT_AUTHORITY_INVALID" in line or "WebSocket" in line for line in self.console()))

    async def test_nobody(self) -> None:
        """Without peers the page says that it waits, and for what."""
        await self.start(0)
        await self.open_page()
        await self.browser.until("document.getElementById('empty-text').textContent.startsWith('Nobody has announced')")
        self.assertEqual(await self.browser.evaluate(STEPS), ["done", "done", "doing", "waiting"])
        await self.look("empty")
        self.assertEqual(self.console(), [])

    async def test_the_issue_server_stops(self) -> None:
        """The page says so, tries again by itself and when it is asked to, and keeps its peers."""
        await self.start(1)
        await self.open_page()
        await self.browser.until(f"{CONNECTED} === 1")
        stopping = Deferred.fromCoroutine(self.deployment.issue.stop())  # the page tries again two seconds later
        step = "document.querySelector('#step-issuer').innerText"
        await self.browser.until(f"{step}.includes('The connection ended.')")
        await stopping
        await self.browser.until(f"{step}.includes('its certificate is good: it has stopped since')")
        await self.browser.evaluate("document.querySelector('#step-issuer button').click()")
        await self.browser.until(f"{NEWS}.split('The issue server:').length > 3")
        self.assertEqual(await self.browser.evaluate(CONNECTED), 1)
        await self.look("issuer-gone")

    async def announce(self, *addresses: Multiaddr) -> Host:
        """A peer that says that it is at `addresses`, every second."""
        host = Host(reactor, PrivateKey.generate())
        self.addCleanup(host.stop)
        pubsub = start_pubsub(host, reactor)
        self.addCleanup(pubsub.stop)
        relay(pubsub)
        await host.connect(full_addresses(self.deployment.issue.host)[:1])
        named = [address.without_peer_id().with_peer_id(host.peer_id) for address in addresses]
        loop = LoopingCall(pubsub.publish, TOPIC, encode_announcement(named))
        loop.clock = reactor
        loop.start(1.0)
        self.addCleanup(loop.stop)
        return host


def _spoil(client: Client) -> None:
    """Have it serve with a certificate that nobody trusts."""
    names = [str(client.addresses[0].get("dns4"))]
    key, chain = ThrowawayCa().issue(names)
    assert client.current is not None
    client.certificates.set(client.current.chain.names, key, chain)
