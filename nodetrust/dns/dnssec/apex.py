"""A zone whose answers are signed: the operator's records, those that publish its keys, and who signs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from nodetrust.dns.dnssec.keys import ZoneKey
from nodetrust.dns.dnssec.records import ds_rdata
from nodetrust.dns.dnssec.sign import Signer
from nodetrust.dns.errors import ZoneError
from nodetrust.dns.records import Name, Node, RRset, Type, name_to_text
from nodetrust.dns.zone.zone import Zone

KEYS_TTL = 3600
"""Seconds that resolvers may keep the keys: how long a rollover has to wait."""

_OURS = (Type.RRSIG, Type.NSEC, Type.DNSKEY, Type.NSEC3, Type.NSEC3PARAM)


def with_keys(zone: Zone, keys: Sequence[ZoneKey], clock: Callable[[], float] = time.time) -> Zone:
    """The zone with a signer, and with DNSKEY, CDS and CDNSKEY of all keys (RFC 7344); unchanged without keys.

    `clock` gives the time of day to the signer.
    CDS and CDNSKEY of the zone file win: with `CDS 0 0 0 00` an operator asks the parent to forget the keys
    (RFC 8078 §4). Raises ZoneError when the zone file is signed already.
    """
    if not keys:
        return zone
    _check_unsigned(zone)
    dnskeys = tuple(dict.fromkeys(key.dnskey for key in keys))
    published: dict[int, RRset] = {Type.DNSKEY: RRset(Type.DNSKEY, KEYS_TTL, dnskeys)}
    apex = zone.nodes[zone.origin]
    if Type.CDS not in apex.rrsets and Type.CDNSKEY not in apex.rrsets:
        published[Type.CDS] = RRset(Type.CDS, KEYS_TTL, tuple(ds_rdata(zone.origin, dnskey) for dnskey in dnskeys))
        published[Type.CDNSKEY] = RRset(Type.CDNSKEY, KEYS_TTL, dnskeys)
    nodes: dict[Name, Node] = dict(zone.nodes)
    nodes[zone.origin] = Node({**apex.rrsets, **published}, apex.negative_ttl)
    return replace(zone, nodes=nodes, signer=Signer(zone.origin, keys, clock))


def _check_unsigned(zone: Zone) -> None:
    for name, node in zone.nodes.items():
        for type_ in _OURS:
            if type_ in node.rrsets:
                text = f"{name_to_text(name)} has {type_.name} in the zone file, which cannot be with a dnssec_key"
                raise ZoneError(text)
