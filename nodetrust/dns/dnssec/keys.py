"""ECDSA P-256 keys of a zone, and their files: PKCS#8 in PEM, beside a text with the records that publish the key."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from twisted.logger import Logger

from nodetrust.dns.dnssec.records import dnskey_rdata, dnskey_text, ds_text, key_tag
from nodetrust.dns.errors import ZoneKeyError
from nodetrust.dns.records import Name
from nodetrust.files import create_file

MAX_FILE_BYTES = 8 * 1024
"""A key has about 240 characters."""

TEXT_SUFFIX = ".txt"
_COORDINATE_BYTES = 32
_SHA256 = ec.ECDSA(hashes.SHA256())

_log = Logger()


@dataclass(frozen=True, slots=True)
class ZoneKey:
    """A key that signs a zone: the private part, its DNSKEY data, and the tag that signatures name it by."""

    private: ec.EllipticCurvePrivateKey = field(repr=False)
    dnskey: bytes = field(init=False)
    tag: int = field(init=False)

    def __post_init__(self) -> None:
        point = self.private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        object.__setattr__(self, "dnskey", dnskey_rdata(point[1:]))
        object.__setattr__(self, "tag", key_tag(self.dnskey))

    def sign(self, data: bytes) -> bytes:
        """r and s, 32 octets each (RFC 6605 §4)."""
        r, s = utils.decode_dss_signature(self.private.sign(data, _SHA256))
        return r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")


def generate() -> ZoneKey:
    """A new key."""
    return ZoneKey(ec.generate_private_key(ec.SECP256R1()))


def load(path: Path) -> ZoneKey:
    """Read a key. A file that others may read is used, with a warning in the log.

    Raises ZoneKeyError, which names the file.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            pem = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ZoneKeyError(f"the DNSSEC key {path} cannot be read: {error.strerror}") from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        _log.warn("The DNSSEC key {path} can be read by others: chmod 600 it", path=str(path))
    try:
        private = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it has a password
        raise ZoneKeyError(f"{path} is no private key in PEM without a password") from None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
        raise ZoneKeyError(f"the key in {path} is not ECDSA on P-256")
    return ZoneKey(private)


def create(path: Path, zone: Name) -> ZoneKey:
    """Make a key for `zone` in a new file, for its owner alone, and the text for everybody beside it.

    The file appears whole or not at all. Raises ZoneKeyError when there is such a file already, or when it cannot be
    written.
    """
    key = generate()
    pem = key.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        create_file(path, pem)
        path.with_name(path.name + TEXT_SUFFIX).write_text(public_text(key, zone), "ascii")
    except FileExistsError:
        raise ZoneKeyError(f"{path}: exists already; a key is never overwritten") from None
    except OSError as error:
        raise ZoneKeyError(f"the DNSSEC key {path} cannot be written: {error.strerror}") from None
    return key


def public_text(key: ZoneKey, zone: Name) -> str:
    """The records that publish a key: its DNSKEY, and the DS that the parent zone needs."""
    return f"{dnskey_text(zone, key.dnskey)}\n{ds_text(zone, key.dnskey)}\n"
