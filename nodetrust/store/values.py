"""What the store keeps, as values. Times are aware; they are kept to the second."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """Our account at the CA with this directory.

    `key_pem` is the private key, PKCS#8; `next_key_pem` the one that takes its place while a rollover is under way: it
    is here before the CA hears of it.
    """

    directory_url: str
    key_pem: bytes
    account_url: str | None = None
    next_key_pem: bytes | None = None


@dataclass(frozen=True, slots=True)
class StoredCertificate:
    """A certificate that a peer was given, never with its private key.

    `peer_id`: the multihash. `names`: in any order; they come back sorted. `public_key_sha256`: of the certificate's
    SubjectPublicKeyInfo. `crypto`: the number of `nodetrust.Crypto`. `issuers_pem`: the chain without the certificate.
    `from_csr`: the peer made the key itself. `directory_url`: the CA; empty where it is not known any more.
    `renew_at`: when to renew, as the CA said when it was asked last, at `ari_checked_at` (RFC 9773), or when it was
    revoked.
    """

    peer_id: bytes
    names: tuple[str, ...]
    public_key_sha256: bytes
    crypto: int
    certificate_pem: bytes
    issuers_pem: bytes
    not_before: datetime
    not_after: datetime
    from_csr: bool
    directory_url: str = ""
    renew_at: datetime | None = None
    ari_checked_at: datetime | None = None
    id: int | None = field(default=None, compare=False)
    """The store gives it."""


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What is ordered, and for whom.

    `same`: 32 octets, SHA-256 of all that makes two requests the same. `peer_id`: the multihash. `crypto`: the number
    of `nodetrust.Crypto`. `csr_der`: None if the key is made here.
    """

    same: bytes
    peer_id: bytes
    names: tuple[str, ...]
    crypto: int
    csr_der: bytes | None


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order with the CA at `directory_url`.

    `placing`: the CA may have been asked for it, and its answer is not known. `order_url`: what the CA calls it, once
    it is known. `records`: the (name, value) of the TXT records that were or will be set for it. `settled`: it has
    ended, and only its records are still to be withdrawn. `replaces`: the ARI identifier of the certificate that it
    renews.
    """

    id: int
    request: OrderRequest
    directory_url: str
    order_url: str | None
    placing: bool
    records: tuple[tuple[str, str], ...]
    opened_at: datetime
    settled: bool
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class StoredTrouble:
    """How many times in a row the CA at `directory_url` failed us, and until when it is left alone.

    `reason`: of the last failure, for people. After a clock was set back, `until` may be far away: whoever reads it
    waits for no longer than its longest pause.
    """

    directory_url: str
    failures: int
    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class StoredRegistration:
    """The TXT value that an AutoTLS broker has set for the peer with this multihash, at its CID's name."""

    peer_id: bytes
    value: str
    set_at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class StoredDialback:
    """How an AutoTLS broker fared that dialled this peer. `outcome`: JSON, the broker's own."""

    peer_id: bytes
    dialled_at: datetime
    outcome: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """How many rows of each kind were deleted because nobody needs them any more."""

    certificates: int = 0
    orders: int = 0
    proofs: int = 0
    quotas: int = 0
    servers: int = 0
