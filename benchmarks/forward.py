"""What it costs to stand in front of a node: a go-libp2p node dialled through a forwarder, and directly.

    python -m benchmarks.forward [--megabytes N] [--dials N]

A go-libp2p peer dials a go-libp2p node, each in a process of its own, three ways: the node's plain TCP listener, the
node's own WSS listener, and a forwarder (in a third process) in front of the plain one. Noise and yamux are theirs each
time. Printed for each way:

    dials a second         dial, ping once, hang up; one after the other; by our host, as Go's learns addresses
    to the node, MB/s      one stream, with a digest at its end (1 MB = 10^6 B)
    from the node, MB/s    the same, opened by the node
    node, forwarder        CPU seconds of the process for each GB, both ways together

The dialer makes the bytes and hashes them, in every column: so the throughput is that of a peer, not of the wire. Where
cores are few the processes take each other's time: the CPU seconds say more.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.ssl import Certificate, trustRootFromCertificates

from nodetrust.client.forward import Forwarder, Target
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.ping import ping
from nodetrust.libp2p.transports import CertificateStore
from tests.interop import toolchain
from tests.interop.certificates import CertificateFiles, make_certificate
from tests.interop.harness import Peer, Program

LOOPBACK = "127.0.0.1"
TCP, WSS = f"/ip4/{LOOPBACK}/tcp/0", f"/ip4/{LOOPBACK}/tcp/0/tls/ws"
CHUNK_MEGABYTES = 100
"""Of one stream: the peers hold it in memory."""

Figures = dict[str, float]


class ForwarderProcess(Program):
    """A forwarder in a process of its own; `listening` fires with its address."""

    def __init__(self) -> None:
        super().__init__("forwarder")
        self.listening: Deferred[str] = Deferred()

    def line_received(self, line: str) -> None:
        self.listening.callback(line)


async def serve(reactor: Any, port: int, folder: Path) -> None:
    """Be the forwarder."""
    store = CertificateStore()
    store.set([LOOPBACK], (folder / "key.pem").read_bytes(), (folder / "certificate.pem").read_bytes())
    forwarder = Forwarder(reactor, Target.parse(f"tcp:{LOOPBACK}:{port}"))
    print(await forwarder.listen(Multiaddr.parse(WSS), store), flush=True)
    await Deferred()


def cpu_seconds(program: Program) -> float:
    """What its process has used so far."""
    fields = Path(f"/proc/{program.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def dials(reactor: Any, files: CertificateFiles, address: Multiaddr, count: int) -> float:
    """So many a second."""
    root = trustRootFromCertificates([Certificate.loadPEM(files.root.read_bytes())])
    host = Host(reactor, PrivateKey.generate(), trust_root=root)
    begin = time.perf_counter()
    for _ in range(count):
        connection = await host.connect([address])
        await ping(connection, os.urandom(32), reactor)
        await connection.close()
    figure = count / (time.perf_counter() - begin)
    await host.stop()
    return figure


async def megabytes_per_second(sender: Peer, receiver: Peer, megabytes: int) -> float:
    """Through streams on the connection that there is, one after the other."""
    begin = time.perf_counter()
    for _ in range(megabytes // CHUNK_MEGABYTES):
        told = await sender.command("digest", peer=receiver.peer_id, bytes=CHUNK_MEGABYTES * 1_000_000)
        assert told["same"]
    return megabytes / (time.perf_counter() - begin)


async def measure(
    reactor: Any, files: CertificateFiles, node: Peer, forwarder: Program | None, address: str, options: Any
) -> Figures:
    """One column, with a dialer that knows of no other address of the node."""
    figures = {"dials a second": await dials(reactor, files, Multiaddr.parse(address), options.dials)}
    watched = {"node, CPU s/GB": node} | ({} if forwarder is None else {"forwarder, CPU s/GB": forwarder})
    dialer = Peer("dialer")
    dialer.spawn([toolchain.prepare().go_peer])
    try:
        await dialer.start(roots=str(files.root))
        told = await dialer.command("dial", addr=address)
        assert address.startswith(told["address"].replace("/wss", "/tls/ws")), told
        before = {name: cpu_seconds(program) for name, program in watched.items()}
        figures["to the node, MB/s"] = await megabytes_per_second(dialer, node, options.megabytes)
        figures["from the node, MB/s"] = await megabytes_per_second(node, dialer, options.megabytes)
        for name, program in watched.items():
            figures[name] = (cpu_seconds(program) - before[name]) / (2 * options.megabytes / 1000)
    finally:
        await dialer.stop()
    return figures


async def run_all(reactor: Any, files: CertificateFiles, options: argparse.Namespace) -> dict[str, Figures]:
    """All columns; the programs are ended whatever happens."""
    node, forwarder = Peer("node"), ForwarderProcess()
    running: list[Program] = [node]
    try:
        node.spawn([toolchain.prepare().go_peer])
        await node.start(listen=[TCP, WSS], certificate=str(files.certificate), key=str(files.key))
        plain, secure = node.address(), node.address(web_socket=True)
        port = Multiaddr.parse(plain).get("tcp")
        forwarder.spawn([sys.executable, "-m", "benchmarks.forward", "--serve", str(port), str(files.key.parent)])
        running.append(forwarder)
        forwarded = f"{await forwarder.listening}/p2p/{node.peer_id}"
        return {
            "plain TCP": await measure(reactor, files, node, None, plain, options),
            "its own WSS": await measure(reactor, files, node, None, secure, options),
            "forwarded": await measure(reactor, files, node, forwarder, forwarded, options),
        }
    finally:
        for program in running:
            await program.stop()


async def compare(reactor: Any, options: argparse.Namespace) -> None:
    """Measure, print a table."""
    with tempfile.TemporaryDirectory() as folder:
        columns = await run_all(reactor, make_certificate(Path(folder), [LOOPBACK]), options)
    print(f"{'':24}" + "".join(f"{name:>14}" for name in columns))
    for row in columns["forwarded"]:
        cells = [f"{column[row]:14.1f}" if row in column else f"{'':14}" for column in columns.values()]
        print(f"{row:24}" + "".join(cells))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=500, help="for each throughput figure")
    parser.add_argument("--dials", type=int, default=200, help="for the first figure")
    parser.add_argument("--serve", nargs=2, metavar=("PORT", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        port, folder = options.serve
        task.react(lambda reactor: Deferred.fromCoroutine(serve(reactor, int(port), Path(folder))))
    task.react(lambda reactor: Deferred.fromCoroutine(compare(reactor, options)))


if __name__ == "__main__":
    main()
