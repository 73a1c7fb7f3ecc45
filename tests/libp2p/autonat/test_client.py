"""The asking side of AutoNAT, before servers that do as they like."""

import contextlib
from random import Random
from typing import Any

from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from nodetrust.libp2p.autonat import DIAL_REQUEST, AutoNat, Reached
from nodetrust.libp2p.autonat.wire import DIAL_BACK, MAX_DATA_BYTES, MAX_MESSAGE_BYTES
from nodetrust.libp2p.errors import InvalidData, Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.message_stream import MessageStream
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.pb import autonat_pb2 as pb

reactor: Any = default_reactor
LOOPBACK = Multiaddr.parse("/ip4/127.0.0.1/tcp/0")
OK = pb.DialResponse.OK


class ClientTests(TestCase):
    """A server over loopback, which another host comes back for."""

    timeout = 120

    async def host(self) -> tuple[Host, Multiaddr]:
        host = Host(reactor, PrivateKey.generate())
        self.addCleanup(host.stop)
        return host, (await host.listen(LOOPBACK)).with_peer_id(host.peer_id)

    async def ask(self, *answers: Any, nonce_plus: int | None = None, wanted: int = 0) -> Reached:
        """What comes of it when the server says so; it comes back first, with the nonce and a number more."""
        ours, here = await self.host()
        server, there = await self.host()
        dialler, _ = await self.host()
        self.received = 0

        async def serve(stream: MessageStream) -> None:
            request = pb.Message.FromString(await stream.read()).dialRequest
            self.assertEqual([Multiaddr.from_bytes(one) for one in request.addrs], [here.without_peer_id()])
            if wanted:
                stream.write(pb.Message(dialDataRequest=pb.DialDataRequest(numBytes=wanted)).SerializeToString())
                while self.received < wanted:
                    self.received += len(pb.Message.FromString(await stream.read()).dialDataResponse.data)
            if nonce_plus is not None:
                await dialler.connect([here])
                back = await dialler.open_messages(ours.peer_id, [DIAL_BACK], 100, 5.0)
                back.write(pb.DialBack(nonce=(request.nonce + nonce_plus) % 2**64).SerializeToString())
                with contextlib.suppress(Libp2pError):  # it was not taken
                    await back.read()
            for answer in answers:
                stream.write(pb.Message(dialResponse=answer).SerializeToString())

        server.handle_messages(DIAL_REQUEST, serve, MAX_MESSAGE_BYTES, 5.0)
        autonat = AutoNat(ours, reactor, Random(1))
        autonat.start()
        identified: Deferred[None] = Deferred()
        ours.on_identified(lambda connection: None if identified.called else identified.callback(None))
        await ours.connect([there])
        await identified
        (connection,) = autonat.servers()
        return await autonat.ask(connection, here)

    async def test_reached(self) -> None:
        """The server says so, and has come back with our nonce."""
        answer = pb.DialResponse(status=OK, dialStatus=pb.OK)
        self.assertEqual(await self.ask(answer, nonce_plus=0), Reached.YES)

    async def test_a_yes_without_a_dial_back(self) -> None:
        """Is less than a yes, as is one with another nonce, and a server's word that it could not come back."""
        answer = pb.DialResponse(status=OK, dialStatus=pb.OK)
        self.assertEqual(await self.ask(answer), Reached.MET)
        self.assertEqual(await self.ask(answer, nonce_plus=1), Reached.MET)
        met = pb.DialResponse(status=OK, dialStatus=pb.E_DIAL_BACK_ERROR)
        self.assertEqual(await self.ask(met), Reached.MET)

    async def test_not_reached(self) -> None:
        """A no needs no proof: those who ask several peers weigh it."""
        self.assertEqual(await self.ask(pb.DialResponse(status=OK, dialStatus=pb.E_DIAL_ERROR)), Reached.NO)

    async def test_a_refusal(self) -> None:
        """Says nothing."""
        self.assertEqual(await self.ask(pb.DialResponse(status=pb.DialResponse.E_DIAL_REFUSED)), Reached.UNKNOWN)

    async def test_data_first(self) -> None:
        """What the server wants is sent, up to the bound of the specification."""
        answer = pb.DialResponse(status=OK, dialStatus=pb.OK)
        self.assertEqual(await self.ask(answer, nonce_plus=0, wanted=MAX_DATA_BYTES), Reached.YES)
        self.assertEqual(self.received, MAX_DATA_BYTES)
        await self.assertFailure(Deferred.fromCoroutine(self.ask(answer, wanted=MAX_DATA_BYTES + 1)), InvalidData)

    async def test_who_is_not_asked(self) -> None:
        """A peer that has come by itself, and one that does not speak it."""
        ours, here = await self.host()
        visitor, _ = await self.host()
        visitor.handle_messages(DIAL_REQUEST, self.never, MAX_MESSAGE_BYTES)
        _, elsewhere = await self.host()
        identified: list[Any] = []
        both: Deferred[None] = Deferred()

        def note(connection: Any) -> None:
            identified.append(connection.remote_peer)
            if len(set(identified)) == 2 and not both.called:
                both.callback(None)

        ours.on_identified(note)
        await visitor.connect([here])
        await ours.connect([elsewhere])
        await both
        self.assertEqual(AutoNat(ours, reactor, Random(1)).servers(), [])

    async def never(self, stream: MessageStream) -> None:
        self.fail("nobody asks")

    async def test_a_server_that_goes_away(self) -> None:
        """Is an error."""
        await self.assertFailure(Deferred.fromCoroutine(self.ask()), Libp2pError)
