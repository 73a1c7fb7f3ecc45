"""Signatures over record sets, made when they are asked for and remembered (RFC 4034 §3, RFC 4035 §2.2)."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Sequence

from nodetrust.dns.dnssec.cache import MAX_SIGNATURES, Recent, RecentAnswers
from nodetrust.dns.dnssec.canonical import canonical_rrset
from nodetrust.dns.dnssec.keys import ZoneKey
from nodetrust.dns.dnssec.records import ECDSA_P256_SHA256
from nodetrust.dns.records import Name, RRset, Type, name_to_wire

STEP_SECONDS = 24 * 3600
"""How often everything is signed anew; in between a signature is the same, so that it can be remembered."""

VALID_SECONDS = 14 * 24 * 3600
"""From the beginning of a step: a signature is good for at least 13 days, longer than resolvers keep it by default."""

BACKDATED_SECONDS = 3600 * 3
"""Before the beginning of a step: for resolvers whose clocks are slow, or have the wrong time zone."""

_WILDCARD = b"*"
_FIXED = struct.Struct("!HBBIIIH")  # type covered, algorithm, labels, original TTL, expiration, inception, key tag


def period(now: float) -> tuple[int, int]:
    """Inception and expiration, in seconds since 1970, of what is signed at `now`."""
    begin = int(now) // STEP_SECONDS * STEP_SECONDS
    return begin - BACKDATED_SECONDS, begin + VALID_SECONDS


class Signer:
    """Signs for the zone `origin`: with the first key, and what publishes the keys with each of them.

    `clock` gives the time of day, in seconds since 1970.
    """

    def __init__(self, origin: Name, keys: Sequence[ZoneKey], clock: Callable[[], float] = time.time) -> None:
        if not keys:
            raise ValueError("a signer needs a key")
        self.keys = tuple(keys)
        self.answers = RecentAnswers()
        self._origin_wire = name_to_wire(origin)
        self._clock = clock
        self._signatures: Recent[bytes] = Recent(MAX_SIGNATURES)

    def rrsig(self, owner: Name, rrset: RRset) -> RRset:
        """The signatures of a record set of the zone at `owner`, in lower case."""
        inception, expiration = period(self._clock())
        records = canonical_rrset(owner, rrset)
        labels = len(owner) - (owner[:1] == (_WILDCARD,))  # RFC 4034 §3.1.3
        keys = self.keys if rrset.type == Type.DNSKEY else self.keys[:1]
        rdatas = []
        for key in keys:
            fixed = _FIXED.pack(
                rrset.type,
                ECDSA_P256_SHA256,
                labels,
                rrset.ttl,
                expiration & 0xFFFFFFFF,  # RFC 4034 §3.1.5: serial numbers
                inception & 0xFFFFFFFF,
                key.tag,
            )
            fixed += self._origin_wire
            rdatas.append(fixed + self._sign(key, fixed + records))
        return RRset(Type.RRSIG, rrset.ttl, tuple(rdatas))

    def _sign(self, key: ZoneKey, data: bytes) -> bytes:
        """Remembered by all that is signed, so what is remembered can never be wrong."""
        signature = self._signatures.get(data)
        if signature is None:
            signature = key.sign(data)
            self._signatures.keep(data, signature)
        return signature
