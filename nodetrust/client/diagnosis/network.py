"""What is asked of issue and proof servers: each answer, or the error in its place."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, FirstError, TimeoutError, gatherResults

from nodetrust.addresses import by_family
from nodetrust.client.diagnosis.issuer import Reached
from nodetrust.client.diagnosis.proofs import Attempt
from nodetrust.client.prove import (
    MAX_PROOF_SERVERS,
    Purpose,
    ask_info,
    ask_proof,
    readable_addresses,
)
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError, Timeout
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import IssueInfo, ProofServer

T = TypeVar("T")

MAX_ISSUER_ADDRESSES = 16
"""Of one issue server."""

ANSWER_SECONDS = 8.0
"""For a dial, the issue info, a proof: what takes longer is of no use to a client either, and a person waits here."""


async def dial_all(host: Host, clock: Any, addresses: Sequence[Multiaddr]) -> dict[Multiaddr, Reached | Exception]:
    """Dial each address of a server by itself; one connection is left open."""
    dials = [_dial(host, clock, address) for address in addresses[:MAX_ISSUER_ADDRESSES]]
    return dict(zip(addresses, await together(dials), strict=False))


async def _dial(host: Host, clock: Any, address: Multiaddr) -> Reached | Exception:
    begun = clock.seconds()
    connection = await or_error(host.connect([address], anew=True), clock)
    if isinstance(connection, Exception):
        return connection
    reached = Reached(connection.security, clock.seconds() - begun)
    if len(host.connections(connection.remote_peer)) > 1:
        connection.close()
    return reached


async def read_info(host: Host, clock: Any, addresses: Sequence[Multiaddr]) -> IssueInfo | Exception:
    """What an issue server says to this peer."""
    return await or_error(ask_info(host, addresses), clock)


async def ask_proofs(host: Host, clock: Any, info: IssueInfo, issuer: PeerId) -> list[Attempt]:
    """A proof of each proof server over each family that it has."""
    purpose = Purpose(issuer, info.nonce)
    return await together(
        [
            _attempt(host, clock, purpose, server, family=family, addresses=addresses)
            for server in list(info.proofs)[:MAX_PROOF_SERVERS]
            for family, addresses in (by_family(readable_addresses(server)) or {0: []}).items()
        ]
    )


async def _attempt(
    host: Host, clock: Any, purpose: Purpose, server: ProofServer, *, family: int, addresses: list[Multiaddr]
) -> Attempt:
    outcome = await or_error(ask_proof(host, clock, server, addresses, purpose), clock)
    return Attempt(server.id, server.display, family, outcome)


async def or_error(work: Coroutine[Any, Any, T], clock: Any, seconds: float = ANSWER_SECONDS) -> T | Exception:
    """What comes of it in so many seconds, or the error."""
    try:
        return await Deferred.fromCoroutine(work).addTimeout(seconds, clock)
    except TimeoutError:
        return Timeout(f"no answer within {seconds:g} seconds")
    except (Libp2pError, NodetrustError) as error:
        return error


async def together(works: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all, in their order; cancelling cancels each."""
    try:
        return list(await gatherResults(list(map(Deferred.fromCoroutine, works)), consumeErrors=True))
    except FirstError as first:  # cancelled, or a bug
        first.subFailure.raiseException()
