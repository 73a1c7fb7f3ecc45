"""Certificates that the tests sign themselves: for a CA's own HTTPS, and for WSS listeners of the real peers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

VALID_FOR = timedelta(days=2)
_ROOT_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nodetrust test root")])


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files: the certificate, its private key, and the root that signed it."""

    certificate: Path
    key: Path
    root: Path


def _subject_alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + VALID_FOR)
    )


def _root(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return (
        _builder(_ROOT_NAME, _ROOT_NAME, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


def _write(
    folder: Path, root: x509.Certificate, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> CertificateFiles:
    files = CertificateFiles(folder / "certificate.pem", folder / "key.pem", folder / "root.pem")
    folder.mkdir(parents=True, exist_ok=True)
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.root.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def make_authority(folder: Path) -> CertificateFiles:
    """A new root in `folder`, and the certificate of an authority below it, which may sign those of servers."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nodetrust test authority")])
    usage = dict.fromkeys(("digital_signature", "key_cert_sign", "crl_sign"), True)
    others = (
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "encipher_only",
        "decipher_only",
    )
    authority = (
        _builder(name, _ROOT_NAME, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**usage, **dict.fromkeys(others, False)), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    return _write(folder, _root(root_key), authority, key)


def make_certificate(folder: Path, names: Sequence[str]) -> CertificateFiles:
    """A new root in `folder`, and a certificate from it for `names`, which are DNS names and IP addresses."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    alternatives = x509.SubjectAlternativeName([_subject_alternative(name) for name in names])
    certificate = (
        _builder(x509.Name([]), _ROOT_NAME, key)
        .add_extension(alternatives, critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    return _write(folder, _root(root_key), certificate, key)
