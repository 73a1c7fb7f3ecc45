"""The settings of the AutoTLS broker, whichever role runs it."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from nodetrust.lists.prefixes import read_network
from nodetrust.settings import HostPort, Settings, SettingsError, described

SECONDS_A_DAY = 86400.0

_HOSTNAME = re.compile(r"[0-9A-Za-z]([0-9A-Za-z._-]{0,251}[0-9A-Za-z])?|\[[0-9A-Fa-f:.]{2,45}\]")
"""An IP address, too, which a LAN may want."""


class BrokerSettings(Settings, frozen=True, kw_only=True):
    """What an operator may say about a broker."""

    registration_name: Annotated[
        tuple[str, ...],
        described(
            "the name in the URL under which clients reach this broker; requests for others are refused; with HTTPS of "
            "our own it must be among the DNS servers' `challenge_names`"
        ),
    ]
    external_tls: Annotated[
        tuple[HostPort, ...],
        described(
            "an address for plain HTTP, for a proxy in front that speaks TLS, such as 127.0.0.1:8080; an issue server "
            "then has no broker on its own https_listen"
        ),
    ] = ()
    proxies: Annotated[
        tuple[str, ...], described("a prefix from which proxies come: their X-Forwarded-For, or PROXY header, counts")
    ] = ()
    proxy_protocol: Annotated[
        bool, described("external_tls expects a PROXY header (version 1 or 2), and takes connections of proxies alone")
    ] = False
    value_seconds: Annotated[
        int,
        described(
            "after how long a value is taken back; DNS servers forget it after their challenge_seconds", ge=60, le=86400
        ),
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
        described(
            "for how long a client that has proven its key need not do so again; nim-libp2p needs long", ge=1, le=3650
        ),
    ] = 200
    registrations_per_peer: Annotated[int, described("for one peer in an hour; 0 is no limit", ge=0)] = 60
    registrations_per_address: Annotated[
        int, described("for one IPv4 address or IPv6 /64 in an hour; 0 is no limit", ge=0)
    ] = 300
    registrations_per_48: Annotated[int, described("for one IPv6 /48 in an hour; 0 is no limit", ge=0)] = 1000
    metrics_listen: Annotated[
        HostPort | None, described("an address to answer Prometheus on, over HTTP, such as 127.0.0.1:9154")
    ] = None
    nameserver: Annotated[
        HostPort | None, described("the DNS server to look up names in clients' addresses at; the system's if none")
    ] = None

    def check(self) -> None:
        """What must hold between settings."""
        if not self.registration_name:
            raise SettingsError("registration_name: expected at least one name")
        for name in self.registration_name:
            if not _HOSTNAME.fullmatch(name):
                raise SettingsError(f"registration_name: expected a host's name alone, got {name!r}")
        if self.proxy_protocol and not self.external_tls:
            raise SettingsError("proxy_protocol: external_tls must say where such connections come")
        if self.proxy_protocol and not self.proxies:
            raise SettingsError("proxy_protocol: proxies must say from where such connections come")
        for key in ("proxies", "allow_networks"):
            _networks(key, getattr(self, key))

    @property
    def hostnames(self) -> frozenset[str]:
        """`registration_name`, in lower case."""
        return frozenset(name.lower() for name in self.registration_name)

    @property
    def bearer_seconds(self) -> float:
        """`bearer_days`, in seconds."""
        return self.bearer_days * SECONDS_A_DAY

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
