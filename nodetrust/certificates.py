"""The keys, the CSRs and the PEM files that client and issue server both make. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from nodetrust.errors import NodetrustError
from nodetrust.messages import ECDSA_P256, ECDSA_P384, RSA

CertificateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
"""The private key of a certificate, which is never the key of a peer."""

RSA_BITS = 2048
"""Of the RSA keys we make; what every CA takes and every client reads."""

RSA_EXPONENT = 65537
"""The one exponent that Let's Encrypt takes."""

MAX_CHAIN_CERTIFICATES = 8
"""Of a chain that is read; Let's Encrypt's have two or three."""

CryptoName = Literal["ecdsa-p256", "ecdsa-p384", "rsa"]

CRYPTO_NAMES: dict[CryptoName, int] = {"ecdsa-p256": ECDSA_P256, "ecdsa-p384": ECDSA_P384, "rsa": RSA}
"""How settings and messages for people write the algorithms, best first."""


class InvalidCertificate(NodetrustError):
    """A certificate, chain or key that cannot be read, or that is not the one it should be."""


def make_key(crypto: int) -> CertificateKey:
    """A new key of one of `CRYPTO_NAMES`; takes some 20 ms for RSA, so keep that off the reactor thread."""
    if crypto == RSA:
        return rsa.generate_private_key(public_exponent=RSA_EXPONENT, key_size=RSA_BITS)
    return ec.generate_private_key(ec.SECP256R1() if crypto == ECDSA_P256 else ec.SECP384R1())


def key_crypto(key: object) -> int | None:
    """The algorithm of a private or public key of `cryptography`; None for one that certificates here do not have."""
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        return RSA
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return {"secp256r1": ECDSA_P256, "secp384r1": ECDSA_P384}.get(key.curve.name)
    return None


def make_csr(key: CertificateKey, names: Iterable[str]) -> bytes:
    """A DER PKCS#10 request for `names`, with an empty subject: a CN has no use and a limit of 64 octets."""
    alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in sorted(names)])
    builder = (
        x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(alternative, critical=True)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def key_to_pem(key: CertificateKey) -> bytes:
    """PKCS#8, not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def key_from_pem(pem: bytes) -> CertificateKey:
    """Read a PEM private key; raises `InvalidCertificate` when it is not one for a certificate of ours."""
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise InvalidCertificate(f"the private key cannot be read: {error}") from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise InvalidCertificate("the private key is neither RSA nor ECDSA")
    return key


@dataclass(frozen=True, slots=True)
class Chain:
    """A certificate and the CA certificates that lead to a root."""

    leaf: x509.Certificate
    authorities: tuple[x509.Certificate, ...]

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Read leaf first, then its issuers; raises `InvalidCertificate`."""
        try:
            certificates = x509.load_pem_x509_certificates(pem)
        except ValueError as error:
            raise InvalidCertificate(f"the certificate chain cannot be read: {error}") from None
        if not 0 < len(certificates) <= MAX_CHAIN_CERTIFICATES:
            raise InvalidCertificate(f"a chain of {len(certificates)} certificates")
        return cls(certificates[0], tuple(certificates[1:]))

    @property
    def leaf_pem(self) -> bytes:
        """The certificate alone."""
        return self.leaf.public_bytes(Encoding.PEM)

    @property
    def authorities_pem(self) -> bytes:
        """The CA certificates alone."""
        return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in self.authorities)

    @property
    def full_pem(self) -> bytes:
        """What a TLS server sends."""
        return self.leaf_pem + self.authorities_pem

    @property
    def names(self) -> frozenset[str]:
        """The DNS names of the certificate, in lower case."""
        try:
            extension = self.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except (x509.ExtensionNotFound, ValueError):
            return frozenset()
        return frozenset(name.lower() for name in extension.value.get_values_for_type(x509.DNSName))

    @property
    def not_before(self) -> datetime:
        """The start of its life, with a time zone."""
        return self.leaf.not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        """The end of its life, with a time zone."""
        return self.leaf.not_valid_after_utc

    def is_for(self, key: CertificateKey) -> bool:
        """Whether the certificate is that of `key`."""
        return public_key_der(self.leaf.public_key()) == public_key_der(key.public_key())

    def is_fresh(self, now: datetime) -> bool:
        """Whether more than a third of its life is left: then nobody needs another one.

        A third is what Let's Encrypt and every large client take as the time to renew.
        """
        return self.not_before <= now and self.not_after - now > (self.not_after - self.not_before) / 3


def public_key_der(key: CertificatePublicKeyTypes) -> bytes:
    """SubjectPublicKeyInfo."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
