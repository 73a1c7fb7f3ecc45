"""Noise on a channel.

Written on `cryptography` itself: the one Noise package for Python (`noiseprotocol`) has had no release since 2020, goes
through several Python layers for each message, and knows nothing of libp2p's frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from twisted.python.failure import Failure

from nodetrust.libp2p.channel import Channel, TransportChannel
from nodetrust.libp2p.conversation import converse
from nodetrust.libp2p.errors import HandshakeError, InvalidData
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.noise.cipher import CipherState, FrameDecoder, encrypt_frames
from nodetrust.libp2p.noise.machine import Credentials, Handshake
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.security import Secured

PROTOCOL_ID = "/noise"


class NoiseSecurity:
    """The security layer of one host (see `nodetrust.libp2p.security.Security`).

    One static Noise key serves all its connections, as in js-libp2p, so that the identity key signs once; forward
    secrecy comes from the ephemeral keys. `muxers` are offered in the handshake, by preference.
    """

    protocol_id = PROTOCOL_ID

    def __init__(self, key: PrivateKey, muxers: Sequence[str]) -> None:
        self._credentials = Credentials(key, X25519PrivateKey.generate(), tuple(muxers))

    async def secure_outbound(self, channel: Channel, expected: PeerId | None) -> Secured:
        return await self._secure(channel, True, expected)

    async def secure_inbound(self, channel: Channel) -> Secured:
        return await self._secure(channel, False, None)

    async def _secure(self, channel: Channel, initiator: bool, expected: PeerId | None) -> Secured:
        handshake = Handshake(initiator, self._credentials, X25519PrivateKey.generate(), expected)
        finished = await converse(channel, handshake, HandshakeError, "the Noise handshake was over")
        secured = NoiseChannel(finished.send, finished.receive)
        channel.attach(secured)
        return Secured(secured, finished.remote_key, finished.remote_key.peer_id, finished.muxer)


class NoiseChannel(TransportChannel):
    """Encrypts what is written to the channel below, decrypts what comes from it; all else passes through.

    A frame that is not genuine aborts the connection, with an InvalidData for `connectionLost`.
    """

    def __init__(self, send: CipherState, receive: CipherState) -> None:
        super().__init__()
        self._send = send
        self._decoder = FrameDecoder(receive)

    def write(self, data: bytes) -> None:
        if data:
            self.transport.writeSequence(encrypt_frames(self._send, data))

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def dataReceived(self, data: bytes) -> None:
        if self._lost is not None:
            return
        try:
            plaintext = self._decoder.receive_data(data)
        except InvalidData as error:
            self.abortConnection()
            self.deliver_lost(Failure(error))
            return
        if plaintext:
            self.deliver(plaintext)
