"""Certificates: download, revocation, renewal information. RFC 8555 §7.4.2, §7.6, RFC 9773."""

from collections.abc import Mapping

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from josepy.jwk import JWK

from nodetrust.testing.ca.db import Certificate
from nodetrust.testing.ca.problems import Problem
from nodetrust.testing.ca.replacement import serial_of
from nodetrust.testing.ca.reply import CAContext, Call, Reply, Route, base64_bytes, json_object, json_reply, rfc3339

_CHAIN_TYPE = "application/pem-certificate-chain"
_RENEWAL_SECONDS = 21_600  # how often to ask for renewalInfo


class CertificateResources:
    """What can be done with a certificate once it is there."""

    def __init__(self, ca: CAContext) -> None:
        self._ca = ca

    def routes(self) -> Mapping[str, Route]:
        """First part of the path → what answers a signed POST to it."""
        return {"certificate": self._certificate, "revoke": self._revoke}

    def _certificate(self, call: Call) -> Reply:
        call.expect_empty()
        found = self._ca.database.certificates.get(call.argument)
        if found is None:
            raise Problem("malformed", "there is no such certificate", 404)
        if found.account_id != call.account_id:
            raise Problem("unauthorized", "this is another account's certificate")
        return Reply(200, found.chain_pem, {"Content-Type": _CHAIN_TYPE})

    def revoke_by_key(self, key: JWK, payload: bytes) -> Reply:
        """Revoke a certificate that is for `key`, which signed the request."""
        certificate = _wanted(json_object(payload))
        if _spki(certificate.public_key()) != _spki(key.public_key().key):
            raise Problem("unauthorized", "the certificate is for another key")
        return self._revoked(self._ca.database.certificate_with(certificate.serial_number))

    def _revoke(self, call: Call) -> Reply:
        found = self._ca.database.certificate_with(_wanted(call.object()).serial_number)
        if found is None or found.account_id != call.account_id:
            raise Problem("unauthorized", "this account has no such certificate")
        return self._revoked(found)

    def _revoked(self, found: Certificate | None) -> Reply:
        if found is None:
            raise Problem("malformed", "there is no such certificate", 404)
        if found.revoked:
            raise Problem("alreadyRevoked", "the certificate was revoked before")
        found.revoked = True
        return Reply(200)

    def renewal_info(self, ari_id: str) -> Reply:
        """When to renew the certificate with this identifier: two thirds into its life, at once if it was revoked."""
        found = self._ca.database.certificate_with(serial_of(ari_id))
        if found is None:
            raise Problem("malformed", "there is no such certificate", 404)
        life = found.not_after - found.not_before
        start, end = found.not_before + life * 2 / 3, found.not_before + life * 3 / 4
        if found.revoked:
            start, end = found.not_before, self._ca.seconds()
        window = {"start": rfc3339(start), "end": rfc3339(end)}
        return json_reply({"suggestedWindow": window}, Retry_After=str(_RENEWAL_SECONDS))


def _wanted(fields: Mapping[str, object]) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(base64_bytes(fields.get("certificate")))
    except ValueError as error:
        raise Problem("malformed", "this is no certificate") from error


def _spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
