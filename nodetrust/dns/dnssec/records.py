"""The wire forms and the written forms of DNSKEY and DS records, and of CDNSKEY and CDS, which look the same.

RFC 4034 §2, §5 and Appendix B, RFC 4509 (SHA-256), RFC 6605 (algorithm 13), RFC 7344.
"""

from __future__ import annotations

import base64
import hashlib
import struct

from nodetrust.dns.records import Name, name_to_text, name_to_wire

ECDSA_P256_SHA256 = 13
SHA256_DIGEST = 2
KEY_FLAGS = 257  # RFC 4034 §2.1.1: a zone key, and the one that the parent's DS refers to
PROTOCOL = 3  # RFC 4034 §2.1.2

_DNSKEY = struct.Struct("!HBB")
_DS = struct.Struct("!HBB")


def dnskey_rdata(public_point: bytes) -> bytes:
    """The data of a DNSKEY; `public_point` is both coordinates of 32 octets without anything in front (RFC 6605 §4)."""
    return _DNSKEY.pack(KEY_FLAGS, PROTOCOL, ECDSA_P256_SHA256) + public_point


def key_tag(dnskey: bytes) -> int:
    """What RRSIG and DS call a key by (RFC 4034 Appendix B)."""
    total = sum(dnskey[0::2]) * 256 + sum(dnskey[1::2])
    return (total + (total >> 16)) & 0xFFFF


def ds_rdata(owner: Name, dnskey: bytes) -> bytes:
    """The data of the DS that refers to a key at `owner`, in lower case (RFC 4034 §5.1.4)."""
    digest = hashlib.sha256(name_to_wire(owner) + dnskey).digest()
    return _DS.pack(key_tag(dnskey), dnskey[3], SHA256_DIGEST) + digest


def dnskey_text(owner: Name, dnskey: bytes) -> str:
    """A line of a zone file."""
    flags, protocol, algorithm = _DNSKEY.unpack_from(dnskey)
    key = base64.b64encode(dnskey[_DNSKEY.size :]).decode("ascii")
    return f"{name_to_text(owner)}. IN DNSKEY {flags} {protocol} {algorithm} {key}"


def ds_text(owner: Name, dnskey: bytes) -> str:
    """A line for the parent's zone file, or for the form at the registrar."""
    rdata = ds_rdata(owner, dnskey)
    tag, algorithm, digest_type = _DS.unpack_from(rdata)
    return f"{name_to_text(owner)}. IN DS {tag} {algorithm} {digest_type} {rdata[_DS.size :].hex().upper()}"
