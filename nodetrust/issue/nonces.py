"""The nonces that bind a proof to one visit at one issue server; each is good for one request."""

from __future__ import annotations

from collections import OrderedDict

from nodetrust.libp2p.peer_id import PeerId

NONCE_BYTES = 16

NONCE_SECONDS = 300.0
"""As long as a proof is good for."""

MAX_NONCES = 20_000
"""Open nonces over all peers; past it the oldest goes. A peer that loses its nonce asks again."""

MAX_NONCES_PER_PEER = 4


class NonceBook:
    """Who has been given which nonce; time and randomness come in from outside."""

    def __init__(self) -> None:
        self._open: OrderedDict[bytes, tuple[PeerId, float]] = OrderedDict()
        self._of_peer: dict[PeerId, list[bytes]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def give(self, peer: PeerId, nonce: bytes, now: float) -> None:
        """Note that `peer` was given `nonce` (`NONCE_BYTES` random bytes) at `now` (seconds)."""
        self._forget_old(now)
        mine = self._of_peer.get(peer, [])
        if len(mine) >= MAX_NONCES_PER_PEER:
            self._forget(mine[0])
        elif len(self._open) >= MAX_NONCES:
            self._forget(next(iter(self._open)))
        self._open[nonce] = (peer, now)
        self._of_peer.setdefault(peer, []).append(nonce)

    def open_for(self, peer: PeerId, now: float) -> frozenset[bytes]:
        """The nonces that a proof of `peer` may carry now."""
        self._forget_old(now)
        return frozenset(self._of_peer.get(peer, ()))

    def use(self, nonces: frozenset[bytes]) -> None:
        """The nonces have served."""
        for nonce in nonces:
            self._forget(nonce)

    def _forget_old(self, now: float) -> None:
        while self._open:
            nonce, (_, given) = next(iter(self._open.items()))
            if now - given <= NONCE_SECONDS:
                return
            self._forget(nonce)

    def _forget(self, nonce: bytes) -> None:
        found = self._open.pop(nonce, None)
        if found is None:
            return
        peer = found[0]
        mine = self._of_peer[peer]
        mine.remove(nonce)
        if not mine:
            del self._of_peer[peer]
