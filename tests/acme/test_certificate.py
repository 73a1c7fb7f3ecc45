"""Odd certificates, which no CA of ours would sign."""

from datetime import timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.acme import AcmeMisbehaved, AcmeUsageError, ari_id
from nodetrust.acme.certificate import check_chain
from tests.acme.support import KEY, NOW, csr

NAMES = ("a.example", "b.example")


def leaf(*extensions: x509.ExtensionType, common_name: str | None = None) -> bytes:
    """PEM of a self-signed certificate with our key."""
    subject = [] if common_name is None else [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(subject))
        .issuer_name(x509.Name([]))
        .public_key(KEY.public_key())
        .serial_number(5)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def dns_names(*names: str) -> x509.SubjectAlternativeName:
    """The extension with the names."""
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names])


class CheckChainTests(SynchronousTestCase):
    """`check_chain` on single certificates."""

    def test_accepted(self) -> None:
        """The order of the names does not matter, a common name may repeat one, and no basic constraints mean no CA."""
        for pem in (
            leaf(dns_names("b.example", "a.example")),
            leaf(dns_names(*NAMES), common_name="a.example"),
            leaf(dns_names(*NAMES), x509.BasicConstraints(ca=False, path_length=None)),
        ):
            self.assertEqual(check_chain(pem, csr(NAMES), NAMES, NOW).certificate_pem, pem)

    def test_refused(self) -> None:
        """No names at all, names of another kind or twice, a foreign common name, and a CA's own certificate."""
        addresses = [*dns_names(*NAMES), x509.IPAddress(ip_address("192.0.2.1"))]
        for pem in (
            leaf(),
            leaf(x509.SubjectAlternativeName(addresses)),
            leaf(dns_names(*NAMES, "a.example")),
            leaf(dns_names(*NAMES), common_name="c.example"),
            leaf(dns_names(*NAMES), x509.BasicConstraints(ca=True, path_length=None)),
        ):
            self.assertRaises(AcmeMisbehaved, check_chain, pem, csr(NAMES), NAMES, NOW)

    def test_clocks(self) -> None:
        """An hour of difference between our clock and the CA's is forgiven at the start, nothing at the end."""
        pem = leaf(dns_names(*NAMES))
        check_chain(pem, csr(NAMES), NAMES, NOW - timedelta(hours=1))
        for now in (NOW - timedelta(hours=1, seconds=1), NOW + timedelta(days=1)):
            self.assertRaises(AcmeMisbehaved, check_chain, pem, csr(NAMES), NAMES, now)

    def test_no_authority_key(self) -> None:
        """A certificate that does not name its issuer's key has no identifier for ARI."""
        empty = x509.AuthorityKeyIdentifier(None, [x509.DNSName("x.example")], 1)
        for pem in (leaf(), leaf(empty)):
            self.assertRaises(AcmeUsageError, ari_id, pem)
