"""From the host part of an address to the IP addresses to try."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IHostnameResolver, IHostResolution, IResolutionReceiver, IResolver
from twisted.names import dns
from twisted.names.error import DomainError, ResolverError
from twisted.python.failure import Failure
from zope.interface import implementer

from nodetrust.libp2p.errors import DialError
from nodetrust.libp2p.parallel import in_parallel
from nodetrust.libp2p.transports.address import TransportAddress

MAX_ADDRESSES = 8
"""How many addresses of one name are tried; a name may list more than anybody would want to dial."""

LOOKUP_SECONDS = (2, 4)
"""How long the first and the second try of a look-up may take; the dial has its own limit."""

_RECORD_TYPES = {"dns4": (dns.A,), "dns6": (dns.AAAA,), "dns": (dns.AAAA, dns.A)}


async def resolve(target: TransportAddress, dns_resolver: IResolver | None, names: IHostnameResolver) -> list[str]:
    """IP addresses of the target: itself if it is one, else A for dns4, AAAA for dns6 and both for dns.

    `dns_resolver` is asked if given, else `names`, which is the reactor's. Raises `DialError` if there is none.
    """
    if target.host_protocol in {"ip4", "ip6"}:
        return [target.host]
    types = _RECORD_TYPES[target.host_protocol]
    if dns_resolver is not None:
        found = await _ask_dns(target.host, types, dns_resolver)
    else:
        found = await _ask_system(target.host, types, names)
    if not found:
        raise DialError(f"The name {target.host} has no address of the kind {target.host_protocol}")
    return list(dict.fromkeys(found))[:MAX_ADDRESSES]


async def _ask_dns(name: str, types: Sequence[int], resolver: IResolver) -> list[str]:
    lookups = {dns.A: resolver.lookupAddress, dns.AAAA: resolver.lookupIPV6Address}
    found = await in_parallel(_awaited(_records(lookups[kind](name, timeout=LOOKUP_SECONDS), kind)) for kind in types)
    return [address for addresses in found for address in addresses]


async def _awaited(records: Deferred[list[str]]) -> list[str]:
    return await records


def _records(lookup: Deferred[Any], kind: int) -> Deferred[list[str]]:
    def pick(sections: tuple[list[dns.RRHeader], object, object]) -> list[str]:
        payloads = [record.payload for record in sections[0] if record.type == kind]
        return [text for text in map(_address_text, payloads) if text is not None]

    def nothing(failure: Failure) -> list[str]:
        failure.trap(DomainError, ResolverError, dns.DNSQueryTimeoutError, TimeoutError)
        return []

    return lookup.addCallbacks(pick, nothing)


_AddressRecord = dns.Record_A | dns.Record_AAAA


def _address_text(payload: object) -> str | None:
    """twisted.names keeps the address packed, A as 4 bytes and AAAA as 16."""
    return str(ip_address(payload.address)) if isinstance(payload, _AddressRecord) and payload.address else None


async def _ask_system(name: str, types: Sequence[int], resolver: IHostnameResolver) -> list[str]:
    kinds = [{dns.A: IPv4Address, dns.AAAA: IPv6Address}[kind] for kind in types]
    collected = _Collected()
    resolver.resolveHostName(collected, name, addressTypes=kinds)
    return await collected.complete


@implementer(IResolutionReceiver)
class _Collected:
    """Receives the reactor's answers (`IResolutionReceiver`)."""

    def __init__(self) -> None:
        self.complete: Deferred[list[str]] = Deferred()
        self._hosts: list[str] = []

    def resolutionBegan(self, resolution: IHostResolution) -> None:
        """Nothing to remember: the reactor can't cancel a look-up."""

    def addressResolved(self, address: IAddress) -> None:
        if isinstance(address, IPv4Address | IPv6Address):
            self._hosts.append(address.host)

    def resolutionComplete(self) -> None:
        self.complete.callback(self._hosts)
