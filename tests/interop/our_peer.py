"""A host of ours that does what it is told on standard input, like those of `peers/` (`peers/js/lines.mjs` says how).

`python -m tests.interop.our_peer`: for tests that end one of our nodes with a signal, or want many. It carries
announcements as every role does, and knows the commands that such tests have a use for.
"""

import json
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.internet.stdio import StandardIO
from twisted.internet.task import deferLater
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from nodetrust.discovery import relay, start_pubsub
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.pubsub import PubSub, PubSubMessage

reactor: Any = default_reactor

LOOK_AGAIN_SECONDS = 0.02
MAX_LINE_BYTES = 1 << 20


class Commands:
    """The host, and what it can be told; each command's arguments are the members of its JSON object."""

    def __init__(self, emit: Callable[[dict[str, Any]], None]) -> None:
        self._emit = emit
        self._host = Host(reactor, PrivateKey.generate())
        self._pubsub: PubSub = start_pubsub(self._host, reactor)
        relay(self._pubsub)

    async def start(self, listen: Sequence[str]) -> dict[str, Any]:
        """Listen."""
        for address in listen:
            await self._host.listen(Multiaddr.parse(address))
        listening = [str(address.with_peer_id(self._host.peer_id)) for address in self._host.addresses()]
        return {"peer": str(self._host.peer_id), "listening": listening}

    async def dial(self, addr: str) -> None:
        """Connect to a peer."""
        await self._host.connect([Multiaddr.parse(addr)])

    async def subscribe(self, topic: str) -> None:
        """Tell each message of the topic as an event."""
        self._pubsub.subscribe(topic, self._received)

    def _received(self, message: PubSubMessage) -> None:
        told = {"topic": message.topic, "data": b64encode(message.data).decode(), "source": str(message.source)}
        self._emit({"event": "message", **told, "at": time.time()})

    async def publish(self, topic: str, data: str) -> dict[str, Any]:
        """Publish; the answer has the time at which it was begun."""
        at = time.time()
        self._pubsub.publish(topic, b64decode(data))
        return {"at": at}

    async def awaitPubsub(self, topic: str, subscribers: Iterable[str] = (), mesh: Iterable[str] = ()) -> None:
        """Answer once these are known to want the topic, and those are in the mesh for it."""
        while not (
            set(subscribers) <= {str(peer) for peer in self._pubsub.peers(topic)}
            and set(mesh) <= {str(peer) for peer in self._pubsub.mesh(topic)}
        ):
            await deferLater(reactor, LOOK_AGAIN_SECONDS)

    async def stop(self) -> None:
        """Say goodbye, and end the process."""
        self._pubsub.stop()
        await self._host.stop()
        if reactor.running:
            reactor.stop()


class Lines(LineOnlyReceiver):
    """Commands in, answers and events out; the end of the input ends the process."""

    delimiter = b"\n"
    MAX_LENGTH = MAX_LINE_BYTES

    def connectionMade(self) -> None:
        self._commands = Commands(self.emit)

    def emit(self, told: dict[str, Any]) -> None:
        """Write a line."""
        self.sendLine(json.dumps(told).encode())

    def lineReceived(self, line: bytes) -> None:
        arguments = json.loads(line)
        number = arguments.pop("id")
        command: Callable[..., Coroutine[Any, Any, Any]] = getattr(self._commands, arguments.pop("command"))
        Deferred.fromCoroutine(command(**arguments)).addCallbacks(
            lambda result: self.emit({"id": number, "result": result or {}}),
            lambda failure: self.emit({"id": number, "error": failure.getErrorMessage()}),
        )

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        Deferred.fromCoroutine(self._commands.stop())


def main() -> None:
    """As the module says."""
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    StandardIO(Lines(), reactor=reactor)
    reactor.run()


if __name__ == "__main__":
    main()
