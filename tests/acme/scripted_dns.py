"""A DNS server on loopback that says what it was told, for CAs that look."""

from collections.abc import Sequence
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.names import dns
from twisted.names.error import DomainError
from twisted.names.server import DNSServerFactory

from nodetrust.acme import Dns01Record

REACTOR: Any = reactor


class CuttingProtocol(dns.DNSDatagramProtocol):
    """Cuts answers of more than 512 octets, as a DNS server has to and twisted.names does not."""

    def writeMessage(self, message: dns.Message, address: tuple[str, int]) -> None:
        if len(message.toStr()) > 512:
            message.answers, message.trunc = [], 1
        super().writeMessage(message, address)


class CountingFactory(DNSServerFactory):
    """Knows how many TCP connections there were."""

    noisy = False
    connected = 0

    def buildProtocol(self, addr: object) -> Any:
        self.connected += 1
        return super().buildProtocol(addr)


class ScriptedDns:
    """A DNS server (UDP and TCP) that answers TXT with what was published; `padding` makes answers too long for UDP."""

    def __init__(self) -> None:
        self.values: dict[str, set[str]] = {}
        self.padding: tuple[str, ...] = ()
        self._factory = CountingFactory(clients=[self])

    @property
    def tcp_queries(self) -> int:
        """Connections that were made, each with one query."""
        return self._factory.connected

    def listen(self) -> tuple[str, int]:
        for _ in range(20):
            self._tcp = REACTOR.listenTCP(0, self._factory, backlog=1000, interface="127.0.0.1")
            port: int = self._tcp.getHost().port
            try:
                self._udp = REACTOR.listenUDP(port, CuttingProtocol(self._factory), "127.0.0.1")
                break
            except CannotListenError:  # a port that is free for TCP may be taken for UDP
                self._tcp.stopListening()
        return "127.0.0.1", port

    async def stop(self) -> None:
        await self._udp.stopListening()
        await self._tcp.stopListening()

    def query(self, query: dns.Query, timeout: object = None) -> Deferred[Any]:
        name = str(query.name).lower()
        if query.type != dns.TXT or name not in self.values:
            return fail(DomainError())
        texts = [*self.values[name], *self.padding]
        records = [dns.RRHeader(name, dns.TXT, payload=dns.Record_TXT(text.encode())) for text in texts]
        return succeed((records, [], []))

    async def publish(self, records: Sequence[Dns01Record]) -> None:
        for record in records:
            self.values.setdefault(record.record_name, set()).add(record.value)

    async def withdraw(self, records: Sequence[Dns01Record]) -> None:
        for record in records:
            values = self.values.get(record.record_name, set())
            values.discard(record.value)
            if not values:
                self.values.pop(record.record_name, None)
