"""What a multiaddr says about a socket: host, port, and whether TLS and WebSocket lie on it. Pure.

Sources: libp2p/specs `addressing/README.md` and `websockets/README.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from twisted.internet.address import IPv4Address as SocketIPv4
from twisted.internet.address import IPv6Address as SocketIPv6
from twisted.internet.interfaces import IAddress

from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.transports.errors import UnsupportedAddress

HOST_PROTOCOLS = frozenset({"ip4", "ip6", "dns", "dns4", "dns6"})
WS_PORT = 80
WSS_PORT = 443


@dataclass(frozen=True, slots=True)
class TransportAddress:
    """`/HOST_PROTOCOL/HOST/tcp/PORT[/tls[/sni/SNI]][/ws]`, taken apart.

    `host` is an IP address or a name, as `host_protocol` says. TLS without WebSocket never occurs.
    """

    host_protocol: str
    host: str
    port: int
    websocket: bool = False
    tls: bool = False
    sni: str | None = None

    @classmethod
    @lru_cache(maxsize=256)
    def from_multiaddr(cls, address: Multiaddr) -> TransportAddress:
        """Raise `UnsupportedAddress` for anything but TCP and WebSocket; a final `/p2p/...` is ignored.

        `/wss` is the old spelling of `/tls/ws`. A WebSocket address without a port means 80, or 443 with TLS.
        """
        parts = [(part.name, part.value) for part in address.without_peer_id().components]
        if not parts or parts[0][0] not in HOST_PROTOCOLS or not parts[0][1]:
            raise UnsupportedAddress(f"{address} does not begin with an IP address or a DNS name")
        host_protocol, host = parts.pop(0)
        port = int(parts.pop(0)[1] or 0) if parts and parts[0][0] == "tcp" else None
        shape = tuple(name for name, _ in parts)
        if shape not in _LAYERS or (port is None and not shape):
            raise UnsupportedAddress(f"{address} is neither a TCP nor a WebSocket address")
        tls = shape not in {(), ("ws",)}
        return cls(
            host_protocol=host_protocol,
            host=str(host),
            port=port if port is not None else WSS_PORT if tls else WS_PORT,
            websocket=bool(shape),
            tls=tls,
            sni=parts[1][1] if "sni" in shape else None,
        )

    @property
    def server_name(self) -> str:
        """The name that TLS and the Host header speak of; an IP address where no name is known."""
        return self.sni or self.host

    @property
    def suffix(self) -> str:
        """What follows the port in the text of an observed address: "", "/ws" or "/tls/ws"."""
        return "/tls/ws" if self.tls else "/ws" if self.websocket else ""

    def at(self, port: int) -> Multiaddr:
        """The same address on another port, spelled the modern way: what a listener on port 0 really has."""
        sni = f"/sni/{self.sni}" if self.sni else ""
        layers = f"/tls{sni}/ws" if self.tls else self.suffix
        return Multiaddr.parse(f"/{self.host_protocol}/{self.host}/tcp/{port}{layers}")


_LAYERS = frozenset({(), ("ws",), ("wss",), ("tls", "ws"), ("tls", "sni", "ws")})


def socket_multiaddr(address: IAddress, suffix: str = "") -> Multiaddr:
    """The multiaddr of one end of a socket. An IPv4 address mapped into IPv6 is an IPv4 address."""
    if not isinstance(address, SocketIPv4 | SocketIPv6):
        raise UnsupportedAddress(f"{address} is not the address of a TCP socket")
    return _socket_multiaddr(address.host, address.port, suffix)


@lru_cache(maxsize=1024)
def _socket_multiaddr(host: str, port: int, suffix: str) -> Multiaddr:
    # Cached, because one end of every connection of a listener is the same.
    ip = plain_ip(host)
    return Multiaddr.parse(f"/ip{ip.version}/{ip}/tcp/{port}{suffix}")


@lru_cache(maxsize=1024)
def plain_ip(text: str) -> IPv4Address | IPv6Address:
    """The IP address without its zone, and as IPv4 if it is an IPv4-mapped one."""
    host = ip_address(text.partition("%")[0])
    if isinstance(host, IPv6Address) and host.ipv4_mapped is not None:
        return host.ipv4_mapped
    return host
