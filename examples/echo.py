"""A Twisted program that browsers can dial: it sends back whatever it is sent, and greets every peer it hears of.

    python examples/echo.py /dns4/issue.nt.example.org/tcp/8959/p2p/12D3KooW…
"""

import sys

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import react

from nodetrust import Client

ECHO = "/nodetrust/example/echo/1.0.0"


class Echo(Protocol):
    def dataReceived(self, data):
        self.transport.write(data)


class Greeting(Protocol):
    """Says something once, and prints what comes back."""

    def connectionMade(self):
        self.transport.write(b"hello")

    def dataReceived(self, data):
        print(f"{self.transport.connection.remote_peer} says {data!r}", flush=True)
        self.transport.loseConnection()


async def main(issuer):
    client = Client(issuer=issuer, state="nodetrust-state")

    def greet(peer):
        dialing = client.dial(peer.announcement.peer, ECHO)
        dialing.addCallbacks(
            lambda stream: stream.attach(Greeting()),
            lambda failure: print(f"{peer.announcement.peer}: {failure.getErrorMessage()}", flush=True),
        )

    client.handle(ECHO, Factory.forProtocol(Echo))
    client.on_peer(greet)
    try:
        await client.start()
        await client.certificate()
        print("certified", flush=True)
        await Deferred()  # until Ctrl-C
    finally:
        await client.stop()


if __name__ == "__main__":
    react(lambda _: Deferred.fromCoroutine(main(sys.argv[1:])))
