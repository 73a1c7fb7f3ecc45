"""Certificates for tests that look at nothing but names and times."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from nodetrust.certificates import Chain

LIFE = timedelta(days=90)


def moment(seconds: float) -> datetime:
    """A time since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def certificate(key: Any, names: Iterable[str], now: datetime, life: timedelta = LIFE) -> Chain:
    """A self-signed one."""
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Chain(leaf, ())
