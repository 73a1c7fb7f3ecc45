"""Asks issue and proof servers to dial our WSS addresses, and puts what they find into words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from nodetrust.client.issuers import Issuer, Issuers
from nodetrust.client.prove import ask_info, places_of
from nodetrust.client.reaching import Finding, Look
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import CheckFault
from nodetrust.names import IPAddress
from nodetrust.reachability.advice import Unreachable, advise
from nodetrust.reachability.ask import Checked, ask_check


@dataclass(frozen=True, slots=True)
class Router:
    """What is known of the router: whether it forwards the port to us, and its own address outside.

    `no_public_address`: it has said that it has none.
    """

    mapped: bool = False
    ip: IPAddress | None = None
    no_public_address: bool = False


AskOutside: TypeAlias = Callable[[Sequence[Multiaddr]], Awaitable[list[Checked]]]
"""What servers say of addresses that they have dialled; raises an error of ours where none says anything."""


def ask_outside(clock: Any, host: Host, issuers: Issuers) -> AskOutside:
    """The issue server is asked first, then the proof servers that it names."""

    async def ask_all(addresses: Sequence[Multiaddr]) -> list[Checked]:
        async def ask(issuer: Issuer) -> list[Checked]:
            info = await ask_info(host, issuer)
            servers = [*issuer, *(place for server in info.proofs for place in places_of(server))]
            return await ask_check(host, servers, addresses, clock)

        return await issuers.first(ask)

    return ask_all


def look_from_outside(ask: AskOutside, router: Callable[[], Router]) -> Look:
    """What `Reaching` looks with."""

    async def look(addresses: Sequence[Multiaddr]) -> list[Finding]:
        return [_finding(checked, router()) for checked in await ask(addresses)]

    return look


def _finding(checked: Checked, router: Router) -> Finding:
    outcome = checked.outcome
    if outcome.fault is None:
        return Finding(checked.address, reached=True)
    advice = advise(Unreachable(checked.address, outcome.fault, router.mapped, router.ip, router.no_public_address))
    unknown = outcome.fault == CheckFault.NOT_ALLOWED
    return Finding(checked.address, None if unknown else False, advice)
