"""Key and chain on the disk, in one file each time, so that they are there together or not at all.

The key of the next certificate is on the disk before it is ordered: after a kill the same order is gone on with, and a
certificate that is there already is not ordered again.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nodetrust.certificates import CertificateKey, Chain, InvalidCertificate, key_from_pem, key_to_pem, make_key
from nodetrust.files import replace_file

OWN_FILE = "own.pem"
"""In the state folder: the key, then the chain, leaf first."""

NEXT_KEY_FILE = "own-next-key.pem"


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """A certificate of a server itself, and its key."""

    key: CertificateKey
    chain: Chain


def load(state: Path) -> OwnCertificate | None:
    """The certificate of an earlier run, None where there is none. Raises `InvalidCertificate` for a file that is not
    whole, and OSError.
    """
    pem = _read(state / OWN_FILE)
    if pem is None:
        return None
    own = OwnCertificate(key_from_pem(pem), Chain.from_pem(pem))
    if not own.chain.is_for(own.key):
        raise InvalidCertificate("the certificate is for another key")
    return own


def save(state: Path, own: OwnCertificate) -> None:
    """Put it in the place of the one before; the next key has served. Raises OSError."""
    replace_file(state / OWN_FILE, key_to_pem(own.key) + own.chain.full_pem)
    (state / NEXT_KEY_FILE).unlink(missing_ok=True)


def next_key(state: Path, crypto: int) -> CertificateKey:
    """The key that the next certificate is for: made once, until a certificate is there. Raises OSError."""
    path = state / NEXT_KEY_FILE
    pem = _read(path)
    if pem is not None:
        with suppress(InvalidCertificate):
            return key_from_pem(pem)
    key = make_key(crypto)
    replace_file(path, key_to_pem(key))
    return key


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
