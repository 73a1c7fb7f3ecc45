"""DNS cookies: a client that sends ours back has received an answer at its address, so the address is not forged.

The server keeps nothing: its half of a cookie is a hash of the client's half, its address and the time, under a secret
(RFC 7873 §6, RFC 9018 §4, whose version 1 any name server with the same secret can check).
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

from siphashc import siphash

CLIENT_BYTES = 8
SECRET_BYTES = 16
ROOT_BYTES = 32

SecretAt: TypeAlias = Callable[[int], bytes]
"""The 16 octets under which cookies of a time (seconds since 1970) are made."""

_VERSION = b"\x01"
_RESERVED = bytes(3)  # that others may set one day: in what comes to us they may be anything (RFC 9018 §4.2)
_SERVER_BYTES = 16
_SERVER_LENGTHS = range(8, 33)  # RFC 7873 §4; those of other lengths than ours are another server's
_MAX_AGE_SECONDS = 3600  # these three: RFC 9018 §4.3
_MAX_AHEAD_SECONDS = 300
_RENEW_SECONDS = 1800
_ROTATION_SECONDS = 86400
"""One secret a day (RFC 7873 §7.1: no longer than 36 days; Knot's 26 hours)."""

_TIME = struct.Struct("!I")
_SIGNED_BYTES = CLIENT_BYTES + len(_VERSION + _RESERVED) + _TIME.size
_HASH = struct.Struct("<Q")  # SipHash's own order, as the vectors of RFC 9018 have it


def rotating_secrets(root: bytes) -> SecretAt:
    """A secret for each day, all made from one of 32 octets that never changes: processes agree without talking."""
    if len(root) != ROOT_BYTES:
        raise ValueError(f"the root of the cookie secrets has {ROOT_BYTES} octets")

    @lru_cache(maxsize=4)
    def of_day(day: int) -> bytes:
        return hashlib.blake2s(day.to_bytes(8, "big"), key=root, digest_size=SECRET_BYTES).digest()

    return lambda seconds: of_day(seconds // _ROTATION_SECONDS)


def is_cookie(data: bytes) -> bool:
    """Whether an option has one of the lengths that exist; others are FORMERR (RFC 7873 §5.2.2)."""
    return len(data) == CLIENT_BYTES or len(data) - CLIENT_BYTES in _SERVER_LENGTHS


class Cookies:
    """The cookies of all servers that have the same secrets. `now` is the wall clock's, as others read it too."""

    def __init__(self, secret_at: SecretAt) -> None:
        self._secret_at = secret_at

    def is_valid(self, data: bytes, source: bytes, now: float) -> bool:
        """Whether a client's cookie shows that `source` (4 or 16 octets) is its own address."""
        age = self._age(data, now)
        if age is None or not -_MAX_AHEAD_SECONDS <= age <= _MAX_AGE_SECONDS:
            return False
        return hmac.compare_digest(self._sign(data[:_SIGNED_BYTES], source, int(now) - age), data)

    def renew(self, data: bytes, source: bytes, now: float) -> bytes:
        """The cookie to answer with: the client's own while it is valid and young, else a new one."""
        age = self._age(data, now)
        if age is not None and age <= _RENEW_SECONDS and self.is_valid(data, source, now):
            return data
        made = data[:CLIENT_BYTES] + _VERSION + _RESERVED + _TIME.pack(int(now) & 0xFFFFFFFF)
        return self._sign(made, source, int(now))

    def _age(self, data: bytes, now: float) -> int | None:
        """Seconds since a cookie of our kind was made, negative if it comes from the future."""
        server = data[CLIENT_BYTES:]
        if len(server) != _SERVER_BYTES or not server.startswith(_VERSION):
            return None
        (made,) = _TIME.unpack_from(server, len(_VERSION + _RESERVED))
        age = (int(now) - int(made)) & 0xFFFFFFFF  # serial numbers, RFC 1982: the clock of 32 bits ends in 2106
        return age if age < 1 << 31 else age - (1 << 32)

    def _sign(self, made: bytes, source: bytes, seconds: int) -> bytes:
        return made + _HASH.pack(siphash(self._secret_at(seconds), made + source))
