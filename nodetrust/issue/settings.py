"""The settings of the issue server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta

from nodetrust.broker.settings import BrokerSettings
from nodetrust.certificates import CRYPTO_NAMES, CryptoName
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.names import NameChoice
from nodetrust.ordering import OrderingSettings, check_peers, peers_of
from nodetrust.own.names import checked_names, names_to_order
from nodetrust.settings import HostPort, Settings, SettingsError, described

LETS_ENCRYPT_LIMITS = {
    "certificates_per_week": 50,
    "same_names_per_week": 5,
    "orders_per_3_hours": 300,
    "failures_per_hour": 5,
}
"""<https://letsencrypt.org/docs/rate-limits/>, as of August 2026."""

Count = Annotated[int, Meta(ge=0)]

_ACME_KEYS = {"directory": "acme_directory", "root_file": "acme_ca_file", "profile": "acme_profile"}

ChallengeType = Literal["dns-01", "dns-persist-01"]


class CaSettings(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One CA; of several, the first that is not down, out of quota or refusing is asked.

    A limit that is not given is Let's Encrypt's where the directory is theirs, else none; 0 is none.
    """

    directory: Annotated[str, described("the URL of the CA's ACME directory")]
    root_file: Annotated[
        Path | None, described("PEM file with the root of the CA's own HTTPS, where the system does not know it")
    ] = None
    profile: Annotated[str, described("the certificate profile to order, where the CA has several")] = ""
    chain: Annotated[
        str, described("the common name of the issuer whose chain to take, where the CA offers several")
    ] = ""
    challenge: Annotated[
        ChallengeType,
        described(
            "dns-persist-01 needs the CA's account in the DNS servers' `persist`; where it is not offered, dns-01"
        ),
    ] = "dns-01"
    eab_kid: Annotated[str, described("the key ID of the external account binding, where the CA asks for one")] = ""
    eab_key_file: Annotated[Path | None, described("the file with its HMAC key, base64url as the CA gave it")] = None
    certificates_per_week: Annotated[Count | None, described("certificates for new names")] = None
    same_names_per_week: Annotated[Count | None, described("certificates for the very same names")] = None
    orders_per_3_hours: Annotated[Count | None, described("orders of our account")] = None
    failures_per_hour: Annotated[Count | None, described("failed validations of one name")] = None

    def check(self) -> None:
        """What must hold between settings."""
        if bool(self.eab_kid) != (self.eab_key_file is not None):
            raise SettingsError(f"ca: {self.directory}: expected eab_kid and eab_key_file together")

    def limit(self, name: str) -> int:
        """One of `LETS_ENCRYPT_LIMITS`, as it is here; 0 is no limit."""
        given: int | None = getattr(self, name)
        if given is not None:
            return given
        host = urlsplit(self.directory).hostname or ""
        return LETS_ENCRYPT_LIMITS[name] if host.endswith(".letsencrypt.org") else 0


class IssueSettings(OrderingSettings, frozen=True, kw_only=True):
    """What an operator may say about an issue server."""

    proof_servers: Annotated[
        tuple[Multiaddr, ...], described("a proof server whose proofs are trusted, with its /p2p peer ID")
    ]
    state: Annotated[Path, described("the folder for the peer's key, and for the store where it is SQLite")] = Path(
        "~/.nodetrust/issue"
    ).expanduser()
    listen: Annotated[tuple[Multiaddr, ...], described("a multiaddr to listen on for libp2p")] = (
        Multiaddr.parse("/ip4/0.0.0.0/tcp/8959"),
    )
    ca: Annotated[
        tuple[CaSettings, ...],
        described(
            "a table [[ca]] for each CA, best first, with directory, root_file, profile, limits and more, in place of "
            "the settings that begin with acme_"
        ),
    ] = ()
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
    allow_private: Annotated[
        bool, described("also give names of loopback and private addresses; no public CA signs them: for tests")
    ] = False
    quorum: Annotated[int, described("how many proof servers must vouch for an address", ge=1, le=16)] = 1
    proof_keys: Annotated[
        Path | None,
        described(
            "a file with the keys that proof servers sign with, where a server has others than its own, one a line: "
            "the peer ID of the server, a space, the ID of the key (see `nodetrust key rotate`); read again when it "
            "changes"
        ),
    ] = None
    max_open_orders: Annotated[int, described("orders with the CA at one time; further ones wait", ge=1)] = 100
    max_waiting_orders: Annotated[
        int, described("orders that wait for their turn; further ones are told to come back", ge=0)
    ] = 10_000
    orders_per_peer: Annotated[int, described("new certificates for one peer in a week; 0 is no limit", ge=0)] = 10
    orders_per_address: Annotated[
        int, described("new certificates for one IPv4 address or IPv6 /64 in a week; 0 is no limit", ge=0)
    ] = 20
    orders_per_48: Annotated[int, described("new certificates for one IPv6 /48 in a week; 0 is no limit", ge=0)] = 50
    renewal_share: Annotated[
        int, described("the percentage of each of the CA's limits that is for renewals alone", ge=0, le=100)
    ] = 50
    own_names: Annotated[
        tuple[str, ...],
        described(
            "a name of this server itself, for which it gets a certificate; a name of the zone that is no peer's must "
            "be among the DNS servers' `challenge_names`"
        ),
    ] = ()
    wss_listen: Annotated[
        tuple[Multiaddr, ...], described("a multiaddr to serve libp2p over WSS on, with the certificate of own_names")
    ] = ()
    https_listen: Annotated[
        tuple[HostPort, ...],
        described(
            "an address for HTTPS with this server's own certificate, such as 0.0.0.0:443: for the page and, unless "
            "that is behind a proxy, the AutoTLS broker"
        ),
    ] = ()
    autotls: BrokerSettings | None = None
    """A table [autotls]: an AutoTLS broker in this process."""
    require_nonce: Annotated[
        bool, described("refuse proofs that were not made for this server and visit; shuts out clients of 2018")
    ] = False
    checks: Annotated[
        bool,
        described("dial peers back over WSS when they ask whether their own addresses can be reached from outside"),
    ] = True

    def check(self) -> None:
        """What must hold between settings."""
        check_peers("proof_servers", self.proof_servers)
        OrderingSettings.check(self)
        for ca in self.ca:
            ca.check()
        if len({ca.directory for ca in self.cas}) < len(self.cas):
            raise SettingsError("ca: expected another directory in each table")
        if (self.wss_listen and not self.own_names) or (self.https_listen and not self.certificate_names):
            raise SettingsError("own_names: expected a name for the certificate of wss_listen and https_listen")
        self._check_broker()
        if self.quorum > len(self.proof_ids):
            raise SettingsError(f"quorum: expected at most {len(self.proof_ids)}, as many as proof servers")
        if not self.cryptos:
            raise SettingsError(f"cryptos: expected at least one of {', '.join(CRYPTO_NAMES)}")
        if not self.agree_to_terms:
            raise SettingsError(
                "agree_to_terms: expected true: read the terms of service of "
                f"{' and '.join(ca.directory for ca in self.cas)}, and agree to them"
            )

    def _check_broker(self) -> None:
        if self.autotls is None:
            return
        if not self.autotls.external_tls and not self.https_listen:
            raise SettingsError("https_listen: expected an address to listen on, here or in autotls.external_tls")
        if not self.autotls.hostnames.isdisjoint(checked_names("own_names", self.own_names)):
            raise SettingsError(
                "autotls.registration_name: expected another name than in own_names, which are for the page"
            )

    @property
    def serves_broker(self) -> bool:
        """Whether `https_listen` has the broker's pages as well: it does unless the broker is behind a proxy."""
        return self.autotls is not None and bool(self.https_listen) and not self.autotls.external_tls

    @property
    def certificate_names(self) -> tuple[str, ...]:
        """The names of this server's own certificate, sorted. Raises `SettingsError`."""
        names = checked_names("own_names", self.own_names)
        if self.autotls is not None and self.serves_broker:
            names |= checked_names("autotls.registration_name", self.autotls.registration_name)
        return names_to_order(names)

    @property
    def cas(self) -> tuple[CaSettings, ...]:
        """All CAs, best first."""
        if self.ca:
            return self.ca
        return (CaSettings(**{key: getattr(self, ours) for key, ours in _ACME_KEYS.items()}),)

    def key_of_ca(self, key: str) -> str:
        """What the operator calls a setting of a CA: where there is no table, `acme_` settings stand for it."""
        return f"ca: {key}" if self.ca else _ACME_KEYS[key]

    @property
    def proof_ids(self) -> frozenset[PeerId]:
        """The proof servers."""
        return peers_of(self.proof_servers)

    @property
    def crypto_numbers(self) -> tuple[int, ...]:
        """`cryptos` as the protocol's numbers."""
        return tuple(CRYPTO_NAMES[name] for name in self.cryptos)
