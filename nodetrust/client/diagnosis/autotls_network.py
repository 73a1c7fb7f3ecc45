"""What is asked of brokers, of the CA, and of peers that speak AutoNAT: each answer, or the error in its place."""

from __future__ import annotations

from collections.abc import Sequence
from random import SystemRandom
from typing import Any

from twisted.internet.task import deferLater
from twisted.web.iweb import IAgent

from nodetrust.acme import AcmeClient, AcmeError, Deadline, generate_account_key
from nodetrust.client.autotls.account import Account
from nodetrust.client.autotls.broker import Broker
from nodetrust.client.diagnosis.authority import Directory
from nodetrust.client.diagnosis.network import or_error, together
from nodetrust.libp2p.autonat import AutoNat, Reached
from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId

CA_SECONDS = 15.0

IDENTIFY_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 0.1

MAX_PEERS = 4
"""That are asked about an address."""

DIAL_SECONDS = 20.0
"""For a peer's answer about one address; go-libp2p dials for 15 seconds at most."""


async def ask_health(broker: Broker, clock: Any) -> float | Exception:
    """How many seconds it took the broker to say that it is well."""
    begun = clock.seconds()
    answer = await or_error(broker.check_health(), clock, CA_SECONDS)
    return answer if isinstance(answer, Exception) else clock.seconds() - begun


class Ca:
    """The CA that this peer orders from, asked in the name of its account, if it has one. Nothing is made there."""

    def __init__(self, reactor: Any, directory: str, agent: IAgent, account: Account | None) -> None:
        key = generate_account_key() if account is None else account.key
        self._client = AcmeClient(reactor, directory, key, agent=agent)
        self._reactor = reactor

    async def ask_directory(self) -> Directory | Exception:
        """What it says of itself."""
        try:
            found = await self._client.directory(Deadline(self._reactor, CA_SECONDS))
        except AcmeError as error:
            return error
        return Directory(found.caa_identities, found.renewal_info is not None, not found.external_account_required)

    async def ask_account(self) -> str | Exception | None:
        """The URL of the account; None where the CA does not know it."""
        try:
            return await self._client.find_account(Deadline(self._reactor, CA_SECONDS))
        except AcmeError as error:
            return error


async def meet_peers(host: Host, clock: Any, addresses: Sequence[Multiaddr]) -> list[Connection]:
    """Connections to the peers at these addresses that can be reached, who have said what they speak, if they will."""
    met = await together([or_error(host.connect([address]), clock) for address in addresses])
    connections = [one for one in met if not isinstance(one, Exception)]
    give_up = clock.seconds() + IDENTIFY_SECONDS
    while any(one.remote_identify is None for one in connections) and clock.seconds() < give_up:
        await deferLater(clock, LOOK_AGAIN_SECONDS)
    return connections


async def ask_peers(host: Host, clock: Any, addresses: Sequence[Multiaddr]) -> dict[Multiaddr, dict[PeerId, Reached]]:
    """What connected peers say of addresses that they have dialled; nothing where nobody speaks AutoNAT."""
    autonat = AutoNat(host, clock, SystemRandom())
    autonat.start()
    servers = autonat.servers()[:MAX_PEERS]
    found: dict[Multiaddr, dict[PeerId, Reached]] = {}
    for address in addresses if servers else ():
        said = await together([or_error(autonat.ask(one, address), clock, DIAL_SECONDS) for one in servers])
        found[address] = {
            server.remote_peer: Reached.UNKNOWN if isinstance(one, Exception) else one
            for server, one in zip(servers, said, strict=True)
        }
    return found
