"""js-libp2p and go-libp2p, which know each other only through our host."""

from tests.interop.compliance import TOPIC, OurHostTestCase


class RelayTests(OurHostTestCase):
    """Pubsub through us."""

    async def test_message_is_relayed(self) -> None:
        """What js publishes reaches go through our mesh, with js as its author, and the other way round."""
        host = await self.start_host("noise")
        self.start_pubsub(host)
        js = await self.start_js(listen=[], security=["noise"], pubsub="gossipsub")
        go = await self.start_go(listen=[], security=["noise"], pubsub="gossipsub")
        await js.command("dial", addr=self.address_of(host, web_socket=True))
        await go.command("dial", addr=self.address_of(host))
        for peer in (js, go):
            await peer.command("subscribe", topic=TOPIC)
            await peer.command("awaitPubsub", topic=TOPIC, mesh=[str(host.peer_id)])
        for author, reader, data in ((js, go, "anM="), (go, js, "Z28=")):
            await author.command("publish", topic=TOPIC, data=data)
            told = await reader.event("message", topic=TOPIC, source=author.peer_id)
            self.assertEqual(told["data"], data)
        self.assertEqual(len((await js.command("connections"))["connections"]), 1)
