"""Several issue servers, or ways to a certificate, best first: what one of them can't do, the next is asked to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from twisted.logger import Logger

from nodetrust.client.errors import NoIssuer, Refused
from nodetrust.client.prove import peer_of
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId

T = TypeVar("T")
S = TypeVar("S")

Issuer = tuple[Multiaddr, ...]
"""The addresses of one issue server, each with its /p2p."""


def by_server(addresses: Sequence[Multiaddr]) -> tuple[Issuer, ...]:
    """The addresses of each issue server together, in the order in which the servers are first named."""
    servers: dict[PeerId, list[Multiaddr]] = {}
    for address in addresses:
        servers.setdefault(peer_of([address]), []).append(address)
    return tuple(map(tuple, servers.values()))


@dataclass(slots=True)
class _Server(Generic[S]):
    server: S
    refusal: Refused | None = None
    """Why it is left alone for a while, if it is."""
    rests_until: float = 0.0


class BestFirst(Generic[S]):
    """What can do the same work, in order of preference. `steady` is a clock that is never set, in seconds."""

    log = Logger()

    def __init__(self, servers: Sequence[S], steady: Callable[[], float]) -> None:
        self._servers = [_Server(one) for one in servers]
        self._steady = steady

    async def first(self, work: Callable[[S], Awaitable[T]]) -> T:
        """What `work` makes of the first one that it succeeds with.

        One that has said when to come back is left alone until then, unless there is no other. Raises what `work`
        raised, or `NoIssuer` where there are several.
        """
        failures: list[Exception] = []
        alone = len(self._servers) == 1
        for one in self._servers:
            if not alone and one.refusal is not None and self._steady() < one.rests_until:
                failures.append(one.refusal)
                continue
            try:
                return await work(one.server)
            except (NodetrustError, Libp2pError) as error:
                if alone:
                    raise
                self.log.info("{server}: {reason}", server=self.name_of(one.server), reason=str(error))
                failures.append(error)
                self._note(one, error)
        raise NoIssuer(failures)

    def name_of(self, server: S) -> str:
        """Which one it is, for the log."""
        return str(server)

    def _note(self, one: _Server[S], error: Exception) -> None:
        asked = error.retry_after_seconds if isinstance(error, Refused) else None
        if isinstance(error, Refused) and asked:
            one.refusal, one.rests_until = error, self._steady() + asked


class Issuers(BestFirst[Issuer]):
    """The issue servers of a client."""

    def __init__(self, addresses: Sequence[Multiaddr], steady: Callable[[], float]) -> None:
        super().__init__(by_server(addresses), steady)

    def name_of(self, server: Issuer) -> str:
        """By its peer ID."""
        return str(server[0].peer_id)
