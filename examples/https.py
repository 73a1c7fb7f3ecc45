"""A web site over HTTPS under the name of this machine's address, with no domain of one's own.

    python examples/https.py issuer=/dns4/issue.nt.example.org/tcp/8959/p2p/12D3KooW… state=nodetrust-state

Any setting of `twistd nodetrust-client` may be given like that, and `port`, if it is not 443. The client keeps the
certificate fresh, and every new TLS connection asks it for the newest one.
"""

import sys
from contextlib import suppress

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import SSL4ServerEndpoint
from twisted.internet.task import react
from twisted.web.resource import Resource
from twisted.web.server import Site

from nodetrust import Client


class Hello(Resource):
    isLeaf = True

    def render_GET(self, request):
        return b"Hello from a machine without a domain.\n"


async def main(reactor, settings):
    port = int(settings.pop("port", 443))
    client = Client(reactor, **settings)
    reactor.addSystemEventTrigger("before", "shutdown", client.stop)
    await client.start()
    with suppress(CancelledError):  # Ctrl-C, while there is no certificate yet
        await client.certificate()
        listening = await SSL4ServerEndpoint(reactor, port, client.certificates).listen(Site(Hello()))
        for name in client.names:
            print(f"https://{name}:{listening.getHost().port}/", flush=True)
    await Deferred()  # until Ctrl-C


if __name__ == "__main__":
    settings = dict(argument.split("=", 1) for argument in sys.argv[1:])
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, settings)))
