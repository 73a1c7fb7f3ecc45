"""Several issue servers, best first: what one of them can't do, the next is asked to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from twisted.logger import Logger

from nodetrust.client.errors import NoIssuer, Refused
from nodetrust.client.prove import peer_of
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId

T = TypeVar("T")

Issuer = tuple[Multiaddr, ...]
"""The addresses of one issue server, each with its /p2p."""


def by_server(addresses: Sequence[Multiaddr]) -> tuple[Issuer, ...]:
    """The addresses of each issue server together, in the order in which the servers are first named."""
    servers: dict[PeerId, list[Multiaddr]] = {}
    for address in addresses:
        servers.setdefault(peer_of([address]), []).append(address)
    return tuple(map(tuple, servers.values()))


@dataclass(slots=True)
class _Server:
    addresses: Issuer
    refusal: Refused | None = None
    """Why it is left alone for a while, if it is."""
    rests_until: float = 0.0


class Issuers:
    """The issue servers of a client. `steady` is a clock that is never set, in seconds."""

    log = Logger()

    def __init__(self, addresses: Sequence[Multiaddr], steady: Callable[[], float]) -> None:
        self._servers = [_Server(one) for one in by_server(addresses)]
        self._steady = steady

    async def first(self, work: Callable[[Issuer], Awaitable[T]]) -> T:
        """What `work` makes of the first issue server that it succeeds with.

        A server that has said when to come back is left alone until then, unless there is no other. Raises what `work`
        raised, or `NoIssuer` where there are several servers.
        """
        failures: list[Exception] = []
        alone = len(self._servers) == 1
        for server in self._servers:
            if not alone and server.refusal is not None and self._steady() < server.rests_until:
                failures.append(server.refusal)
                continue
            try:
                return await work(server.addresses)
            except (NodetrustError, Libp2pError) as error:
                if alone:
                    raise
                self.log.info("{peer}: {reason}", peer=str(server.addresses[0].peer_id), reason=str(error))
                failures.append(error)
                self._note(server, error)
        raise NoIssuer(failures)

    def _note(self, server: _Server, error: Exception) -> None:
        asked = error.retry_after_seconds if isinstance(error, Refused) else None
        if isinstance(error, Refused) and asked:
            server.refusal, server.rests_until = error, self._steady() + asked
