"""What the store keeps, as values."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """Our account at the CA with this directory. `key_pem` is the private key, PKCS#8."""

    directory_url: str
    key_pem: bytes
    account_url: str | None = None


@dataclass(frozen=True, slots=True)
class StoredCertificate:
    """A certificate that a peer was given, never with its private key.

    `peer_id`: the multihash. `names`: in any order; they come back sorted. `public_key_sha256`: of the certificate's
    SubjectPublicKeyInfo. `crypto`: the number of `nodetrust.Crypto`. `issuers_pem`: the chain without the certificate.
    Times are aware, and kept to the second. `from_csr`: the peer made the key itself.
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
