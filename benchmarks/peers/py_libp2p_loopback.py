"""What libp2p_loopback.py measures of ours, measured of py-libp2p: run it in an environment with the package `libp2p`.

    python benchmarks/peers/py_libp2p_loopback.py [--seconds S] [--megabytes N]

The last line is the same line of JSON.
"""

import argparse
import json
import os
import time
from functools import partial

import trio
from libp2p import create_yamux_muxer_option, generate_new_ed25519_identity, new_host
from libp2p.abc import IHost, INetStream
from libp2p.crypto.x25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.host.ping import ID as PING
from libp2p.host.ping import handle_ping, perform_ping_roundtrip
from libp2p.peer.peerinfo import PeerInfo
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from multiaddr import Multiaddr

SINK = TProtocol("/benchmark/sink/1.0.0")
PIECE_BYTES = 64 * 1024
PARALLEL = 8


def make_host() -> IHost:
    """A host that speaks Noise and yamux only."""
    key = generate_new_ed25519_identity()
    noise = NoiseTransport(key, noise_privkey=create_new_key_pair().private_key)
    return new_host(key_pair=key, sec_opt={NOISE: noise}, muxer_opt=create_yamux_muxer_option())


async def handshakes(listener: PeerInfo, seconds: float, parallel: int) -> float:
    """Handshakes with a ping, a second. Each worker is a host of its own, so that no connection is reused."""
    begin = time.perf_counter()
    done = 0

    async def work() -> None:
        nonlocal done
        dialer = make_host()
        async with dialer.run(listen_addrs=[]):
            while time.perf_counter() - begin < seconds:
                await dialer.connect(listener)
                stream = await dialer.new_stream(listener.peer_id, [PING])
                await perform_ping_roundtrip(stream)
                await dialer.disconnect(listener.peer_id)
                done += 1

    async with trio.open_nursery() as nursery:
        for _ in range(parallel):
            nursery.start_soon(work)
    return done / (time.perf_counter() - begin)


async def throughput(listener: IHost, address: PeerInfo, size: int) -> float:
    """Megabytes a second through one stream."""
    finished = trio.Event()
    counted = 0

    async def count(stream: INetStream) -> None:
        nonlocal counted
        while counted < size:
            counted += len(await stream.read(PIECE_BYTES))
        finished.set()

    listener.set_stream_handler(SINK, count)
    dialer = make_host()
    piece = os.urandom(PIECE_BYTES)
    async with dialer.run(listen_addrs=[]):
        await dialer.connect(address)
        stream = await dialer.new_stream(address.peer_id, [SINK])
        begin = time.perf_counter()
        for _ in range(-(-size // PIECE_BYTES)):
            await stream.write(piece)
        await finished.wait()
        return counted / 1e6 / (time.perf_counter() - begin)


async def run_all(options: argparse.Namespace) -> None:
    """All figures."""
    listener = make_host()
    async with listener.run(listen_addrs=[Multiaddr("/ip4/127.0.0.1/tcp/0")]):
        listener.set_stream_handler(PING, partial(handle_ping))
        address = PeerInfo(listener.get_id(), listener.get_transport_addrs())
        figures = {
            "handshakes_per_second": await handshakes(address, options.seconds, 1),
            "handshakes_per_second_parallel": await handshakes(address, options.seconds, PARALLEL),
            "megabytes_per_second": await throughput(listener, address, options.megabytes * 1_000_000),
        }
    print(json.dumps({name: round(figure, 1) for name, figure in figures.items()}))


def main() -> None:
    """Read the options, run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each handshake figure")
    parser.add_argument("--megabytes", type=int, default=100, help="for the throughput figure")
    trio.run(run_all, parser.parse_args())


if __name__ == "__main__":
    main()
