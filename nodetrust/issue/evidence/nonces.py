"""The nonces that bind a proof to one visit at one issue server; each is good for one request of the peer that asked.

A nonce says itself, under a key that only this process has, to whom and when it was given. So nothing is kept for those
who ask and never come back, however many they are: only the used ones, for as long as they would be good.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections import OrderedDict
from collections.abc import Iterable

from nodetrust.libp2p.peer_id import PeerId

NONCE_SECONDS = 60.0
"""From the issue info to the request; the client asks all proof servers at once, each for 15 seconds at most."""

_TIME_BYTES = 8
_RANDOM_BYTES = 8
_MAC_BYTES = 16
NONCE_BYTES = _TIME_BYTES + _RANDOM_BYTES + _MAC_BYTES
_KEY_BYTES = 32


class NonceBook:
    """Which nonces are good; the time (seconds since the epoch) comes in from outside."""

    def __init__(self) -> None:
        self._key = os.urandom(_KEY_BYTES)
        self._used: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        """How many used ones are remembered."""
        return len(self._used)

    def give(self, peer: PeerId, now: float) -> bytes:
        """A new nonce for `peer`."""
        front = int(now * 1000).to_bytes(_TIME_BYTES, "big") + os.urandom(_RANDOM_BYTES)
        return front + self._mac(front, peer)

    def open_for(self, peer: PeerId, now: float) -> OpenNonces:
        """The nonces that a proof of `peer` may carry now."""
        return OpenNonces(self, peer, now)

    def use(self, nonces: Iterable[bytes], now: float) -> None:
        """The nonces have served."""
        while self._used and now - next(iter(self._used.values())) > NONCE_SECONDS:
            self._used.popitem(last=False)
        for nonce in nonces:
            self._used[nonce] = now

    def given_at(self, nonce: bytes, peer: PeerId, now: float) -> int | None:
        """When `nonce` was given to `peer`, in milliseconds since the epoch; None if it is not good."""
        front, mac = nonce[:-_MAC_BYTES], nonce[-_MAC_BYTES:]
        if len(nonce) != NONCE_BYTES or not hmac.compare_digest(mac, self._mac(front, peer)):
            return None
        given_ms = int.from_bytes(front[:_TIME_BYTES], "big")
        # One from the future is from before the clock was set back: nobody knows how old it is.
        return given_ms if nonce not in self._used and 0 <= now * 1000 - given_ms <= NONCE_SECONDS * 1000 else None

    def _mac(self, front: bytes, peer: PeerId) -> bytes:
        return hmac.digest(self._key, front + peer.multihash, hashlib.sha256)[:_MAC_BYTES]


class OpenNonces:
    """What one peer may use at one time: `in` says whether, `[nonce]` when it was given (milliseconds)."""

    __slots__ = ("_book", "_now", "_peer")

    def __init__(self, book: NonceBook, peer: PeerId, now: float) -> None:
        self._book = book
        self._peer = peer
        self._now = now

    def __contains__(self, nonce: object) -> bool:
        return isinstance(nonce, bytes) and self._book.given_at(nonce, self._peer, self._now) is not None

    def __getitem__(self, nonce: bytes) -> int:
        given_ms = self._book.given_at(nonce, self._peer, self._now)
        if given_ms is None:
            raise KeyError(nonce)
        return given_ms
