"""The two real peers against each other: what they can't do there, no test may ask of us."""

from pathlib import Path
from typing import Any

from tests.interop.certificates import make_certificate
from tests.interop.harness import InteropTestCase, Peer, ProgramError
from tests.interop.nameserver import NAME

LISTEN = ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/0/ws"]
TOPIC = "nodetrust-test"
TEN_MEGABYTES = 10_000_000


class JsAndGoTests(InteropTestCase):
    """js-libp2p and go-libp2p, started and driven by our harness."""

    async def pair(self, dialer: str, security: str, web_socket: bool) -> tuple[Peer, Peer]:
        js = await self.start_js(listen=LISTEN, security=[security], pubsub="gossipsub")
        go = await self.start_go(listen=LISTEN, security=[security], pubsub="gossipsub")
        first, second = (js, go) if dialer == "js" else (go, js)
        told = await first.command("dial", addr=second.address(web_socket))
        self.assertEqual(told["peer"], second.peer_id)
        self.assertIn(security, told["security"])
        return first, second

    async def test_streams(self) -> None:
        """Identify, ping, ten megabytes both ways at once, and half-close work over TCP with TLS."""
        go, js = await self.pair("go", "tls", web_socket=False)
        said = await go.command("identify", peer=js.peer_id)
        self.assertIn("js-libp2p", said["agent"])
        self.assertLess((await go.command("ping", peer=js.peer_id))["ms"], 10_000)
        for peer, other in ((go, js), (js, go)):
            echoed = await peer.command("echo", peer=other.peer_id, bytes=TEN_MEGABYTES)
            self.assertTrue(echoed["same"])
            digested = await peer.command("digest", peer=other.peer_id, bytes=100_000)
            self.assertTrue(digested["same"])

    async def test_pubsub_over_web_socket(self) -> None:
        """A message published by one arrives at the other."""
        js, go = await self.pair("js", "noise", web_socket=True)
        for peer in (js, go):
            await peer.command("subscribe", topic=TOPIC)
        await js.command("awaitPubsub", topic=TOPIC, mesh=[go.peer_id])
        await go.command("awaitPubsub", topic=TOPIC, mesh=[js.peer_id])
        await js.command("publish", topic=TOPIC, data="aGVsbG8=")
        message = await go.event("message", topic=TOPIC)
        self.assertEqual((message["data"], message["source"]), ("aGVsbG8=", js.peer_id))

    async def test_verified_web_socket_by_name(self) -> None:
        """Each dials the other's WSS address by a name that only our DNS server knows, and verifies the certificate."""
        files = make_certificate(Path(self.mktemp()), [NAME])
        options: dict[str, Any] = {
            "listen": ["/ip4/127.0.0.1/tcp/0/tls/ws"],
            "certificate": str(files.certificate),
            "key": str(files.key),
            "nameServer": self.serve_name(),
        }
        js = await self.start_js(extra_roots=files.root, **options)
        go = await self.start_go(roots=str(files.root), **options)
        for dialer, listener in ((js, go), (go, js)):
            address = self.named(listener)
            told = await dialer.command("dial", addr=address)
            self.assertEqual((told["peer"], told["direction"]), (listener.peer_id, "outbound"))
            await dialer.command("hangup", peer=listener.peer_id)
            await listener.event("disconnected")

    async def test_unknown_root_is_refused(self) -> None:
        """A certificate from a root that the peer was not told of does not pass: the check above can fail."""
        files = make_certificate(Path(self.mktemp()), [NAME])
        options: dict[str, Any] = {
            "certificate": str(files.certificate),
            "key": str(files.key),
            "nameServer": self.serve_name(),
        }
        js = await self.start_js(listen=["/ip4/127.0.0.1/tcp/0/tls/ws"], **options)
        go = await self.start_go(listen=["/ip4/127.0.0.1/tcp/0/tls/ws"], **options)
        for dialer, listener in ((js, go), (go, js)):
            with self.assertRaises(ProgramError):
                await dialer.command("dial", addr=self.named(listener))

    def named(self, peer: Peer) -> str:
        """The peer's WSS address with NAME in the place of its IP address."""
        port = peer.listening[0].split("/")[4]
        return f"/dns4/{NAME}/tcp/{port}/tls/ws/p2p/{peer.peer_id}"

    async def test_errors_are_told(self) -> None:
        """A command that fails at the peer is an error here, with the peer's own words."""
        js = await self.start_js(listen=[])
        with self.assertRaisesRegex(ProgramError, "not connected"):
            await js.command("echo", peer=js.peer_id, bytes=1)
