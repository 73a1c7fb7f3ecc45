"""Is the certificate that came the one we asked for? And its identifier for ARI (RFC 9773 §4.1). Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import NameOID
from josepy.json_util import encode_b64jose

from nodetrust.acme.errors import AcmeMisbehaved, AcmeUsageError

MAX_CHAIN = 10
"""Certificates in a chain; Pebble can be told to send seven, real CAs send two to four."""

_CLOCK_SKEW = timedelta(hours=1)
_LONGEST_LIFETIME = timedelta(days=3650)  # Pebble's default is five years
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*")


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A checked certificate with its issuers; all PEM, each block ending in a newline. Times are aware."""

    certificate_pem: bytes
    issuers_pem: bytes
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime

    @property
    def chain_pem(self) -> bytes:
        """The certificate and then its issuers, as a TLS server wants them."""
        return self.certificate_pem + self.issuers_pem


def check_csr(csr_der: bytes, names: Sequence[str]) -> None:
    """`AcmeUsageError` unless the CSR is well-formed, signed by its own key and for exactly these names."""
    csr = _csr(csr_der)
    try:
        signed, csr_names = csr.is_signature_valid, _dns_names(csr.extensions)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise AcmeUsageError("the CSR has parts that cannot be read") from error
    if not signed:
        raise AcmeUsageError("the CSR is not signed by its own key")
    if csr_names != sorted(names):
        raise AcmeUsageError("the names in the CSR are not the names of the order")


def check_chain(chain_pem: bytes, csr_der: bytes, names: Sequence[str], now: datetime) -> IssuedCertificate:
    """The certificate, if it is for the CSR's key and exactly these names, valid now, and before its issuers in order.

    Whether the last issuer is trusted is not asked: that is for those who connect. `AcmeMisbehaved` says what is wrong.
    """
    chain = _parse_chain(chain_pem)
    leaf = chain[0]
    try:
        wrong = _fault_of(leaf, _csr(csr_der).public_key(), names, now)
    except ValueError as error:
        raise AcmeMisbehaved("the CA sent a certificate that cannot be read") from error
    if wrong is not None:
        raise AcmeMisbehaved(f"the CA sent a wrong certificate: {wrong}")
    for issued, issuer in pairwise(chain):
        _check_issued(issued, issuer)
    pems = [certificate.public_bytes(serialization.Encoding.PEM) for certificate in chain]
    return IssuedCertificate(
        pems[0], b"".join(pems[1:]), tuple(names), leaf.not_valid_before_utc, leaf.not_valid_after_utc
    )


def is_for_key(chain_pem: bytes, csr_der: bytes) -> bool:
    """Whether the chain's first certificate has the CSR's key."""
    return _spki(_parse_chain(chain_pem)[0].public_key()) == _spki(_csr(csr_der).public_key())


def top_issuer(issued: IssuedCertificate) -> str:
    """The common name of who signed the last certificate of the chain, which mostly is a root that is not in it."""
    last = x509.load_pem_x509_certificates(issued.chain_pem)[-1]
    names = last.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def ari_id(certificate_pem: bytes) -> str:
    """What names a certificate at the CA's renewalInfo and in `replaces`; `AcmeUsageError` where nothing does."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        authority = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except (ValueError, x509.ExtensionNotFound) as error:
        raise AcmeUsageError("the certificate does not tell its issuer's key identifier") from error
    if authority is None:
        raise AcmeUsageError("the certificate does not tell its issuer's key identifier")
    serial = certificate.serial_number
    # DER integers are signed: a leading zero octet where the top bit is set.
    octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    return f"{encode_b64jose(authority)}.{encode_b64jose(octets)}"


def _parse_chain(chain_pem: bytes) -> list[x509.Certificate]:
    blocks = _PEM.findall(chain_pem)
    if not 1 <= len(blocks) <= MAX_CHAIN or b"".join(blocks) != chain_pem.lstrip():
        raise AcmeMisbehaved(f"the CA sent something else than a chain of 1 to {MAX_CHAIN} certificates")
    try:
        return [x509.load_pem_x509_certificate(block) for block in blocks]
    except ValueError as error:
        raise AcmeMisbehaved("the CA sent a certificate that cannot be read") from error


def _fault_of(leaf: x509.Certificate, key: PublicKeyTypes, names: Sequence[str], now: datetime) -> str | None:
    common = [str(attribute.value) for attribute in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    checks = {
        "it is for another key": _spki(leaf.public_key()) == _spki(key),
        "its names are not the ones ordered": _dns_names(leaf.extensions) == sorted(names),
        "its common name was not ordered": set(common) <= set(names),
        "it is a CA's own certificate": not _is_ca(leaf),
        "it is not valid yet": leaf.not_valid_before_utc <= now + _CLOCK_SKEW,
        "it has expired": now < leaf.not_valid_after_utc,
        "it is valid for too long": leaf.not_valid_after_utc - leaf.not_valid_before_utc <= _LONGEST_LIFETIME,
    }
    return next((fault for fault, holds in checks.items() if not holds), None)


def _check_issued(issued: x509.Certificate, issuer: x509.Certificate) -> None:
    try:
        issued.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise AcmeMisbehaved("the CA sent a chain in which a certificate is not signed by the next one") from error


def _dns_names(extensions: x509.Extensions) -> list[str] | None:
    """All subject alternative names, sorted; None where there are none, or one is no DNS name."""
    try:
        found = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    return sorted(name.value for name in found) if all(isinstance(name, x509.DNSName) for name in found) else None


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _csr(csr_der: bytes) -> x509.CertificateSigningRequest:
    try:
        return x509.load_der_x509_csr(csr_der)
    except ValueError as error:
        raise AcmeUsageError("the CSR is not DER of a PKCS#10 request") from error
