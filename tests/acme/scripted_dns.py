"""A DNS server on loopback that says what it was told, for CAs that look."""

from collections.abc import Sequence

from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.names import dns
from twisted.names.error import DomainError
from twisted.names.server import DNSServerFactory

from nodetrust.acme import Dns01Record


class CuttingProtocol(dns.DNSDatagramProtocol):
    """Cuts answers of more than 512 octets, as a DNS server has to and twisted.names does not."""

    def writeMessage(self, message, address) -> None:
        if len(message.toStr()) > 512:
            message.answers, message.trunc = [], 1
        super().writeMessage(message, address)


class ScriptedDns:
    """A DNS server (UDP and TCP) that answers TXT with what was published; `padding` makes answers too long for UDP."""

    def __init__(self) -> None:
        self.values: dict[str, set[str]] = {}
        self.padding: tuple[str, ...] = ()
        self.tcp_queries = 0

    def listen(self) -> tuple[str, int]:
        factory = DNSServerFactory(clients=[self])
        factory.noisy = False
        for _ in range(20):
            self._tcp = reactor.listenTCP(0, factory, backlog=1000, interface="127.0.0.1")
            port = self._tcp.getHost().port
            try:
                self._udp = reactor.listenUDP(port, CuttingProtocol(factory), "127.0.0.1")
                break
            except CannotListenError:  # a port that is free for TCP may be taken for UDP
                self._tcp.stopListening()
        build = factory.buildProtocol

        def counted(address):
            self.tcp_queries += 1
            return build(address)

        factory.buildProtocol = counted
        return "127.0.0.1", port

    async def stop(self) -> None:
        await self._udp.stopListening()
        await self._tcp.stopListening()

    def query(self, query, timeout=None) -> Deferred:
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
