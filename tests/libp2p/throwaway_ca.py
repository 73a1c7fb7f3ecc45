"""A certificate authority that lives as long as a test."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from twisted.internet.ssl import Certificate, trustRootFromCertificates


class ThrowawayCa:
    """Issues certificates for names and IP addresses, with P-256 keys unless others are asked for.

    OpenSSL finds issuers by name: `name` tells two apart.
    """

    def __init__(self, name: str = "throw-away CA") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_ISSUES, critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def trust_root(self) -> object:
        """What a host takes as `trust_root`."""
        return trustRootFromCertificates([Certificate.loadPEM(self.root_pem)])

    @property
    def root_pem(self) -> bytes:
        """What others take for the same purpose."""
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(self, names: Sequence[str], key: rsa.RSAPrivateKey | None = None) -> tuple[bytes, bytes]:
        """A private key and a chain with one certificate, both PEM."""
        own = key or ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._builder(x509.Name([]), own.public_key())
            .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        key_pem = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key_pem, certificate.public_bytes(Encoding.PEM)

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .issuer_name(self._name)
            .subject_name(subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )


_ISSUES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
