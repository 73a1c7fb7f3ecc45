"""Which certificate an order may say that it replaces. Pure. RFC 9773 §5."""

from collections.abc import Collection

from cryptography import x509

from nodetrust.testing.ca.db import Certificate, Database
from nodetrust.testing.ca.problems import Problem
from nodetrust.testing.ca.reply import base64_bytes


def serial_of(ari_id: str) -> int:
    """The serial number in a certificate's ARI identifier (RFC 9773 §4.1); `Problem` where it has none."""
    return int.from_bytes(base64_bytes(ari_id.partition(".")[2]), "big")


def check_replaces(database: Database, ari_id: object, account_id: str, names: Collection[str], now: float) -> str:
    """The identifier, where this account may replace that certificate with one for these names; else `Problem`."""
    if not isinstance(ari_id, str):
        raise Problem("malformed", "`replaces` is no text")
    certificate = database.certificate_with(serial_of(ari_id))
    if certificate is None:
        raise Problem("malformed", "this CA has issued no such certificate")
    if certificate.account_id != account_id:
        raise Problem("unauthorized", "this is another account's certificate")
    if _names(certificate).isdisjoint(names):
        raise Problem("malformed", "the certificate and the order have no name in common")
    for _, order in database.orders.items():
        if order.replaces == ari_id and database.order_status(order, now) != "invalid":
            raise Problem("alreadyReplaced", "another order replaces this certificate")
    return ari_id


def _names(certificate: Certificate) -> set[str]:
    leaf = x509.load_pem_x509_certificate(certificate.chain_pem)
    found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(found.get_values_for_type(x509.DNSName))
