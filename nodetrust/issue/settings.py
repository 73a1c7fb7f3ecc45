"""The settings of the issue server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from nodetrust.certificates import CRYPTO_NAMES, CryptoName
from nodetrust.libp2p.keys import PublicKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.names import NameChoice
from nodetrust.settings import PeerSettings, SettingsError, ZoneName, described

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"


class IssueSettings(PeerSettings, frozen=True, kw_only=True):
    """What an operator may say about an issue server."""

    zone: Annotated[ZoneName, described("the zone in which peers get their names")]
    proof_servers: Annotated[
        tuple[Multiaddr, ...], described("a proof server whose proofs are trusted, with its /p2p peer ID")
    ]
    dns_servers: Annotated[
        tuple[Multiaddr, ...],
        described("a DNS server of the zone, with its /p2p peer ID; each must list this server's peer ID as an admin"),
    ]
    state: Annotated[Path, described("the folder for the peer's key, and for the store where it is SQLite")] = Path(
        "~/.nodetrust/issue"
    ).expanduser()
    listen: Annotated[tuple[Multiaddr, ...], described("a multiaddr to listen on for libp2p")] = (
        Multiaddr.parse("/ip4/0.0.0.0/tcp/8959"),
    )
    acme_directory: Annotated[str, described("the URL of the CA's ACME directory")] = LETS_ENCRYPT
    acme_ca_file: Annotated[
        Path | None, described("PEM file with the root of the CA's own HTTPS, where the system does not know it")
    ] = None
    acme_profile: Annotated[str, described("the certificate profile to order, where the CA has several")] = ""
    agree_to_terms: Annotated[bool, described("you agree to the CA's terms of service; nothing is issued without")] = (
        False
    )
    contact: Annotated[tuple[str, ...], described("an e-mail address for the CA's account")] = ()
    names: Annotated[
        NameChoice,
        described(
            "which names a certificate may carry: those of the proven addresses and the peer's own (addresses), the "
            "peer's own and everything below it (peer), or both"
        ),
    ] = "addresses"
    cryptos: Annotated[tuple[CryptoName, ...], described("a key algorithm that is offered, best first")] = (
        "ecdsa-p256",
        "ecdsa-p384",
        "rsa",
    )
    store: Annotated[str, described("the URL of the database; SQLite in the state folder when empty")] = ""
    allow_private: Annotated[
        bool, described("also give names of loopback and private addresses; no public CA signs them: for tests")
    ] = False
    require_nonce: Annotated[
        bool, described("refuse proofs that were not made for this server and visit; shuts out clients of 2018")
    ] = False

    def check(self) -> None:
        """What must hold between settings."""
        for key, addresses in (("proof_servers", self.proof_servers), ("dns_servers", self.dns_servers)):
            if not addresses:
                raise SettingsError(f"{key}: expected at least one multiaddr with /p2p/PEER-ID")
            for address in addresses:
                if address.peer_id is None or PublicKey.from_peer_id(address.peer_id) is None:
                    raise SettingsError(
                        f"{key}: expected a multiaddr that ends in /p2p/PEER-ID, of an Ed25519 or secp256k1 key, "
                        f"got {address}"
                    )
        if not self.cryptos:
            raise SettingsError(f"cryptos: expected at least one of {', '.join(CRYPTO_NAMES)}")
        if not self.agree_to_terms:
            raise SettingsError(
                f"agree_to_terms: expected true: read the terms of service of {self.acme_directory}, and agree to them"
            )

    @property
    def proof_keys(self) -> dict[PeerId, PublicKey]:
        """The keys whose proofs are trusted: those of the proof servers."""
        peers = [address.peer_id for address in self.proof_servers]
        return {peer: key for peer in peers if peer is not None and (key := PublicKey.from_peer_id(peer)) is not None}

    @property
    def crypto_numbers(self) -> tuple[int, ...]:
        """`cryptos` as the protocol's numbers."""
        return tuple(CRYPTO_NAMES[name] for name in self.cryptos)
