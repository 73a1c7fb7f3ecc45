"""The peers of a benchmark of the issue server, in a process of their own; `benchmarks.issue_compare` starts it.

    python -m benchmarks.issue_peers TASK JSON

Prints one line of JSON. The tasks stand in `TASKS`; the members of the JSON object are their arguments. One whose work
is to be there (`idle`) prints its line and stays until it is ended.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Awaitable, Coroutine, Sequence
from hashlib import sha256
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.internet.task import deferLater

from benchmarks.tasks import run_task
from nodetrust.certificates import make_csr, make_key
from nodetrust.client.obtain import obtain, obtain_with
from nodetrust.client.prove import Proofs
from nodetrust.keyfile import load_or_create
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.limits import Limits
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import (
    ECDSA_P256,
    ISSUE_PROTOCOL,
    MAX_ISSUE_RESPONSE_BYTES,
    MAX_PROOF_RESPONSE_BYTES,
    OK,
    PROOF_PROTOCOL_NONCE,
    IssueRequest,
    IssueResponse,
    ProofRequest,
    ProofResponse,
)
from nodetrust.names import certificate_names
from nodetrust.proofs import make_proof

ZONE = "nodetrust.test"
ANSWER_SECONDS = 120.0
DIALS_AT_ONCE = 32
SETTLE_SECONDS = 1.0
"""After dialling, for identify and for whoever takes the time."""

Figures = dict[str, Any]


def _host(reactor: Any, key: PrivateKey | None = None) -> Host:
    return Host(reactor, key or PrivateKey.generate(), limits=Limits(inbound_connections=8))


def addresses_of(number: int, count: int) -> tuple[IPv4Address, ...]:
    """`count` addresses that no other number has."""
    first = int(IPv4Address("127.8.0.0")) + number * count
    return tuple(IPv4Address(first + offset) for offset in range(count))


def known_key(number: int) -> PrivateKey:
    """The key of a peer whose certificate was put into the store."""
    return PrivateKey.from_seed(sha256(b"nodetrust benchmark %d" % number).digest())


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def one(reactor: Any, issuer: str, orders: int) -> Figures:
    """Certificates one after the other, each of a new peer, from `obtain` on: dialling and proofs are part of it."""
    each = []
    for _ in range(orders):
        host, key = _host(reactor), make_key(ECDSA_P256)
        begin = time.perf_counter()
        await obtain(host, [Multiaddr.parse(issuer)], key, ECDSA_P256, clock=reactor)
        each.append(time.perf_counter() - begin)
        await host.stop()
    return {"each": each}


async def many(reactor: Any, issuer: str, proof_key_file: str, peers: int, names: int) -> Figures:
    """New peers that all ask at once: one is for its own name alone, further ones have an address each."""
    address = [Multiaddr.parse(issuer)]
    proof_key = load_or_create(Path(proof_key_file))
    hosts = [_host(reactor) for _ in range(peers)]
    errors: list[str] = []
    each: list[float] = []

    async def ask(number: int, host: Host) -> None:
        # A proof has an address at least; `peer` names do not use it.
        proven = addresses_of(number, max(1, names - 1))
        wrapper = make_proof(proof_key, host.peer_id, proven, _now_ms())
        proofs = Proofs(ZONE, frozenset(), (wrapper,), proven if names > 1 else ())
        await obtain_with(proofs, host, address, make_key(ECDSA_P256), ECDSA_P256)
        each.append(time.perf_counter() - begin)

    begin = time.perf_counter()
    asked = [Deferred.fromCoroutine(ask(number, host)) for number, host in enumerate(hosts)]
    for waiting in asked:
        waiting.addErrback(lambda failure: errors.append(failure.getErrorMessage()))
    await gatherResults(asked)
    seconds = time.perf_counter() - begin
    await gatherResults([host.stop() for host in hosts])
    return {"seconds": seconds, "errors": errors, "each": sorted(each)}


async def again(
    reactor: Any, issuer: str, proof_key_file: str, keys_file: str, peers: int, keys: int, parallel: int
) -> Figures:
    """Peers whose certificates are in the store, one for each of the keys: they dial, and then ask for all of them."""
    address = Multiaddr.parse(issuer)
    assert address.peer_id is not None
    issuer_id = address.peer_id
    proof_key = load_or_create(Path(proof_key_file))
    certificate_keys: list[Any] = [
        load_pem_private_key(pem.encode(), None) for pem in json.loads(Path(keys_file).read_text())[:keys]
    ]
    wanted = []
    for number in range(peers):
        host, proven = _host(reactor, known_key(number)), addresses_of(number, 1)
        names = sorted(certificate_names(host.peer_id, proven, ZONE, "addresses"))
        for use, key in enumerate(certificate_keys):
            request = IssueRequest(
                proofs=[make_proof(proof_key, host.peer_id, proven, _now_ms() + use)],
                supportedCryptos=[ECDSA_P256],
                csr=make_csr(key, names),
            )
            wanted.append((use, host, request.SerializeToString()))
    wanted.sort(key=lambda one: one[0])  # the peers one after the other, then each again
    hosts = {id(host): host for _, host, _ in wanted}.values()
    dialled = await _side_by_side(parallel, [_timed(host.connect([address])) for host in hosts])
    print(json.dumps({"each": dialled}), flush=True)
    await deferLater(reactor, SETTLE_SECONDS)
    wrong: list[str] = []

    async def ask(host: Host, request: bytes) -> None:
        stream = await host.open_messages(issuer_id, [ISSUE_PROTOCOL], MAX_ISSUE_RESPONSE_BYTES, ANSWER_SECONDS)
        stream.write(request)
        response = IssueResponse.FromString(await stream.read())
        stream.close()
        if response.error != OK or not response.fromCache:
            wrong.append(response.message or "not from the cache")

    begin = time.perf_counter()
    each = await _side_by_side(parallel, [_timed(ask(host, request)) for _, host, request in wanted])
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "asked": len(wanted), "errors": wrong, "each": each}), flush=True)
    await gatherResults([Deferred.fromCoroutine(host.stop()) for host in hosts])
    return {}


async def _side_by_side(parallel: int, work: Sequence[Coroutine[Any, Any, float]]) -> list[float]:
    places = DeferredSemaphore(parallel)
    done: list[float] = await gatherResults([places.run(Deferred.fromCoroutine, one) for one in work])
    return done


async def _timed(work: Awaitable[Any]) -> float:
    begin = time.perf_counter()
    await work
    return time.perf_counter() - begin


async def proofs(reactor: Any, server: str, connections: int, seconds: float) -> Figures:
    """Proofs over open connections, one after the other on each."""
    address = Multiaddr.parse(server)
    assert address.peer_id is not None
    peer = address.peer_id
    hosts = [_host(reactor) for _ in range(connections)]
    await gatherResults([Deferred.fromCoroutine(host.connect([address])) for host in hosts])
    done = 0
    end = time.perf_counter() + seconds

    async def ask(host: Host) -> None:
        nonlocal done
        while time.perf_counter() < end:
            stream = await host.open_messages(peer, [PROOF_PROTOCOL_NONCE], MAX_PROOF_RESPONSE_BYTES, ANSWER_SECONDS)
            stream.write(ProofRequest(issuer=peer.multihash, nonce=os.urandom(16)).SerializeToString())
            if ProofResponse.FromString(await stream.read()).error != OK:
                raise RuntimeError("no proof")
            stream.close()
            done += 1

    begin = time.perf_counter()
    await gatherResults([Deferred.fromCoroutine(ask(host)) for host in hosts])
    took = time.perf_counter() - begin
    await gatherResults([host.stop() for host in hosts])
    return {"asked": done, "seconds": took}


async def idle(reactor: Any, server: str, connections: int) -> None:
    """Open connections, each of a peer of its own, and keep them."""
    address = Multiaddr.parse(server)
    hosts = [_host(reactor) for _ in range(connections)]
    places = DeferredSemaphore(DIALS_AT_ONCE)
    begin = time.perf_counter()
    await gatherResults([places.run(lambda h: Deferred.fromCoroutine(h.connect([address])), host) for host in hosts])
    print(json.dumps({"connections": connections, "seconds": time.perf_counter() - begin}), flush=True)
    while sum(len(host.connections(address.peer_id)) for host in hosts if address.peer_id) == connections:
        await deferLater(reactor, 1.0)
    print(json.dumps({"lost": True}), flush=True)
    await Deferred()


TASKS = {"one": one, "many": many, "again": again, "proofs": proofs, "idle": idle}


if __name__ == "__main__":
    run_task(TASKS)
