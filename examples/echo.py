"""A Twisted program that browsers can dial: it sends back what it is sent, and greets every peer that it hears of.

    python examples/echo.py issuer=/dns4/issue.nt.example.org/tcp/8959/p2p/12D3KooW… state=nodetrust-state

Any setting of `twistd nodetrust-client` may be given like that.
"""

import sys
from contextlib import suppress

from twisted.internet.defer import CancelledError, Deferred
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
        print(f"{self.transport.connection.remote_peer} sends back {data!r}", flush=True)
        self.transport.loseConnection()


async def main(reactor, settings):
    client = Client(reactor, **settings)

    def greet(heard):
        peer = heard.announcement.peer
        dialing = client.dial(peer, ECHO)
        dialing.addCallback(lambda stream: stream.attach(Greeting()))
        dialing.addErrback(lambda failure: print(f"{peer}: {failure.getErrorMessage()}", flush=True))

    client.handle(ECHO, Factory.forProtocol(Echo))
    client.on_peer(greet)
    reactor.addSystemEventTrigger("before", "shutdown", client.stop)
    await client.start()
    with suppress(CancelledError):  # Ctrl-C, while there is no address yet
        for address in await client.announced():
            print(address, flush=True)
    await Deferred()  # until Ctrl-C


if __name__ == "__main__":
    settings = dict(argument.split("=", 1) for argument in sys.argv[1:])
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, settings)))
