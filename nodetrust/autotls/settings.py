"""The settings of the AutoTLS broker."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.lists.prefixes import read_network
from nodetrust.lists.settings import ListedSettings
from nodetrust.names import InvalidName, check_certificate_name
from nodetrust.settings import HostPort, SettingsError, ZoneName, described

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"

SECONDS_A_DAY = 86400.0


class AutoTlsSettings(ListedSettings, frozen=True, kw_only=True):
    """What an operator may say about a broker."""

    zone: Annotated[ZoneName, described("the zone in which nodes get their names, `*.<peer>.<zone>`")]
    registration_name: Annotated[
        tuple[str, ...],
        described("the name in the URL under which clients reach this broker; requests for others are refused"),
    ]
    dns_servers: Annotated[
        tuple[Multiaddr, ...],
        described("a DNS server of the zone, with its /p2p peer ID; each must list this broker's peer ID as an admin"),
    ]
    state: Annotated[Path, described("the folder for the peer's key, and for the store where it is SQLite")] = Path(
        "~/.nodetrust/autotls"
    ).expanduser()
    listen: Annotated[
        tuple[Multiaddr, ...], described("a multiaddr to listen on for libp2p, which no client needs")
    ] = ()
    https_listen: Annotated[
        tuple[HostPort, ...],
        described("an address for HTTPS with the broker's own certificate, such as 0.0.0.0:443"),
    ] = ()
    acme_directory: Annotated[
        str, described("the URL of the ACME directory of the CA for the broker's own certificate, with https_listen")
    ] = LETS_ENCRYPT
    acme_ca_file: Annotated[
        Path | None, described("PEM file with the root of the CA's own HTTPS, where the system does not know it")
    ] = None
    acme_profile: Annotated[str, described("the certificate profile to order, where the CA has several")] = ""
    agree_to_terms: Annotated[
        bool, described("you agree to the CA's terms of service; needed with https_listen, for nothing else")
    ] = False
    contact: Annotated[tuple[str, ...], described("an e-mail address for the CA's account")] = ()
    external_tls: Annotated[
        tuple[HostPort, ...],
        described("an address for plain HTTP, for a proxy in front that speaks TLS, such as 127.0.0.1:8080"),
    ] = ()
    proxies: Annotated[
        tuple[str, ...], described("a prefix from which proxies come: their X-Forwarded-For, or PROXY header, counts")
    ] = ()
    proxy_protocol: Annotated[
        bool, described("external_tls expects a PROXY header (version 1 or 2), and takes connections of proxies alone")
    ] = False
    dns_confirmations: Annotated[
        int, described("how many DNS servers must have a value before a client is told so; 0 is all", ge=0)
    ] = 0
    value_seconds: Annotated[
        int,
        described("after how long a value is taken back; DNS servers forget it after their challenge_seconds", ge=60),
    ] = 600
    allow_networks: Annotated[
        tuple[str, ...],
        described("a prefix whose addresses are dialled though they are not public, for a LAN: 10.0.0.0/8"),
    ] = ()
    same_address: Annotated[
        bool, described("only what is at the address that the request came from counts as the node's")
    ] = False
    access_token_file: Annotated[
        Path | None, described("a file with a text that each request must have in its header Forge-Authorization")
    ] = None
    bearer_days: Annotated[
        int,
        described("for how long a client that has proven its key need not do so again; nim-libp2p needs long", ge=1),
    ] = 200
    registrations_per_peer: Annotated[int, described("for one peer in an hour; 0 is no limit", ge=0)] = 60
    registrations_per_address: Annotated[
        int, described("for one IPv4 address or IPv6 /64 in an hour; 0 is no limit", ge=0)
    ] = 300
    registrations_per_48: Annotated[int, described("for one IPv6 /48 in an hour; 0 is no limit", ge=0)] = 1000
    store: Annotated[
        str, described("the URL of the database, which replicas share; SQLite in the state folder when empty")
    ] = ""
    metrics_listen: Annotated[
        HostPort | None, described("an address to answer Prometheus on, over HTTP, such as 127.0.0.1:9154")
    ] = None
    nameserver: Annotated[
        HostPort | None, described("the DNS server to look up names in clients' addresses at; the system's if none")
    ] = None
    trust_file: Annotated[
        Path | None, described("PEM file with further roots to trust when dialling WSS, for tests and private CAs")
    ] = None

    def check(self) -> None:
        """What must hold between settings."""
        if not self.registration_name:
            raise SettingsError("registration_name: expected at least one name")
        if not self.dns_servers:
            raise SettingsError("dns_servers: expected at least one multiaddr with /p2p/PEER-ID")
        for address in self.dns_servers:
            if address.peer_id is None:
                raise SettingsError(f"dns_servers: expected a multiaddr that ends in /p2p/PEER-ID, got {address}")
        if not self.external_tls and not self.https_listen:
            raise SettingsError("https_listen: expected an address to listen on, here or in external_tls")
        self._check_own_certificate()
        if self.proxy_protocol and not self.proxies:
            raise SettingsError("proxy_protocol: proxies must say from where such connections come")
        for key in ("proxies", "allow_networks"):
            _networks(key, getattr(self, key))
        ListedSettings.check(self)

    def _check_own_certificate(self) -> None:
        if not self.https_listen:
            return
        if not self.agree_to_terms:
            raise SettingsError("agree_to_terms: expected true: read the terms of the CA, and agree to them")
        for name in self.registration_name:
            try:
                check_certificate_name(name)
            except InvalidName as error:
                raise SettingsError(f"registration_name: {error}") from None

    @property
    def proxy_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """`proxies`, read."""
        return _networks("proxies", self.proxies)

    @property
    def open_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """`allow_networks`, read."""
        return _networks("allow_networks", self.allow_networks)


def _networks(key: str, texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(read_network(text) for text in texts)
    except ValueError as error:
        raise SettingsError(f"{key}: {error}") from None
