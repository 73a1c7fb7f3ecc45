"""The settings of the client."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from nodetrust.certificates import CryptoName
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.names import NameChoice
from nodetrust.settings import HostPort, PeerSettings, SettingsError, described


class ClientSettings(PeerSettings, frozen=True, kw_only=True):
    """What a user may say about a client."""

    issuer: Annotated[tuple[Multiaddr, ...], described("an address of the issue server, with its /p2p peer ID")]
    state: Annotated[Path, described("the folder for the peer's key, the certificate and its key")] = Path(
        "~/.nodetrust/client"
    ).expanduser()
    listen: Annotated[tuple[Multiaddr, ...], described("a multiaddr to listen on for libp2p")] = (
        Multiaddr.parse("/ip4/0.0.0.0/tcp/0"),
    )
    wss_listen: Annotated[
        tuple[Multiaddr, ...], described("a multiaddr to serve WSS on, once there is a certificate")
    ] = (Multiaddr.parse("/ip4/0.0.0.0/tcp/4443/tls/ws"),)
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
    announce_seconds: Annotated[float, described("how often to announce the WSS addresses", ge=1, le=3600)] = 5.0
    nameserver: Annotated[
        HostPort | None, described("a DNS server to ask for the names in multiaddrs, in place of the system's")
    ] = None
    trust_file: Annotated[
        Path | None, described("PEM file with further roots to trust when dialling WSS, for tests and private CAs")
    ] = None

    def check(self) -> None:
        """What must hold between settings."""
        if not self.issuer or any(address.peer_id != self.issuer[0].peer_id for address in self.issuer):
            raise SettingsError("issuer: expected addresses of one issue server")
        for key, addresses in (("issuer", self.issuer), ("bootstrap", self.bootstrap)):
            for address in addresses:
                if address.peer_id is None:
                    raise SettingsError(f"{key}: expected a multiaddr that ends in /p2p/PEER-ID, got {address}")
        for address in self.wss_listen:
            if not any(component.name in ("wss", "tls") for component in address.components):
                raise SettingsError(f"wss_listen: expected a multiaddr that ends in /tls/ws, got {address}")
