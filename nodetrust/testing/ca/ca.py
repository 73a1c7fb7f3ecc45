"""The certification authority itself: a root that lasts, an intermediate for each start, and what they sign."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nodetrust.testing.ca.problems import Problem

_ROOT_LIFETIME = timedelta(days=3650)
_BACKDATED = timedelta(hours=1)  # as Let's Encrypt does, for clients whose clock is slow
_MIN_RSA_BITS = 2048
_WEB_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Issuer:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key, PKCS#8."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


class CertificateAuthority:
    """Signs with an intermediate under `root`. Times are the reactor's, so that tests can move them."""

    def __init__(self, root: Issuer, now: datetime) -> None:
        self.root = root
        key = ec.generate_private_key(ec.SECP256R1())
        self._intermediate = Issuer(
            _issuer_certificate("nodetrust development intermediate", key, root, now, path_length=0), key
        )

    def issue(self, csr: x509.CertificateSigningRequest, names: Sequence[str], now: datetime, life: timedelta) -> bytes:
        """The chain (leaf, intermediate) as PEM, for names and a key that were checked before."""
        leaf = _leaf(csr.public_key(), [x509.DNSName(name) for name in names], self._intermediate, now, life)
        return leaf.public_bytes(serialization.Encoding.PEM) + self._intermediate.pem

    def web_certificate(self, now: datetime) -> Issuer:
        """A certificate and key for the CA's own HTTPS on this machine, straight from the root."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [_general_name(name) for name in _WEB_NAMES]
        return Issuer(_leaf(key.public_key(), names, self.root, now, _ROOT_LIFETIME), key)


def load_or_make_root(folder: Path, now: datetime) -> tuple[Issuer, Path]:
    """The root that `folder` keeps (made where there is none, its key with mode 0600), and the path of its PEM.

    `OSError` and `ValueError` are let through.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    certificate_path, key_path = folder / "root.pem", folder / "root.key.pem"
    if certificate_path.exists() and key_path.exists():
        key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key_path} is no ECDSA key")
        return Issuer(x509.load_pem_x509_certificate(certificate_path.read_bytes()), key), certificate_path
    key = ec.generate_private_key(ec.SECP256R1())
    root = Issuer(_issuer_certificate("nodetrust development root", key, None, now, path_length=1), key)
    with open(os.open(key_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as key_file:
        key_file.write(root.key_pem)
    certificate_path.write_bytes(root.pem)
    return root, certificate_path


def parse_csr(csr_der: bytes, names: Sequence[str]) -> x509.CertificateSigningRequest:
    """A CSR for exactly these names with an acceptable key; `Problem` for others. RFC 8555 §7.4."""
    try:
        csr = x509.load_der_x509_csr(csr_der)
        signed, key = csr.is_signature_valid, csr.public_key()
        asked = _asked_names(csr)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Problem("badCSR", "the CSR cannot be read") from error
    if not signed:
        raise Problem("badCSR", "the CSR is not signed by its own key")
    if asked != set(names):
        raise Problem("badCSR", "the names in the CSR are not the names of the order")
    if not _is_acceptable(key):
        raise Problem("badCSR", "the key must be ECDSA P-256 or P-384, or RSA of 2048 bits and more")
    return csr


def _asked_names(csr: x509.CertificateSigningRequest) -> set[str]:
    try:
        found = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    if not all(isinstance(name, x509.DNSName) for name in found):
        raise Problem("badCSR", "the CSR has alternative names that are no DNS names")
    common = [str(attribute.value) for attribute in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return {name.lower() for name in [*found.get_values_for_type(x509.DNSName), *common]}


def _is_acceptable(key: object) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= _MIN_RSA_BITS
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _issuer_certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: Issuer | None, now: datetime, *, path_length: int
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _builder(
        key.public_key(), subject, issuer.certificate.subject if issuer else subject, now, _ROOT_LIFETIME
    )
    signer = issuer.key if issuer else key
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(signs_certificates=True, encrypts_keys=False), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )


def _leaf(
    key: CertificatePublicKeyTypes, names: Sequence[x509.GeneralName], issuer: Issuer, now: datetime, life: timedelta
) -> x509.Certificate:
    # No subject: the names are in the alternative names alone, which RFC 5280 then wants critical.
    builder = _builder(key, x509.Name([]), issuer.certificate.subject, now, life)
    return (
        builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            _key_usage(signs_certificates=False, encrypts_keys=isinstance(key, rsa.RSAPublicKey)), critical=True
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False)
        .sign(issuer.key, hashes.SHA256())
    )


def _builder(
    key: CertificatePublicKeyTypes, subject: x509.Name, issuer: x509.Name, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    start = now - min(_BACKDATED, life)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start.astimezone(UTC))
        .not_valid_after((now + life).astimezone(UTC))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, signs_certificates: bool, encrypts_keys: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=encrypts_keys,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
