"""`python -m tests.interop.dial ADDRESS ROOTS [NAMESERVER]`: a host of ours dials, pings, and prints whom it met."""

import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.ping import PING_BYTES, ping
from nodetrust.service import dial_options
from nodetrust.settings import HostPort


async def main(reactor: Any, address: str, roots: str, nameserver: str | None = None) -> None:
    """As the module says."""
    options = dial_options(reactor, None if nameserver is None else HostPort.parse(nameserver), Path(roots))
    host = Host(reactor, PrivateKey.generate(), **options)
    try:
        connection = await host.connect([Multiaddr.parse(address)])
        await ping(connection, os.urandom(PING_BYTES), reactor)
        print(connection.remote_peer, end="")
    finally:
        await host.stop()


if __name__ == "__main__":
    react(lambda reactor, *arguments: Deferred.fromCoroutine(main(reactor, *arguments)), sys.argv[1:])
