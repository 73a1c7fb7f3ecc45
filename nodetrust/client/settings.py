"""The settings of the client."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from nodetrust.certificates import CryptoName
from nodetrust.client.forward.target import Target
from nodetrust.client.renewal import CHECK_SECONDS, Intervals
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.names import NameChoice
from nodetrust.ordering import LETS_ENCRYPT
from nodetrust.settings import HostPort, PeerSettings, SettingsError, ZoneName, described

LIBP2P_DIRECT = ZoneName("libp2p.direct")

Preference: TypeAlias = Literal["issuer", "autotls"]
STATE_FOLDER = Path("~/.nodetrust/client").expanduser()
"""Where a client keeps what must outlive a restart, if nothing else is said."""


class ClientSettings(PeerSettings, frozen=True, kw_only=True):
    """What a user may say about a client."""

    issuer: Annotated[
        tuple[Multiaddr, ...],
        described(
            "an address of an issue server, with its /p2p peer ID; of several servers, the one that is named first is "
            "asked first, and the next where it fails"
        ),
    ] = ()
    autotls: Annotated[
        bool,
        described(
            "obtain a certificate by AutoTLS, for *.PEER.DOMAIN: this peer orders it from the CA, whose terms of "
            "service it agrees to, and a broker answers the CA's challenge"
        ),
    ] = False
    broker: Annotated[
        tuple[str, ...],
        described(
            "the URL of an AutoTLS broker, which turns autotls on; without one it is https://registration.DOMAIN"
        ),
    ] = ()
    domain: Annotated[ZoneName, described("the domain in which the AutoTLS broker gives names")] = LIBP2P_DIRECT
    acme_directory: Annotated[str, described("the URL of the ACME directory of the CA, for AutoTLS")] = LETS_ENCRYPT
    acme_root_file: Annotated[
        Path | None,
        described("PEM file with the root of the CA's own HTTPS, where neither the system nor trust_file has it"),
    ] = None
    forge_token: Annotated[
        str, described("the access token of an AutoTLS broker that wants one; rather in a file than in an option")
    ] = ""
    prefer: Annotated[
        Preference, described("which way to a certificate is tried first, where issue servers and AutoTLS are both set")
    ] = "issuer"
    state: Annotated[Path, described("the folder for the peer's key, the certificate and its key")] = STATE_FOLDER
    listen: Annotated[tuple[Multiaddr, ...], described("a multiaddr to listen on for libp2p")] = (
        Multiaddr.parse("/ip4/0.0.0.0/tcp/0"),
    )
    wss_listen: Annotated[
        tuple[Multiaddr, ...], described("a multiaddr to serve WSS on, once there is a certificate")
    ] = (Multiaddr.parse("/ip4/0.0.0.0/tcp/4443/tls/ws"),)
    forward: Annotated[
        Target | None,
        described(
            "the plain libp2p listener of a node to put WSS in front of, such as tcp:127.0.0.1:4001 or "
            "unix:/run/node.sock: what comes over WSS is then for it"
        ),
    ] = None
    map_ports: Annotated[bool, described("ask the router for a port mapping (PCP, NAT-PMP, UPnP)")] = True
    self_check: Annotated[bool, described("have WSS addresses dialled from outside before they are announced")] = True
    wss_port: Annotated[
        int,
        described(
            "the port under which others reach WSS, where it is another (port forwarding); 0: it is not", ge=0, le=65535
        ),
    ] = 0
    bootstrap: Annotated[
        tuple[Multiaddr, ...], described("a peer to connect to at the start, with its /p2p peer ID")
    ] = ()
    names: Annotated[
        NameChoice,
        described(
            "which names to ask for: of the proven addresses, of the peer and below, or both; the issue server "
            "must give them"
        ),
    ] = "addresses"
    crypto: Annotated[CryptoName, described("the algorithm of the certificate's key")] = "ecdsa-p256"
    check_seconds: Annotated[float, described("how often the issue server is asked when to renew", ge=60, le=86400)] = (
        CHECK_SECONDS
    )
    reissue_days: Annotated[
        float,
        described("renew with that much of a certificate left; at most, and where it is 0, a third of its life", ge=0),
    ] = 0.0
    panic_days: Annotated[
        float,
        described(
            "log as errors that there is no next certificate from that much before the end; 0: a tenth of its life",
            ge=0,
        ),
    ] = 0.0
    hook: Annotated[
        str,
        described(
            "a command for the shell after each new certificate, which then is in the state folder; NODETRUST_FOLDER, "
            "NODETRUST_NAMES and NODETRUST_ADDRESSES tell it more"
        ),
    ] = ""
    announce_seconds: Annotated[
        float,
        described("how often to announce the WSS addresses; who is not heard of for a minute is gone", ge=1, le=20),
    ] = 5.0
    zones: Annotated[
        tuple[ZoneName, ...], described("a zone: of announced names, hear only of those in one of these; else of all")
    ] = ()
    allow_private: Annotated[
        bool, described("also hear of peers at private addresses, and dial them: for tests and closed networks")
    ] = False
    nameserver: Annotated[
        HostPort | None, described("a DNS server to ask for the names in multiaddrs, in place of the system's")
    ] = None
    trust_file: Annotated[
        Path | None, described("PEM file with further roots to trust when dialling WSS, for tests and private CAs")
    ] = None

    def check(self) -> None:
        """What must hold between settings."""
        if not self.issuer and not self.brokers:
            raise SettingsError("issuer: expected an address of an issue server, or autotls")
        for key, urls in (("broker", self.broker), ("acme_directory", (self.acme_directory,))):
            for url in urls:
                check_url(key, url)
        for key, addresses in (("issuer", self.issuer), ("bootstrap", self.bootstrap)):
            for address in addresses:
                if address.peer_id is None:
                    raise SettingsError(f"{key}: expected a multiaddr that ends in /p2p/PEER-ID, got {address}")
        for address in self.wss_listen:
            if not any(component.name in ("wss", "tls") for component in address.components):
                raise SettingsError(f"wss_listen: expected a multiaddr that ends in /tls/ws, got {address}")

    @property
    def brokers(self) -> tuple[str, ...]:
        """The URLs of the AutoTLS brokers, best first; none where it is not wanted."""
        return self.broker or ((f"https://registration.{self.domain}",) if self.autotls else ())

    @property
    def intervals(self) -> Intervals:
        """The times of renewal."""
        return Intervals(self.check_seconds, timedelta(days=self.reissue_days), timedelta(days=self.panic_days))


def check_url(key: str, url: str) -> None:
    """Whether the setting `key` is the URL of an HTTPS server. Raises `SettingsError`."""
    try:
        parts = urlsplit(url)
        whole = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0 and not parts.username
    except ValueError:
        whole = False
    if not whole or not url.isascii() or not url.isprintable() or parts.query or parts.fragment:
        raise SettingsError(f"{key}: expected an https URL, got {url}")
