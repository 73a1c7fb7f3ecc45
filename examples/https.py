"""A web site over HTTPS under the name of this machine's address, with no domain of one's own.

    python examples/https.py /dns4/issue.nt.example.org/tcp/8959/p2p/12D3KooW…

The client keeps the certificate fresh; every new TLS connection asks it for the newest one. It listens on port 443 of
the name it prints (`--port` for another), and so needs the right to that port.
"""

import argparse
import logging
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import SSL4ServerEndpoint
from twisted.internet.task import react
from twisted.web.resource import Resource
from twisted.web.server import Site

from nodetrust import Client


class Hello(Resource):
    isLeaf = True

    def render_GET(self, request):
        return b"Hello from a machine without a domain.\n"


async def main(options):
    client = Client(
        issuer=options.issuer,
        state=options.state,
        listen="/ip4/0.0.0.0/tcp/0",
        wss_listen=options.wss_listen,
        nameserver=options.nameserver,
        trust_file=options.trust_file,
    )
    try:
        await client.start()
        obtained = await client.certificate()
        endpoint = SSL4ServerEndpoint(reactor, options.port, client.certificates)
        port = await endpoint.listen(Site(Hello()))
        for name in sorted(obtained.chain.names):
            print(f"https://{name}:{port.getHost().port}/", flush=True)
        await Deferred()  # until Ctrl-C
    finally:
        await client.stop()


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("issuer", nargs="+", help="an address of an issue server, with its /p2p peer ID")
    parser.add_argument("--state", type=Path, default=Path("nodetrust-state"), help="the folder for key and certificate")
    parser.add_argument("--port", type=int, default=443)
    parser.add_argument("--wss-listen", default="/ip4/0.0.0.0/tcp/4443/tls/ws")
    parser.add_argument("--nameserver")
    parser.add_argument("--trust-file")
    return parser.parse_args()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    options = read_options()
    react(lambda _: Deferred.fromCoroutine(main(options)))
