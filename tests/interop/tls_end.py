"""`python -m tests.interop.tls_end HOST PORT CERTIFICATE KEY TO_PORT`: ends TLS, and passes what is in it to loopback.

What stands before a server that wants its TLS terminated elsewhere.
"""

import sys
from typing import Any

from twisted.internet import reactor as default_reactor
from twisted.internet import ssl
from twisted.protocols.portforward import ProxyFactory

reactor: Any = default_reactor


def main(host: str, port: str, certificate: str, key: str, to_port: str) -> None:
    """Until SIGTERM."""
    context = ssl.DefaultOpenSSLContextFactory(key, certificate)
    reactor.listenSSL(int(port), ProxyFactory("127.0.0.1", int(to_port)), context, interface=host)
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
