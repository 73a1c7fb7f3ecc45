"""Certificates: download, revocation, renewal information. RFC 8555 §7.4.2, §7.6, RFC 9773."""

from collections.abc import Mapping

from cryptography import x509

from nodetrust.testing.ca.db import Certificate
from nodetrust.testing.ca.problems import Problem
from nodetrust.testing.ca.reply import CAContext, Call, Reply, Route, base64_bytes, json_reply, rfc3339

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

    def _revoke(self, call: Call) -> Reply:
        try:
            serial = x509.load_der_x509_certificate(base64_bytes(call.object().get("certificate"))).serial_number
        except ValueError as error:
            raise Problem("malformed", "this is no certificate") from error
        found = self._certificate_with(serial)
        if found is None or found.account_id != call.account_id:
            raise Problem("unauthorized", "this account has no such certificate")
        if found.revoked:
            raise Problem("alreadyRevoked", "the certificate was revoked before")
        found.revoked = True
        return Reply(200)

    def renewal_info(self, ari_id: str) -> Reply:
        """When to renew the certificate with this identifier: two thirds into its life, at once if it was revoked."""
        found = self._certificate_with(int.from_bytes(base64_bytes(ari_id.partition(".")[2]), "big"))
        if found is None:
            raise Problem("malformed", "there is no such certificate", 404)
        start = found.not_before if found.revoked else found.not_before + (found.not_after - found.not_before) * 2 / 3
        window = {"start": rfc3339(start), "end": rfc3339(start + (found.not_after - found.not_before) / 12)}
        return json_reply({"suggestedWindow": window}, Retry_After=str(_RENEWAL_SECONDS))

    def _certificate_with(self, serial: int) -> Certificate | None:
        identifier = self._ca.database.certificates.find(lambda certificate: certificate.serial == serial)
        return None if identifier is None else self._ca.database.certificates.get(identifier)
