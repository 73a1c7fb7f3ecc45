"""How fast two hosts in one process talk over loopback: TCP, Noise, yamux.

    python benchmarks/libp2p_loopback.py [--seconds S] [--megabytes N] [--profile]

Prints one line of text for each figure and, last, all of them as one line of JSON:

    handshakes_per_second             dial, upgrade, ping once, close; one after the other
    handshakes_per_second_parallel    the same, eight at once
    megabytes_per_second              through one stream, from a pull producer to a protocol that counts (1 MB = 10^6 B)

The hosts do what they always do: each end identifies the other on every connection.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import time
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import Factory, Protocol

from nodetrust.libp2p.channel import Channel
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.ping import ping

SINK = "/benchmark/sink/1.0.0"
PIECE_BYTES = 64 * 1024
PARALLEL = 8


class Counter(Protocol):
    """Counts bytes up to an end."""

    def __init__(self) -> None:
        self.size = 0
        self.lost: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.size += len(data)

    def connectionLost(self, reason: object = None) -> None:
        self.lost.callback(None)


class Source:
    """A pull producer of so many bytes."""

    def __init__(self, stream: Channel, size: int) -> None:
        self._stream = stream
        self._left = size
        self._piece = os.urandom(PIECE_BYTES)

    def resumeProducing(self) -> None:
        if self._left > 0:
            self._left -= PIECE_BYTES
            self._stream.write(self._piece)
        else:
            self._stream.unregisterProducer()
            self._stream.loseConnection()

    def stopProducing(self) -> None:
        self._left = 0


async def handshakes(reactor: Any, address: Multiaddr, listener: Host, seconds: float, parallel: int) -> float:
    """Handshakes with a ping, a second. Each worker is a host of its own, so that no connection is reused."""
    begin = time.perf_counter()

    async def work(dialer: Host) -> int:
        done = 0
        while time.perf_counter() - begin < seconds:
            connection = await dialer.connect([address], listener.peer_id)
            await ping(connection, os.urandom(32), reactor)
            await connection.close()
            done += 1
        return done

    dialers = [Host(reactor, PrivateKey.generate()) for _ in range(parallel)]
    done = await gatherResults([Deferred.fromCoroutine(work(dialer)) for dialer in dialers])
    figure = sum(done) / (time.perf_counter() - begin)
    await gatherResults([dialer.stop() for dialer in dialers])
    return figure


async def throughput(reactor: Any, address: Multiaddr, listener: Host, size: int) -> float:
    """Megabytes a second through one stream."""
    counter = Counter()
    factory = Factory()
    factory.buildProtocol = lambda _: counter  # type: ignore[method-assign,assignment,return-value]
    listener.handle(SINK, factory)
    dialer = Host(reactor, PrivateKey.generate())
    connection = await dialer.connect([address], listener.peer_id)
    stream = await connection.open_stream([SINK])
    stream.attach(Protocol())
    begin = time.perf_counter()
    stream.registerProducer(Source(stream, size), False)
    await counter.lost
    figure = counter.size / 1e6 / (time.perf_counter() - begin)
    await dialer.stop()
    return figure


async def run_all(reactor: Any, options: argparse.Namespace) -> None:
    """All figures."""
    listener = Host(reactor, PrivateKey.generate())
    address = await listener.listen(Multiaddr.parse("/ip4/127.0.0.1/tcp/0"))
    await handshakes(reactor, address, listener, 0.2, 1)  # warm up
    profile = cProfile.Profile()
    if options.profile:
        profile.enable()
    figures = {
        "handshakes_per_second": await handshakes(reactor, address, listener, options.seconds, 1),
        "handshakes_per_second_parallel": await handshakes(reactor, address, listener, options.seconds, PARALLEL),
        "megabytes_per_second": await throughput(reactor, address, listener, options.megabytes * 1_000_000),
    }
    if options.profile:
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
    await listener.stop()
    for name, figure in figures.items():
        print(f"{name.replace('_', ' ')}: {figure:.0f}")
    print(json.dumps({name: round(figure, 1) for name, figure in figures.items()}))


def main() -> None:
    """Read the options, run on the default reactor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each handshake figure")
    parser.add_argument("--megabytes", type=int, default=500, help="for the throughput figure")
    parser.add_argument("--profile", action="store_true", help="show where the time goes (the figures are then lower)")
    options = parser.parse_args()
    task.react(lambda reactor: Deferred.fromCoroutine(run_all(reactor, options)))


if __name__ == "__main__":
    main()
