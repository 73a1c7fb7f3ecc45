"""What crowds of slow TCP clients do to honest ones: half-sent queries, silence, answers left unread.

    python -m benchmarks.dns_slow_clients [--clients 5000]

One DNS server on loopback. For each kind, `clients` connections from 50 addresses; meanwhile an honest client at
another address connects, asks over TCP and closes, again and again, and another asks over UDP. Printed: how long the
slowest honest client waited, and when the last slow one was closed.
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dns.message
import dns.query

from tests.dns.process import ServerProcess

SOURCES = 50
GIVE_UP_SECONDS = 30.0
QUERY = dns.message.make_query("ip41-2-3-4.nt.test", "A").to_wire()
FRAMED = len(QUERY).to_bytes(2, "big") + QUERY
KINDS = {"silent": b"", "half a length": FRAMED[:1], "half a query": FRAMED[:20], "never reading": FRAMED * 100}


def connect(server: ServerProcess, source: str) -> socket.socket:
    """A connection from a loopback address, perhaps still on its way."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.bind((source, 0))
    client.setblocking(False)
    client.connect_ex(server.place)
    return client


@contextmanager
def crowd(server: ServerProcess, count: int, first_bytes: bytes) -> Iterator[None]:
    """Slow clients that send this and no more."""
    clients = []
    for number in range(count):
        client = connect(server, f"127.0.2.{number % SOURCES + 1}")
        clients.append(client)
        with suppress(OSError):  # still on its way, or gone already
            client.send(first_bytes)
    try:
        yield
    finally:
        for client in clients:
            client.close()


def descriptors(server: ServerProcess) -> int:
    """How many the server has open."""
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def honest(server: ServerProcess) -> tuple[float, float]:
    """Seconds that one honest client waits over TCP, and one over UDP."""
    begin = time.monotonic()
    host, port = server.place
    dns.query.tcp(dns.message.from_wire(QUERY), host, timeout=10, port=port, source="127.0.3.1")
    over_tcp = time.monotonic()
    dns.query.udp(dns.message.from_wire(QUERY), host, timeout=10, port=port, source="127.0.3.2")
    return over_tcp - begin, time.monotonic() - over_tcp


def measure(server: ServerProcess, kind: str, count: int) -> None:
    """Print one row."""
    before, begin = descriptors(server), time.monotonic()
    waits, most, held = [], 0, 1
    with crowd(server, count, KINDS[kind]):
        while (held > 0 or not most) and time.monotonic() - begin < GIVE_UP_SECONDS:
            waits.append(honest(server))
            held = descriptors(server) - before
            most = max(most, held)
        seconds = time.monotonic() - begin
    tcp, udp = zip(*waits, strict=True)
    print(
        f"{kind:14} at most {most} of {count} held, {held} after {seconds:4.1f} s; honest clients waited for "
        f"TCP {statistics.median(tcp) * 1e3:.1f} ms (at most {max(tcp) * 1e3:.0f}), "
        f"UDP {statistics.median(udp) * 1e3:.1f} ms (at most {max(udp) * 1e3:.0f}), {len(waits)} of each"
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=5000)
    count = parser.parse_args().clients
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2 * count + 200), hard))
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(Path(folder), descriptors=4096)
        try:
            for kind in KINDS:
                measure(server, kind, count)
        finally:
            server.kill()


if __name__ == "__main__":
    main()
