"""The side of the peer that asks: whether its addresses can be dialled from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from nodetrust.addresses import by_family
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.errors import Libp2pError, NegotiationError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.message_stream import MessageStream
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import (
    CHECK_PROTOCOL,
    MAX_CHECK_RESPONSE_BYTES,
    OK,
    CheckFault,
    CheckRequest,
    CheckResponse,
    error_name,
    parse,
    readable,
)
from nodetrust.reachability.decide import MAX_ADDRESSES, spelled_ip
from nodetrust.reachability.errors import NotChecked
from nodetrust.reachability.outcome import Outcome, outcome_of

ANSWER_SECONDS = 20.0
"""For a server's answer: it dials for 14 seconds at most."""

ASK_SECONDS = 30.0
"""For one server, dialling it included."""

MAX_SERVERS = 4
"""How many are asked for one family of addresses."""

log = Logger()


@dataclass(frozen=True, slots=True)
class Checked:
    """What the server `by` says of an address. `NOT_ALLOWED`: nobody knows, for none was willing to dial it."""

    address: Multiaddr
    outcome: Outcome
    by: PeerId


async def ask_check(
    host: Host, servers: Sequence[Multiaddr], addresses: Sequence[Multiaddr], clock: IReactorTime
) -> list[Checked]:
    """What the servers say of `addresses`, each with /p2p; those of which none said anything are left out.

    `servers` are addresses with /p2p, best server first; a further one is asked where those before it do not answer, or
    will not dial. Each is dialled anew, over IPv4 for IPv4 addresses and over IPv6 for others: a server dials nothing
    but the address that the question comes from. Raises `NotChecked`: no server said anything.
    """
    found: dict[Multiaddr, Checked] = {}
    reasons: list[str] = []
    for version, asked in _by_version(addresses).items():
        for server, places in _over(version, servers)[:MAX_SERVERS]:
            left = [one for one in asked if _is_open(found.get(one))]
            if not left:
                break
            try:
                found.update(await _ask_in_time(host, server, places, left, clock))
            except (Libp2pError, NodetrustError) as error:
                log.info("{server} checks no address: {reason}", server=str(server), reason=str(error))
                reasons.append(f"{server}: {error}")
    if not found:
        raise NotChecked("; ".join(["no server checks the addresses", *reasons]))
    return [found[one] for one in dict.fromkeys(addresses) if one in found]


def _by_version(addresses: Sequence[Multiaddr]) -> dict[int, list[Multiaddr]]:
    """The addresses of IPv4 (4) and of IPv6 (6), no more of each than a server takes."""
    versions: dict[int, list[Multiaddr]] = {}
    for address in dict.fromkeys(addresses):
        ip = spelled_ip(address)
        if ip is not None:
            versions.setdefault(ip.version, []).append(address)
    return {version: found[:MAX_ADDRESSES] for version, found in versions.items()}


def _over(version: int, servers: Sequence[Multiaddr]) -> list[tuple[PeerId, list[Multiaddr]]]:
    """Each server that can be dialled over this version of IP, in the given order, with its addresses for that."""
    places: dict[PeerId, list[Multiaddr]] = {}
    for address in by_family(servers).get(version, []):
        if address.peer_id is not None:
            places.setdefault(address.peer_id, []).append(address)
    return list(places.items())


def _is_open(checked: Checked | None) -> bool:
    return checked is None or checked.outcome.fault == CheckFault.NOT_ALLOWED


async def _ask_in_time(
    host: Host, server: PeerId, places: Sequence[Multiaddr], addresses: Sequence[Multiaddr], clock: IReactorTime
) -> dict[Multiaddr, Checked]:
    asking = Deferred.fromCoroutine(_ask(host, server, places, addresses, clock))
    try:
        outcomes = await asking.addTimeout(ASK_SECONDS, clock)
    except TimeoutError:
        raise NotChecked(f"no answer within {ASK_SECONDS:g} seconds") from None
    return {address: Checked(address, outcome, server) for address, outcome in outcomes.items()}


async def _ask(
    host: Host, server: PeerId, places: Sequence[Multiaddr], addresses: Sequence[Multiaddr], clock: IReactorTime
) -> dict[Multiaddr, Outcome]:
    async with host.brief_connection(places, server) as connection:  # the only one is kept, for announcements
        response = await _exchange(connection, CheckRequest(addrs=map(bytes, addresses)), clock)
    if response.error != OK:
        raise NotChecked(readable(response.message) or f"error {error_name(response.error)}")
    return read_response(response, addresses)


async def _exchange(connection: Connection, request: CheckRequest, clock: IReactorTime) -> CheckResponse:
    try:
        below = await connection.open_stream([CHECK_PROTOCOL])
    except NegotiationError as error:
        raise NotChecked("the server is too old to check addresses, or is not to do it") from error
    stream = MessageStream(MAX_CHECK_RESPONSE_BYTES, clock, ANSWER_SECONDS)
    below.attach(stream)
    try:
        stream.write(request.SerializeToString())
        return parse(CheckResponse, await stream.read())
    finally:
        stream.close()


def read_response(response: CheckResponse, asked: Sequence[Multiaddr]) -> dict[Multiaddr, Outcome]:
    """What the response says of the addresses that were asked for; of none it may say nothing, or it is not used.

    Raises `NotChecked`.
    """
    names = {bytes(address): address for address in asked}
    outcomes = {names[one.addr]: outcome_of(one) for one in response.results if one.addr in names}
    if not outcomes:
        raise NotChecked("the answer is about none of the addresses")
    return outcomes
