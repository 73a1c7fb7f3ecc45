"""Renewal information."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.acme import (
    AcmeUsageError,
    ari_id,
    problems,
    replaces,
)
from nodetrust.acme.renewal import check_again_after, is_refusal_of_replaces
from nodetrust.acme.urls import Origin

ORIGIN = Origin.of_directory("https://ca.example/directory")
NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def certificate(start: datetime, end: datetime, authority: str | None = "69885b6b87464041e1b37b847ba0ae2cde01c8d4"):
    """PEM of a certificate with the serial number and key identifier of RFC 9773's example."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(0x87654321)
        .not_valid_before(start)
        .not_valid_after(end)
    )
    if authority is not None:
        identifier = x509.AuthorityKeyIdentifier(bytes.fromhex(authority), None, None)
        builder = builder.add_extension(identifier, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class AriTests(SynchronousTestCase):
    """The identifier of a certificate."""

    def test_published_example(self) -> None:
        """RFC 9773 §4.1: key identifier 69:88:5B:…, serial 00:87:65:43:21."""
        pem = certificate(NOW, NOW + timedelta(days=1))
        self.assertEqual(ari_id(pem), "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE")

    def test_not_a_certificate(self) -> None:
        """Other text is refused."""
        self.assertRaises(AcmeUsageError, ari_id, b"garbage")


class RenewalTests(SynchronousTestCase):
    """What a renewal says it replaces, and when the CA is asked again."""

    def test_only_a_current_certificate_is_replaced(self) -> None:
        """From its first moment to its last, and neither before nor after."""
        pem = certificate(NOW, NOW + timedelta(days=1))
        for moment, expected in (
            (NOW - timedelta(seconds=1), None),
            (NOW, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"),
            (NOW + timedelta(hours=23), "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"),
            (NOW + timedelta(days=1), None),
        ):
            self.assertEqual(replaces(pem, moment), expected)
        self.assertIsNone(replaces(b"garbage", NOW))
        self.assertIsNone(replaces(certificate(NOW, NOW + timedelta(days=1), authority=None), NOW))

    def test_refusals_of_replaces(self) -> None:
        """The type, two others that CAs use, and the status that RFC 9773 gives; nothing else."""
        for problem, expected in (
            (problems.problem_of_response(409, None, {"type": "urn:ietf:params:acme:error:alreadyReplaced"}), True),
            (problems.problem_of_response(400, None, {"type": "urn:ietf:params:acme:error:malformed"}), True),
            (problems.problem_of_response(403, None, {"type": "urn:ietf:params:acme:error:unauthorized"}), True),
            (problems.problem_of_response(409, None, None), True),
            (problems.problem_of_response(410, None, None), False),
            (problems.problem_of_response(400, None, {"type": "urn:ietf:params:acme:error:caa"}), False),
        ):
            self.assertEqual(is_refusal_of_replaces(problem), expected, problem)

    def test_check_again(self) -> None:
        """Retry-After is kept to between a minute and a day; without it, six hours."""
        for asked, expected in ((None, 21_600.0), (0.0, 60.0), (3600.0, 3600.0), (1e9, 86_400.0)):
            self.assertEqual(check_again_after(asked), expected)
