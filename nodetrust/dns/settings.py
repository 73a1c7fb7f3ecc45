"""The settings of the DNS server."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from nodetrust.dns.challenges.rights import Rights
from nodetrust.dns.challenges.table import DEFAULT_LIFE_SECONDS, MAX_LIFE_SECONDS
from nodetrust.dns.errors import ZoneError
from nodetrust.dns.limits.rates import DEFAULT_RATE, DEFAULT_SLIP
from nodetrust.dns.persist import MAX_VALUES as MAX_PERSIST_VALUES
from nodetrust.dns.persist import check_persist_value
from nodetrust.dns.records import MAX_STRING_BYTES, MAX_TTL, Name, is_within, name_to_text, parse_name
from nodetrust.dns.sources import DEFAULT_TTL
from nodetrust.dns.transport.tcp import DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_PER_CLIENT
from nodetrust.dns.zone.caa import check_caa_value
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.lists.prefixes import read_network
from nodetrust.lists.settings import ListedSettings
from nodetrust.settings import HostPort, SettingsError, ZoneName, described


class DnsSettings(ListedSettings, frozen=True, kw_only=True):
    """What an operator may say about a DNS server."""

    zone: Annotated[ZoneName, described("the zone that this server answers for, such as ip.example.org")]
    state: Annotated[Path, described("the folder for this server's libp2p key")] = Path("~/.nodetrust/dns").expanduser()
    listen: Annotated[tuple[Multiaddr, ...], described("a multiaddr to listen on for libp2p")] = (
        Multiaddr.parse("/ip4/0.0.0.0/tcp/8953"),
    )
    listen_dns: Annotated[
        tuple[HostPort, ...],
        described("an address to answer DNS on, over UDP and TCP: 192.0.2.1:53, or [::]:53 for every one, IPv4 too"),
    ] = (HostPort("127.0.0.1", 5353),)
    workers: Annotated[
        int, described("how many processes answer DNS side by side: one for each processor core is plenty", ge=1, le=64)
    ] = 1
    share_port: Annotated[
        bool,
        described(
            "let another server of the same user answer on the same addresses: to replace a running one without losing "
            "a query, start the new one, and stop the old one when the new one is ready"
        ),
    ] = False
    zone_file: Annotated[
        Path | None,
        described("the zone file with SOA, NS and whatever else the zone has; without one, this server is its `ns`"),
    ] = None
    dnssec_key: Annotated[
        tuple[Path, ...],
        described(
            "the file of a key, made by `nodetrust key dnssec`, with which answers are signed (DNSSEC). Of several the "
            "first signs, and all are published: to change the key add the new one as second, wait until the parent "
            "has its DS too and a day has passed, make it the first, and take the old one away a day later"
        ),
    ] = ()
    admins: Annotated[
        tuple[PeerId, ...], described("the peer ID of an issue server, which may set ACME challenges here")
    ] = ()
    admin_scopes: Annotated[
        tuple[str, ...],
        described(
            "PEER-ID=NAME: this admin may set challenges for this name and what is below it, and for no others; give "
            "it once more for another name"
        ),
    ] = ()
    challenge_names: Annotated[
        tuple[ZoneName, ...],
        described("a further name of the zone for which admins may set challenges, such as a server's own"),
    ] = ()
    persist: Annotated[
        tuple[str, ...],
        described(
            "what a CA finds at _validation-persist of every name that may have challenges, so that it needs none "
            '(dns-persist-01): "letsencrypt.org; accounturi=https://...; policy=wildcard"'
        ),
    ] = ()
    ttl: Annotated[int, described("how many seconds resolvers may keep addresses and peer IDs", ge=0, le=MAX_TTL)] = (
        DEFAULT_TTL
    )
    addresses: Annotated[
        Literal["all", "public", "private"], described("which addresses names resolve to: all, public or private")
    ] = "all"
    caa: Annotated[
        tuple[str, ...],
        described(
            "without a zone_file: who may sign for the zone, the value of a CAA record (RFC 8659, RFC 8657) such as "
            '"letsencrypt.org; accounturi=https://...; validationmethods=dns-01"'
        ),
    ] = ()
    version: Annotated[str, described("what CH TXT version.bind and version.server answer; refused when empty")] = ""
    server_id: Annotated[
        str,
        described("what CH TXT id.server and hostname.bind, and NSID, answer; refused when empty"),
    ] = ""
    challenge_seconds: Annotated[
        int, described("how long an ACME challenge lives unless it is removed", ge=10, le=int(MAX_LIFE_SECONDS))
    ] = int(DEFAULT_LIFE_SECONDS)
    max_tcp_connections: Annotated[
        int, described("how many TCP connections are open at once before the one idle longest is closed", ge=1)
    ] = DEFAULT_MAX_CONNECTIONS
    max_tcp_per_client: Annotated[
        int,
        described("how many of these an IPv4 address or an IPv6 /56 may have before its own idlest is closed", ge=1),
    ] = DEFAULT_MAX_PER_CLIENT
    rate_limit: Annotated[
        int,
        described(
            "answers a second over UDP for one address, by all workers together, and more for the prefixes around it; "
            "who asks more is sent to TCP. A DNS cookie exempts. 0 turns it off",
            ge=0,
        ),
    ] = DEFAULT_RATE
    rate_limit_slip: Annotated[
        int, described("over the limit, every how many queries are sent to TCP instead of dropped; 0 is none", ge=0)
    ] = DEFAULT_SLIP
    rate_limit_exempt: Annotated[
        tuple[str, ...], described("a prefix whose queries are not limited, such as 192.0.2.0/24; loopback never is")
    ] = ()
    cookies: Annotated[bool, described("give DNS cookies (RFC 9018) to clients that ask for one")] = True
    deny: Annotated[
        tuple[Path, ...],
        described(
            "a file with prefixes whose addresses are not answered, one a line; it may have peer IDs, which the other "
            "servers go by; read again when it changes"
        ),
    ] = ()
    allow: Annotated[
        tuple[Path, ...], described("a file with prefixes whose addresses are answered whatever a denylist says")
    ] = ()
    metrics_listen: Annotated[
        HostPort | None, described("an address to answer Prometheus on, over HTTP, such as 127.0.0.1:9153")
    ] = None
    log_queries: Annotated[bool, described("log a line for every query, which costs more than its answer")] = False

    def check(self) -> None:
        """DNS is served on addresses: a host name for one would need DNS."""
        for place in self.listen_dns:
            try:
                ip_address(place.host)
            except ValueError:
                raise SettingsError(f"listen_dns: expected an IP address and a port, got {place}") from None
        if not self.listen_dns:
            raise SettingsError("listen_dns: expected at least one address")
        if self.caa and self.zone_file is not None:
            raise SettingsError("caa: with a zone_file, the CAA records stand in that file")
        ListedSettings.check(self)
        for prefix in self.rate_limit_exempt:
            try:
                read_network(prefix)
            except ValueError as error:
                raise SettingsError(f"rate_limit_exempt: {error}") from None
        for value in self.caa:
            _check_caa(value)
        self._check_challenges()
        for key, text in (("version", self.version), ("server_id", self.server_id)):
            if not text.isascii() or len(text) > MAX_STRING_BYTES:
                raise SettingsError(f"{key}: expected at most {MAX_STRING_BYTES} ASCII characters")

    def _check_challenges(self) -> None:
        origin = parse_name(self.zone)
        rights = self.rights
        scopes = {scope for scopes in rights.scopes.values() for scope in scopes}
        for key, names in (("challenge_names", rights.names), ("admin_scopes", scopes)):
            for name in sorted(names):
                if not is_within(name, origin):
                    raise SettingsError(f"{key}: expected a name of the zone {self.zone}, got {name_to_text(name)}")
        for peer in rights.scopes:
            if peer not in rights.admins:
                raise SettingsError(f"admin_scopes: {peer} is not among the admins")
        if len(self.persist) > MAX_PERSIST_VALUES:
            raise SettingsError(f"persist: expected at most {MAX_PERSIST_VALUES} values")
        for value in self.persist:
            try:
                check_persist_value(value)
            except ZoneError as error:
                raise SettingsError(f"persist: {error}") from None

    @property
    def rights(self) -> Rights:
        """Who may set challenges, and for which names."""
        scopes: dict[PeerId, tuple[Name, ...]] = {}
        for peer, name in map(_read_scope, self.admin_scopes):
            scopes[peer] = (*scopes.get(peer, ()), name)
        return Rights(frozenset(self.admins), scopes, frozenset(map(parse_name, self.challenge_names)))


def _read_scope(text: str) -> tuple[PeerId, Name]:
    peer, separator, name = text.partition("=")
    if not separator:
        raise SettingsError(f"admin_scopes: expected PEER-ID=NAME, got {text}")
    try:
        return PeerId.parse(peer), parse_name(ZoneName.parse(name))
    except (Libp2pError, NodetrustError) as error:
        raise SettingsError(f"admin_scopes: {error}") from None


def _check_caa(value: str) -> None:
    try:
        if len(value) > MAX_STRING_BYTES or not value.isprintable() or '"' in value or "\\" in value:
            raise ZoneError(f"CAA: expected at most {MAX_STRING_BYTES} printable characters without quotes")
        check_caa_value(value)
    except ZoneError as error:
        raise SettingsError(f"caa: {error}") from None
