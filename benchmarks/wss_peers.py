"""The two ends of the benchmarks of WSS, each in a process of its own; `wss_idle` and `wss_slow_clients` start it.

    python -m benchmarks.wss_peers TASK JSON

Prints a line of JSON. The tasks stand in `TASKS`; the members of the JSON object are
their arguments; those whose work is to be there stay until they are ended.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, DeferredSemaphore, gatherResults
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.internet.task import deferLater

from benchmarks.tasks import run_task
from nodetrust.libp2p.errors import DialError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.limits import Limits
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.ping import PING_BYTES, ping
from nodetrust.libp2p.transports import CertificateStore
from nodetrust.libp2p.transports.certificates import client_options
from tests.robustness.attacker import NOISE, proposal
from tests.robustness.test_early_close import HELLO
from tests.robustness.test_websocket import BINARY, UPGRADE, ws_frame

DIALS_AT_ONCE = 32
CONNECTS_AT_ONCE = 256
HANDSHAKE_SECONDS = 10.0
DRIP_SECONDS = 1.0

Figures = dict[str, Any]


async def serve(reactor: Any, listen: str, key_file: str, chain_file: str, connections: int) -> None:
    """A host for so many connections; tells its address."""
    store = CertificateStore()
    store.set(["localhost"], Path(key_file).read_bytes(), Path(chain_file).read_bytes())
    host = Host(reactor, PrivateKey.generate(), limits=Limits(inbound_connections=connections + 100))
    address = await host.listen(Multiaddr.parse(listen), store)
    print(json.dumps({"address": str(address.with_peer_id(host.peer_id))}), flush=True)
    await Deferred()


def _trust_root(root_file: str) -> Any:
    return trustRootFromCertificates([Certificate.loadPEM(Path(root_file).read_bytes())])


def _dialer(reactor: Any, root_file: str) -> Host:
    return Host(reactor, PrivateKey.generate(), trust_root=_trust_root(root_file))


async def idle(reactor: Any, address: str, root_file: str, connections: int) -> None:
    """Open connections, each of a peer of its own, and keep them; tells when all are open, and again if one is lost."""
    there = Multiaddr.parse(address)
    hosts = [_dialer(reactor, root_file) for _ in range(connections)]
    places = DeferredSemaphore(DIALS_AT_ONCE)
    begin = time.perf_counter()
    dials = [places.run(lambda host: Deferred.fromCoroutine(host.connect([there])), host) for host in hosts]
    made = await gatherResults(dials)
    print(json.dumps({"seconds": time.perf_counter() - begin}), flush=True)
    while not any(connection.closed for connection in made):
        await deferLater(reactor, 0.5)
    print(json.dumps({"lost": sum(connection.closed for connection in made)}), flush=True)
    await Deferred()


async def dial(reactor: Any, address: str, root_file: str, times: int) -> Figures:
    """Connect, ping once and close, as a new peer each time; the seconds that each took until it was connected."""
    each = []
    for _ in range(times):
        host = _dialer(reactor, root_file)
        begin = time.perf_counter()
        connection = await host.connect([Multiaddr.parse(address)])
        each.append(time.perf_counter() - begin)
        await ping(connection, os.urandom(PING_BYTES), reactor)
        await host.stop()
    return {"each": each}


async def keep_dialing(reactor: Any, address: str, root_file: str) -> None:
    """The same again and again, and a line for each: the seconds, or why there are none."""
    while True:
        host = _dialer(reactor, root_file)
        begin = time.perf_counter()
        try:
            await host.connect([Multiaddr.parse(address)])
        except DialError as reason:
            print(json.dumps({"failed": str(reason)}), flush=True)
        else:
            print(json.dumps({"seconds": time.perf_counter() - begin}), flush=True)
        await host.stop()
        await deferLater(reactor, 0.02)


async def connect(reactor: Any, address: str, root_file: str, seconds: float, parallel: int) -> Figures:
    """Connections of new peers one after the other, so many at a time: how many."""
    there = Multiaddr.parse(address)
    end = time.perf_counter() + seconds
    done = 0

    async def work() -> None:
        nonlocal done
        while time.perf_counter() < end:
            host = _dialer(reactor, root_file)
            await host.connect([there])
            done += 1
            await host.stop()

    begin = time.perf_counter()
    await gatherResults([Deferred.fromCoroutine(work()) for _ in range(parallel)])
    return {"done": done, "seconds": time.perf_counter() - begin}


async def handshakes(reactor: Any, address: str, root_file: str, seconds: float) -> Figures:
    """TLS handshakes and no more, one after the other: how many."""
    context = ssl.create_default_context(cafile=root_file)
    place = ("127.0.0.1", int(Multiaddr.parse(address).get("tcp") or 0))
    done = 0
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        with (
            socket.create_connection(place, HANDSHAKE_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname="localhost"),
        ):
            done += 1
    return {"done": done, "seconds": time.perf_counter() - begin}


class _Slow(Protocol):
    """Says `opening` and then a byte of `rest` each second, each framed by `frame`."""

    def __init__(self, kind: Kind, reactor: Any) -> None:
        self._kind = kind
        self._reactor = reactor
        self._dripped = 0

    def connectionMade(self) -> None:
        self.transport.write(self._kind.opening)
        if not self._kind.reads:
            self.transport.pauseProducing()
        self._dripping = self._reactor.callLater(DRIP_SECONDS, self._drip)

    def _drip(self) -> None:
        byte = self._kind.rest[self._dripped : self._dripped + 1]
        self._dripped += 1
        if byte:
            self.transport.write(self._kind.frame(byte))
            self._dripping = self._reactor.callLater(DRIP_SECONDS, self._drip)

    def connectionLost(self, reason: object = None) -> None:
        if self._dripping.active():
            self._dripping.cancel()


@dataclass(frozen=True, slots=True)
class Kind:
    """What slow clients do; `tls` is done in full before the opening."""

    opening: bytes = b""
    rest: bytes = b""
    tls: bool = True
    frame: Callable[[bytes], bytes] = bytes
    reads: bool = True


_in_frame = partial(ws_frame, BINARY)

KINDS = {
    "silent": Kind(tls=False),
    "half a ClientHello": Kind(HELLO, tls=False),
    "dripped ClientHello": Kind(HELLO, bytes(500), tls=False),
    "TLS, no request": Kind(),
    "dripped request": Kind(UPGRADE[:-2], b"X: " + b"y" * 500),
    "upgraded, silent": Kind(UPGRADE),
    "dripped multistream": Kind(UPGRADE, proposal(NOISE), frame=_in_frame),
    "dripped Noise": Kind(UPGRADE + _in_frame(proposal(NOISE)), b"\0\x20" + bytes(32), frame=_in_frame),
    "never reading": Kind(UPGRADE + _in_frame(proposal("/none") * 500), reads=False),
}


async def crowd(reactor: Any, address: str, root_file: str, kind: str, clients: int) -> None:
    """So many slow clients at once; tells how many got in when the last of them has."""
    endpoint: Any = HostnameEndpoint(reactor, "127.0.0.1", int(Multiaddr.parse(address).get("tcp") or 0))
    if KINDS[kind].tls:
        endpoint = wrapClientTLS(client_options("localhost", _trust_root(root_file)), endpoint)
    factory = Factory.forProtocol(partial(_Slow, KINDS[kind], reactor))
    factory.noisy = False
    places = DeferredSemaphore(CONNECTS_AT_ONCE)
    begin = reactor.seconds()
    results = await DeferredList([places.run(endpoint.connect, factory) for _ in range(clients)], consumeErrors=True)
    connected = sum(success for success, _ in results)
    print(json.dumps({"connected": connected, "seconds": reactor.seconds() - begin}), flush=True)
    await Deferred()


TASKS = {
    "crowd": crowd,
    "serve": serve,
    "idle": idle,
    "dial": dial,
    "keep_dialing": keep_dialing,
    "connect": connect,
    "handshakes": handshakes,
}


if __name__ == "__main__":
    run_task(TASKS)
