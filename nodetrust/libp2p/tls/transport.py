"""libp2p's TLS 1.3 on a channel: OpenSSL does TLS, by way of Twisted; who the peer is, is checked here.

OpenSSL can't judge these certificates (self-signed, with an extension unknown to it), so its own verdict is passed
over, and `verify_peer_certificate` decides when the handshake is over, before anyone gets the channel.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IReactorTime,
)
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from nodetrust.libp2p.channel import Channel, TransportChannel
from nodetrust.libp2p.errors import HandshakeError, InvalidData
from nodetrust.libp2p.farewell import EndsEarly
from nodetrust.libp2p.keys import PrivateKey, PublicKey
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.security import Secured, check_peer
from nodetrust.libp2p.tls.certificate import OwnCertificate, make_certificate, verify_peer_certificate

PROTOCOL_ID = "/tls/1.0.0"

ALPN_WITHOUT_MUXER = b"libp2p"
"""The last of what a client offers: the muxer is then negotiated after the handshake."""


class TlsSecurity:
    """The security layer of one host (see `nodetrust.libp2p.security.Security`).

    One certificate, made here, serves all its connections, so that the identity key signs once. `muxers` are offered
    by ALPN, by preference. The `clock` tells what day it is.
    """

    protocol_id = PROTOCOL_ID

    def __init__(self, key: PrivateKey, muxers: Sequence[str], clock: IReactorTime) -> None:
        self._clock = clock
        certificate = make_certificate(key, clock.seconds())
        connections = _Connections(certificate, [muxer.encode() for muxer in muxers] + [ALPN_WITHOUT_MUXER])
        # The factories make no protocols of their own: they tell `_Protocol` which OpenSSL connection to use.
        self._client = TLSMemoryBIOFactory(connections, True, Factory(), clock)
        self._server = TLSMemoryBIOFactory(connections, False, Factory(), clock)

    async def secure_outbound(self, channel: Channel, expected: PeerId | None) -> Secured:
        # OpenSSL counts the peer's own certificate as part of its chain on the client's side only.
        return await self._secure(channel, self._client, 1, expected)

    async def secure_inbound(self, channel: Channel) -> Secured:
        return await self._secure(channel, self._server, 0, None)

    async def _secure(
        self, channel: Channel, factory: TLSMemoryBIOFactory, chain_length: int, expected: PeerId | None
    ) -> Secured:
        secured = TlsChannel()
        channel.attach(_Protocol(factory, secured))
        connection = await secured.handshake
        try:
            remote_key = self._remote_key(connection, chain_length)
            check_peer(remote_key.peer_id, expected)
        except HandshakeError:
            secured.abortConnection()
            raise
        negotiated = connection.get_alpn_proto_negotiated()
        muxer = None if negotiated in (b"", ALPN_WITHOUT_MUXER) else negotiated.decode()
        return Secured(secured, remote_key, remote_key.peer_id, muxer)

    def _remote_key(self, connection: SSL.Connection, chain_length: int) -> PublicKey:
        certificate = connection.get_peer_certificate(as_cryptography=True)
        if certificate is None or len(connection.get_peer_cert_chain() or ()) != chain_length:
            raise HandshakeError("a chain of TLS certificates where a single one is expected")
        return verify_peer_certificate(certificate.public_bytes(Encoding.DER), self._clock.seconds())


@implementer(IHandshakeListener)
class TlsChannel(TransportChannel):
    """What lies above Twisted's TLS protocol: the secured channel.

    TLS on Twisted has no half-close: `loseWriteConnection` closes both directions, once everything is written.
    """

    def __init__(self) -> None:
        super().__init__()
        self.handshake: Deferred[SSL.Connection] = Deferred(lambda _: self.abortConnection())

    def handshakeCompleted(self) -> None:
        self.handshake.callback(self.transport.getHandle())

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted gives it a default
        text = _explain(reason)
        if not self.handshake.called:
            self.handshake.errback(HandshakeError(f"the connection ended before the TLS handshake was over: {text}"))
        self.deliver_lost(Failure(InvalidData(f"TLS: {text}")) if reason.check(SSL.Error) else reason)

    def loseWriteConnection(self) -> None:
        self.loseConnection()


class _Protocol(EndsEarly):
    """Twisted's TLS, which claims every interface of the transport below, for a channel that can half-close."""

    transport: Channel

    def __init__(self, factory: TLSMemoryBIOFactory, secured: TlsChannel) -> None:
        TLSMemoryBIOProtocol.__init__(self, factory, secured)

    def abortConnection(self) -> None:
        """Twisted's own fails when the connection is gone; a channel that is aborted too late has nothing to do."""
        if self.connected:
            TLSMemoryBIOProtocol.abortConnection(self)

    def readConnectionLost(self) -> None:
        """The remote side ended the channel below without TLS's own farewell: there is nothing to wait for."""
        self.transport.loseConnection()


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
class _Connections:
    """Makes OpenSSL connections, with one context for each direction; neither sends or heeds a server name."""

    def __init__(self, certificate: OwnCertificate, alpn: Sequence[bytes]) -> None:
        self._alpn = frozenset(alpn)
        self._client = _context(SSL.TLS_CLIENT_METHOD, certificate)
        self._client.set_alpn_protos(list(alpn))
        self._server = _context(SSL.TLS_SERVER_METHOD, certificate)
        self._server.set_alpn_select_callback(self._select)

    def clientConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return SSL.Connection(self._client, None)

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return SSL.Connection(self._server, None)

    def _select(self, connection: SSL.Connection, offered: list[bytes]) -> bytes:
        """The client's first that we know, as go does. A client that offers nothing never gets here; it is let in."""
        for protocol in offered:
            if protocol in self._alpn:
                return protocol
        # OpenSSL makes the alert `no_application_protocol` of any exception; Twisted wants one in OpenSSL's form.
        raise SSL.Error([("libp2p", "ALPN", "no ALPN protocol in common")])


def _context(method: int, certificate: OwnCertificate) -> SSL.Context:
    context = SSL.Context(method)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.use_privatekey(certificate.private_key)
    context.use_certificate(certificate.certificate)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
    # Nothing is ever resumed. (OpenSSL still sends two small tickets that lead nowhere; pyOpenSSL can't stop it.)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_TICKET)
    # An idle connection keeps 20 kB less.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    return context


def _explain(reason: Failure) -> str:
    """OpenSSL's errors are lists of (library, function, reason)."""
    error = reason.value
    if isinstance(error, SSL.Error) and error.args and isinstance(error.args[0], list):
        return ", ".join(entry[2] for entry in error.args[0]) or "error without a reason"
    return reason.getErrorMessage()
