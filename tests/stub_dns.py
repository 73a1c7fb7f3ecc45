"""A DNS server of twisted.names that says what a test wants, and passes on what it is not told."""

from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.names import client, dns
from twisted.names.common import ResolverBase
from twisted.names.error import DomainError, ResolverError
from twisted.names.server import DNSServerFactory

from nodetrust.settings import HostPort

NO_SUCH_NAME = "NXDOMAIN"
FAILURE = "SERVFAIL"

Said = list[Any] | str
"""Payloads of twisted.names, or one of the words above."""


class StubDns(ResolverBase):
    """Answers, on UDP and TCP of one port of loopback, what `said` has for a name and a type.

    All else is asked of `behind`; without one, nothing is there. The answers are authoritative.
    """

    def __init__(self, reactor: Any, said: dict[tuple[str, int], Said], behind: HostPort | None = None) -> None:
        super().__init__()
        self.said = said
        self.place: HostPort
        self._reactor = reactor
        self._behind = behind
        self._ports: list[Any] = []
        self._passed_on: set[Deferred[Any]] = set()

    def start(self, *, tcp: bool = True) -> HostPort:
        """Listen; returns where."""
        factory = DNSServerFactory(clients=[self])
        factory.noisy = False
        datagrams = dns.DNSDatagramProtocol(factory, self._reactor)
        while True:
            stream = self._reactor.listenTCP(0, factory, interface="127.0.0.1")
            self._ports.append(stream)
            try:
                udp = self._reactor.listenUDP(stream.getHost().port, datagrams, "127.0.0.1")
            except CannotListenError:  # somebody has this port of UDP: with another
                continue
            break
        self._ports.append(udp)
        self.place = HostPort("127.0.0.1", udp.getHost().port)
        if not tcp:
            stream.stopListening()
        return self.place

    async def stop(self) -> None:
        """Listen no more, and wait for no answer."""
        for asked in list(self._passed_on):
            asked.cancel()
        for port in self._ports:
            await maybeDeferred(port.stopListening)

    def _lookup(self, name: bytes, cls: int, type: int, timeout: Any) -> Deferred[Any]:
        said = self.said.get((name.decode().lower(), type))
        if said is None:
            if self._behind is None:
                return succeed(([], [], []))
            resolver = client.Resolver(servers=[(self._behind.host, self._behind.port)], reactor=self._reactor)
            asked = resolver._lookup(name, cls, type, (2,))
            self._passed_on.add(asked)
            return asked.addBoth(self._answered, asked)
        if isinstance(said, str):
            return fail({NO_SUCH_NAME: DomainError, FAILURE: ResolverError}[said](name))
        headers = [dns.RRHeader(name, payload.TYPE, cls, payload.ttl or 0, payload, auth=True) for payload in said]
        return succeed((headers, [], []))

    def _answered(self, answer: Any, asked: Deferred[Any]) -> Any:
        self._passed_on.discard(asked)
        return answer


class Caa:
    """A CAA record as a payload: twisted.names has none."""

    TYPE = 257
    ttl = 3600

    def __init__(self, value: str, tag: str = "issue", flags: int = 0) -> None:
        self.data = bytes([flags, len(tag)]) + tag.encode() + value.encode()

    def encode(self, file: Any, compressed: object = None) -> None:
        file.write(self.data)

    def __hash__(self) -> int:
        return hash(self.data)
