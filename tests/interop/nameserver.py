"""A DNS server for one name, for tests that need no more than that; nobody else on the machine knows the name."""

from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.names import dns
from twisted.names.client import Resolver
from twisted.names.common import ResolverBase
from twisted.names.error import DomainError
from twisted.names.server import DNSServerFactory

NAME = "ip4127-0-0-1.interop.test"


class OneName(ResolverBase):
    """Knows that NAME is on loopback, and nothing else."""

    def _lookup(self, name: bytes, cls: int, type: int, timeout: object) -> Deferred[object]:
        if name.lower() != NAME.encode():
            return fail(DomainError(name))
        answers = [dns.RRHeader(name, dns.A, ttl=1, payload=dns.Record_A("127.0.0.1"))] if type == dns.A else []
        return succeed((answers, [], []))


def listen() -> IListeningPort:
    """The server, on a UDP port of loopback; stop it with `stopListening`."""
    protocol = dns.DNSDatagramProtocol(DNSServerFactory(clients=[OneName()]))
    port: IListeningPort = cast(Any, reactor).listenUDP(0, protocol, "127.0.0.1")
    return port


def port_number(port: IListeningPort) -> int:
    """The number of an UDP or TCP port."""
    number: int = cast(Any, port.getHost()).port
    return number


def resolver(server_port: int) -> Resolver:
    """Asks the server, and nobody else."""
    return Resolver(servers=[("127.0.0.1", server_port)])
