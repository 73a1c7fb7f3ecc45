"""From the settings to all that the server answers from; called at the start, and again when the zone file changes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from nodetrust.addresses import is_public
from nodetrust.dns.answer import Authority, Identity
from nodetrust.dns.challenges.table import ChallengeTable
from nodetrust.dns.dnssec.apex import with_keys
from nodetrust.dns.dnssec.keys import load as load_key
from nodetrust.dns.errors import ZoneError
from nodetrust.dns.persist import PersistSource
from nodetrust.dns.records import parse_name
from nodetrust.dns.settings import DnsSettings
from nodetrust.dns.sources import (
    AutoTlsSource,
    ChallengeSource,
    Ip4Source,
    Ip6Source,
    PeerSource,
    Policy,
    every_address,
)
from nodetrust.dns.zone.zone import Zone
from nodetrust.dns.zone.zonefile import default_zone_text, load_zone, parse_zone


def _is_private(address: IPv4Address | IPv6Address) -> bool:
    return not is_public(address)


POLICIES: dict[str, Policy] = {"all": every_address, "public": is_public, "private": _is_private}
"""By the words of the setting `addresses`."""


def read_zone(settings: DnsSettings) -> Zone:
    """The operator's records, from the zone file if there is one, and the keys that sign them, if there are any.

    Raises ZoneError for a zone file or a key that is refused. It reads files and may take seconds for a large one;
    nothing is shared with what answers meanwhile.
    """
    return with_keys(_read_records(settings), [load_key(path) for path in settings.dnssec_key])


def _read_records(settings: DnsSettings) -> Zone:
    origin = parse_name(settings.zone)
    if settings.zone_file is not None:
        return load_zone(settings.zone_file, origin)
    addresses = {place.host for place in settings.listen_dns if not ip_address(place.host).is_unspecified}
    if not addresses:
        raise ZoneError(
            "listen_dns is every address of this machine: say with a zone_file which one is the name server's"
        )
    return parse_zone(default_zone_text(sorted(addresses), settings.caa), origin, "the default zone")


def build_authority(
    settings: DnsSettings, zone: Zone, table: ChallengeTable, policy: Policy | None = None
) -> Authority:
    """A zone, and the sources that the settings describe; `table` is where challenges come from. Reads no file.

    `policy` stands in for that of the settings.
    """
    policy = policy or POLICIES[settings.addresses]
    persist = tuple(value.encode("ascii") for value in settings.persist)
    sources = (
        ChallengeSource(zone.origin, table),
        Ip4Source(settings.ttl, policy),
        Ip6Source(settings.ttl, policy),
        PeerSource(settings.ttl),
        *((PersistSource(zone.origin, persist, settings.rights.names),) if persist else ()),
        AutoTlsSource(settings.ttl, policy),  # of names below a peer's CID it leaves none to others
    )
    identity = Identity(settings.version.encode("utf-8"), settings.server_id.encode("utf-8"))
    return Authority(zone, sources, identity)
