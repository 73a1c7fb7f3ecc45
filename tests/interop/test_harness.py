"""The two real peers against each other: what they can't do there, no test may ask of us."""

from tests.interop.harness import InteropTestCase, Peer, ProgramError

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

    async def test_errors_are_told(self) -> None:
        """A command that fails at the peer is an error here, with the peer's own words."""
        js = await self.start_js(listen=[])
        with self.assertRaisesRegex(ProgramError, "not connected"):
            await js.command("echo", peer=js.peer_id, bytes=1)
