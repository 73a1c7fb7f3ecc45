"""Noise XX: an encrypted and authenticated channel, and with it the remote side's libp2p identity.

Specification: https://noiseprotocol.org/noise.html (revision 34) for `Noise_XX_25519_ChaChaPoly_SHA256`, libp2p/specs
`noise/README.md` for the frames and the payload, `connections/inlined-muxer-negotiation.md` for the early muxer choice.

Read in this order: `wire` (frames and the handshake payload), `cipher` (frames encrypted and decrypted), `machine`
(`HandshakeState`: Noise itself, and `Handshake`: what libp2p says over it), `transport` (`NoiseSecurity`,
`NoiseChannel`).
"""

from nodetrust.libp2p.noise.transport import NoiseChannel, NoiseSecurity

__all__ = ["NoiseChannel", "NoiseSecurity"]
