"""The keys of certificates: which algorithm is taken, and what a CSR asks for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from nodetrust.certificates import CRYPTO_NAMES, RSA_EXPONENT, key_crypto, public_key_der
from nodetrust.issue.errors import Refusal
from nodetrust.messages import E_NO_MATCHING_CRYPTO, E_NOT_AUTHORIZED, E_OTHER

MIN_RSA_BITS, MAX_RSA_BITS = 2048, 4096
"""Of the keys in a CSR: the CA/Browser Forum's minimum, and Let's Encrypt's maximum."""

MAX_CSR_BYTES = 8192
"""A CSR with an RSA-4096 key and a hundred of our names is smaller."""


_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    InvalidSignature,
    x509.DuplicateExtension,
    x509.InvalidVersion,
)
"""What `cryptography` raises for bytes that are no CSR."""


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """What is taken from a CSR: nothing else of it reaches the CA's certificate."""

    der: bytes
    crypto: int
    names: frozenset[str]
    """In lower case."""
    public_key_der: bytes
    """SubjectPublicKeyInfo."""


def common_cryptos(ours: Sequence[int], theirs: Iterable[int]) -> list[int]:
    """Those of `ours` (best first) that the peer supports; raises `Refusal` (E_NO_MATCHING_CRYPTO) if there is none."""
    supported = set(theirs)
    common = [crypto for crypto in ours if crypto in supported]
    if not common:
        raise Refusal(E_NO_MATCHING_CRYPTO, "no common key algorithm: this server offers " + _listed(ours))
    return common


def read_csr(der: bytes, offered: Sequence[int]) -> CertificateRequest:
    """Check a DER PKCS#10 request; its key must be of an `offered` algorithm. Raises `Refusal`."""
    if len(der) > MAX_CSR_BYTES:
        raise Refusal(E_OTHER, f"the CSR is larger than {MAX_CSR_BYTES} bytes")
    try:
        csr = x509.load_der_x509_csr(der)
        crypto = _crypto_of(csr)
        # The octet before a signature says how many bits of it do not count; some CAs take them out, our library not.
        if not csr.is_signature_valid or not der.endswith(b"\0" + csr.signature):
            raise Refusal(E_OTHER, "the CSR's signature is not right")
        names = _names_of(csr)
        key_der = public_key_der(csr.public_key())
    except _UNREADABLE:
        raise Refusal(E_OTHER, "the CSR cannot be read: expected a DER PKCS#10 request") from None
    if crypto not in offered:
        raise Refusal(E_NO_MATCHING_CRYPTO, "the CSR's key is not of an offered algorithm: " + _listed(offered))
    return CertificateRequest(der, crypto, names, key_der)


def _crypto_of(csr: x509.CertificateSigningRequest) -> int:
    key = csr.public_key()
    crypto = key_crypto(key)
    if crypto is None:
        raise Refusal(E_NO_MATCHING_CRYPTO, f"the CSR's key must be one of {_listed(CRYPTO_NAMES.values())}")
    if isinstance(key, rsa.RSAPublicKey) and not (
        MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS and key.public_numbers().e == RSA_EXPONENT
    ):
        raise Refusal(
            E_OTHER,
            f"the CSR's RSA key must have {MIN_RSA_BITS} to {MAX_RSA_BITS} bits and the exponent {RSA_EXPONENT}",
        )
    return crypto


def _names_of(csr: x509.CertificateSigningRequest) -> frozenset[str]:
    names: set[str] = set()
    for extension in csr.extensions:
        if not isinstance(extension.value, x509.SubjectAlternativeName):
            raise Refusal(
                E_NOT_AUTHORIZED, f"the CSR asks for an extension that is not given: {extension.oid.dotted_string}"
            )
        for name in extension.value:
            if not isinstance(name, x509.DNSName):
                raise Refusal(E_NOT_AUTHORIZED, "the CSR asks for something that is not a DNS name")
            names.add(_small(name.value))
    common = [_small(str(attribute.value)) for attribute in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if not names:
        raise Refusal(E_OTHER, "the CSR has no subject alternative names")
    if not names.issuperset(common):
        raise Refusal(E_NOT_AUTHORIZED, "the CSR's common name is not among its alternative names")
    return frozenset(names)


def _small(name: str) -> str:
    """A name in small letters. Not only ASCII's have those, and some that others have are ASCII's (kelvin's sign)."""
    if not name.isascii():
        raise Refusal(E_OTHER, f"the CSR has a name with letters that no DNS name has: {name!a:.300}")
    return name.lower()


def _listed(cryptos: Iterable[int]) -> str:
    return ", ".join(name for name, crypto in CRYPTO_NAMES.items() if crypto in set(cryptos)) or "none"
