"""What every security layer offers: a channel in, an encrypted channel and the remote side's identity out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from nodetrust.libp2p.channel import Channel
from nodetrust.libp2p.errors import HandshakeError, WrongPeer
from nodetrust.libp2p.keys import PublicKey
from nodetrust.libp2p.peer_id import PeerId


@dataclass(frozen=True, slots=True)
class Secured:
    """An encrypted channel to a peer that has proven who it is.

    `channel` has no protocol attached yet and keeps what arrives. `muxer` is the muxer's protocol ID where the
    handshake settled it: the next byte is then the muxer's. None means that multistream-select comes next.
    """

    channel: Channel
    remote_key: PublicKey
    remote_peer: PeerId
    muxer: str | None


class Security(Protocol):
    """A security layer: one object a host, used for all its connections.

    Either coroutine raises HandshakeError, and has then aborted the channel; so it has when it is cancelled. Neither
    limits its time: whoever started it aborts the channel, and the coroutine fails at once.
    """

    @property
    def protocol_id(self) -> str:
        """What multistream-select calls this layer."""

    async def secure_outbound(self, channel: Channel, expected: PeerId | None) -> Secured:
        """Be the dialer's side; fail if the listener turns out to be another than `expected`."""

    async def secure_inbound(self, channel: Channel) -> Secured:
        """Be the listener's side."""


def agree_on_muxer(dialer: Sequence[str], listener: Sequence[str]) -> str | None:
    """The dialer's first muxer that the listener has too; None if either names none (it then uses multistream-select).

    Raise HandshakeError if both name some and none is common (libp2p/specs connections/inlined-muxer-negotiation.md).
    """
    if not dialer or not listener:
        return None
    for muxer in dialer:
        if muxer in listener:
            return muxer
    raise HandshakeError("no muxer that both sides speak")


def check_peer(actual: PeerId, expected: PeerId | None) -> None:
    """Raise WrongPeer if a certain peer was expected and this is another."""
    if expected is not None and actual != expected:
        raise WrongPeer(f"expected the peer {expected} and met {actual}")
