"""What all transports share: connecting to every address of a name, listening, and what they hand to the host."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    TCP6ClientEndpoint,
    TCP6ServerEndpoint,
)
from twisted.internet.error import (
    CannotListenError,
    ConnectBindError,
    ConnectError,
    ConnectingCancelledError,
    ConnectionRefusedError,
    TCPTimedOutError,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IOpenSSLClientConnectionCreator,
    IProtocolFactory,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IResolver,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory

from nodetrust.libp2p.channel import Channel
from nodetrust.libp2p.errors import DialError, ListenError, NoAnswer, PortClosed
from nodetrust.libp2p.farewell import EndsEarly
from nodetrust.libp2p.limits import ConnectionBudget, Ticket
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.staggered import AllFailed, first_success
from nodetrust.libp2p.transports.address import TransportAddress, plain_ip, socket_multiaddr
from nodetrust.libp2p.transports.certificates import CertificateStore
from nodetrust.libp2p.transports.resolve import resolve
from nodetrust.libp2p.transports.source import bind_address

CONNECT_SECONDS = 10
"""How long one IP address may take to answer; the whole address has the host's limit."""
BACKLOG = 1024
"""Connections that the kernel completes ahead of us; it caps this at `net.core.somaxconn`."""


class HostReactor(IReactorTCP, IReactorTime, IReactorPluggableNameResolver):
    """All that the stack wants of a reactor."""


@dataclass(frozen=True, slots=True)
class RawConnection:
    """A byte stream to somebody unknown. The addresses are those of the socket, with the transport's layers."""

    channel: Channel
    local_address: Multiaddr
    remote_address: Multiaddr
    ticket: Ticket


Accept = Callable[[RawConnection], None]
"""Receives every accepted connection that is ready for bytes."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket and its actual address (with the port that a 0 became)."""

    address: Multiaddr
    port: IListeningPort

    def stop(self) -> Deferred[object]:
        """Accept no more; fires when the socket is closed. Accepted connections live on."""
        return maybeDeferred(self.port.stopListening)


class Transport(Protocol):
    """One way to reach a peer."""

    def supports(self, target: TransportAddress) -> bool:
        """Whether an address of this shape is for this transport."""

    async def dial(self, target: TransportAddress) -> RawConnection:
        """Raise `DialError` if it can't be reached. Cancelling leaves nothing open."""

    async def listen(self, target: TransportAddress, accept: Accept, tls: CertificateStore | None) -> Listener:
        """Raise `ListenError` if the address can't be had."""


ProtocolT = TypeVar("ProtocolT", bound=TwistedProtocol)


async def connect_socket(
    reactor: HostReactor,
    resolver: IResolver | None,
    target: TransportAddress,
    build: Callable[[], ProtocolT],
    tls: IOpenSSLClientConnectionCreator | None = None,
) -> ProtocolT:
    """A connected protocol that `build` made, over the first of the target's IP addresses that answers.

    With `tls` its bytes are wrapped, but the handshake is still to come.
    """
    hosts = await resolve(target, resolver, reactor.nameResolver)
    attempts = [partial(_connect_to, reactor, host, target.port, build, tls) for host in hosts]
    try:
        return await first_success(attempts, reactor)
    except AllFailed as failed:
        raise DialError(f"{target.host} port {target.port}: {failed}", failed.reasons) from failed


async def _connect_to(
    reactor: HostReactor,
    host: str,
    port: int,
    build: Callable[[], ProtocolT],
    tls: IOpenSSLClientConnectionCreator | None,
) -> ProtocolT:
    kind: Callable[..., IStreamClientEndpoint] = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
    factory: Any = _Building(build)
    if tls is not None:
        factory = _BuildingTls(tls, True, factory, reactor)
    try:
        try:
            protocol = await kind(reactor, host, port, CONNECT_SECONDS, bind_address(host)).connect(factory)
        except ConnectBindError:  # the address has just gone, no port of it is left, or we may bind to none
            protocol = await kind(reactor, host, port, CONNECT_SECONDS).connect(factory)
    except ConnectError as reason:
        raise _dial_error(reason) from reason
    except ConnectingCancelledError as reason:  # what Twisted's endpoints make of a cancelled Deferred
        raise CancelledError from reason
    return cast(ProtocolT, protocol if tls is None else cast(_Tls, protocol).wrappedProtocol)


def _dial_error(reason: ConnectError) -> DialError:
    """In words for whoever is to do something about it; Twisted's own are for programmers."""
    if isinstance(reason, ConnectionRefusedError):
        return PortClosed("connection refused: nobody listens there")
    if isinstance(reason, TimeoutError | TCPTimedOutError):
        return NoAnswer("no answer in time: nobody is there, or a firewall drops what is sent")
    if reason.osError == errno.EACCES:  # ICMPv6 says so: "administratively prohibited", RFC 4443 §3.1
        return PortClosed("a firewall forbids it")
    return DialError(str(reason) if reason.osError is None else os.strerror(reason.osError))


class _Building(Factory):
    noisy = False

    def __init__(self, build: Callable[[], TwistedProtocol]) -> None:
        self._build = build

    def buildProtocol(self, addr: IAddress | None) -> TwistedProtocol:
        return self._build()


class _Tls(EndsEarly, BufferingTLSTransport):
    """Below a protocol that hears of nothing before TLS's handshake is over."""


class _BuildingTls(TLSMemoryBIOFactory):
    """`wrapClientTLS` of Twisted knows no other protocol than its own."""

    protocol = _Tls


async def listen_socket(reactor: HostReactor, target: TransportAddress, factory: IProtocolFactory) -> Listener:
    """Listen on an IP address; port 0 lets the system choose."""
    endpoints: dict[str, Callable[..., IStreamServerEndpoint]] = {"ip4": TCP4ServerEndpoint, "ip6": TCP6ServerEndpoint}
    if target.host_protocol not in endpoints:
        raise ListenError(f"Listening needs an IP address, not the name {target.host}")
    endpoint = endpoints[target.host_protocol](reactor, target.port, BACKLOG, target.host)
    try:
        port = await endpoint.listen(factory)
    except CannotListenError as reason:
        raise ListenError(f"Can't listen on {target.at(target.port)}: {reason.socketError}") from reason
    bound = cast(IPv4Address | IPv6Address, port.getHost())
    return Listener(target.at(bound.port), port)


def admit(budget: ConnectionBudget, address: IAddress | None) -> Ticket | None:
    """A place for a socket that was just accepted; None if its network, or everybody, has used theirs up."""
    return budget.admit(plain_ip(address.host)) if isinstance(address, IPv4Address | IPv6Address) else None


def raw_connection(channel: Channel, target: TransportAddress, ticket: Ticket) -> RawConnection:
    """`channel` with the addresses of its socket."""
    return RawConnection(
        channel=channel,
        local_address=socket_multiaddr(channel.getHost(), target.suffix),
        remote_address=socket_multiaddr(channel.getPeer(), target.suffix),
        ticket=ticket,
    )
