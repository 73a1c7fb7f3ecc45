"""The settings of a role that orders certificates from a CA, which the zone's DNS servers answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from nodetrust.libp2p.errors import InvalidKey
from nodetrust.libp2p.keys import PublicKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.lists.settings import ListedSettings
from nodetrust.settings import SettingsError, ZoneName, described

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"

STORE_FILE = "store.sqlite"
"""In the state folder, where no other database is configured."""


class OrderingSettings(ListedSettings, frozen=True, kw_only=True):
    """What an operator may say about orders; a role says more on top of it."""

    zone: Annotated[ZoneName, described("the zone in which peers get their names")]
    dns_servers: Annotated[
        tuple[Multiaddr, ...],
        described("a DNS server of the zone, with its /p2p peer ID; each must list this server's peer ID as an admin"),
    ]
    dns_confirmations: Annotated[
        int, described("how many DNS servers must have a challenge before it is built upon; 0 is all", ge=0)
    ] = 0
    acme_directory: Annotated[str, described("the URL of the CA's ACME directory")] = LETS_ENCRYPT
    acme_ca_file: Annotated[
        Path | None, described("PEM file with the root of the CA's own HTTPS, where the system does not know it")
    ] = None
    acme_profile: Annotated[str, described("the certificate profile to order, where the CA has several")] = ""
    agree_to_terms: Annotated[bool, described("you agree to the CA's terms of service; nothing is ordered without")] = (
        False
    )
    contact: Annotated[tuple[str, ...], described("an e-mail address for the CA's account")] = ()
    store: Annotated[
        str, described("the URL of the database, which replicas share; SQLite in the state folder when empty")
    ] = ""
    trust_file: Annotated[
        Path | None, described("PEM file with further roots to trust when dialling WSS, for tests and private CAs")
    ] = None

    def check(self) -> None:
        """What must hold between settings."""
        check_peers("dns_servers", self.dns_servers)
        if self.dns_confirmations > len(self.dns_ids):
            raise SettingsError(f"dns_confirmations: expected at most {len(self.dns_ids)}, as many as DNS servers")
        ListedSettings.check(self)

    @property
    def dns_ids(self) -> frozenset[PeerId]:
        """The DNS servers."""
        return peers_of(self.dns_servers)

    @property
    def store_url(self) -> str:
        """The database that `store` names, or the file in the state folder."""
        return self.store or f"sqlite:///{(self.state / STORE_FILE).absolute()}"


def check_peers(key: str, addresses: Sequence[Multiaddr]) -> None:
    """Whether the setting `key` names servers, by peer IDs that can be trusted. Raises `SettingsError`."""
    if not addresses:
        raise SettingsError(f"{key}: expected at least one multiaddr with /p2p/PEER-ID")
    for address in addresses:
        if address.peer_id is None or not _holds_a_key(address.peer_id):
            raise SettingsError(
                f"{key}: expected a multiaddr that ends in /p2p/PEER-ID, of an Ed25519 or secp256k1 key, got {address}"
            )


def peers_of(addresses: Sequence[Multiaddr]) -> frozenset[PeerId]:
    """Those that the addresses are of."""
    return frozenset(one.peer_id for one in addresses if one.peer_id is not None)


def _holds_a_key(peer: PeerId) -> bool:
    """Whether the key itself is in the peer ID, and fit to trust."""
    try:
        return PublicKey.from_peer_id(peer) is not None
    except InvalidKey:
        return False
