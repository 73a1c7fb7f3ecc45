"""Tells the zone's DNS servers which ACME challenges to answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.errors import NodetrustError
from nodetrust.issue.errors import DnsServerError
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import DNS01_PROTOCOL, MAX_DNS01_RESPONSE_BYTES, OK, DNS01Request, DNS01Response, parse

RESPONSE_SECONDS = 10.0
"""How long a DNS server may take to answer a request; it only has to note the value."""

Challenge = tuple[str, str]
"""A name, without `_acme-challenge.`, and the value of its TXT record."""


class DnsServers:
    """All DNS servers of the zone, each a libp2p peer; connections to them are kept and reused."""

    log = Logger()

    def __init__(self, host: Host, addresses: Iterable[Multiaddr]) -> None:
        self._host = host
        self._servers: dict[PeerId, list[Multiaddr]] = {}
        for address in addresses:
            if address.peer_id is not None:
                self._servers.setdefault(address.peer_id, []).append(address)

    async def publish(self, challenges: Sequence[Challenge]) -> None:
        """Return when every server answers with all values; raises `DnsServerError` for the first that does not."""
        for failure in await self._send_to_all(challenges, remove=False):
            failure.raiseException()

    async def withdraw(self, challenges: Sequence[Challenge]) -> None:
        """Ask every server to forget the values; one that cannot be reached forgets them by itself in time."""
        for failure in await self._send_to_all(challenges, remove=True):
            self.log.warn("a challenge could not be withdrawn: {reason}", reason=failure.getErrorMessage())

    async def _send_to_all(self, challenges: Sequence[Challenge], *, remove: bool) -> list[Failure]:
        """Send to all servers at once; the failures of those that did not do as they were asked."""
        requests = [DNS01Request(fqdn=name, value=value, remove=remove) for name, value in challenges]
        failures: list[Failure] = []
        await gatherResults(
            [Deferred.fromCoroutine(self._send(one, requests)).addErrback(failures.append) for one in self._servers]
        )
        for failure in failures:
            if not failure.check(DnsServerError):
                failure.raiseException()  # cancelled, or a bug
        return failures

    async def _send(self, server: PeerId, requests: Sequence[DNS01Request]) -> None:
        try:
            await self._host.connect(self._servers[server], server)
            stream = await self._host.open_messages(
                server, [DNS01_PROTOCOL], max_bytes=MAX_DNS01_RESPONSE_BYTES, timeout=RESPONSE_SECONDS
            )
        except Libp2pError as error:
            raise DnsServerError(f"the DNS server {server} could not be reached: {error}") from error
        try:
            for request in requests:
                stream.write(request.SerializeToString())
            for request in requests:
                response = parse(DNS01Response, await stream.read())
                if response.error != OK:
                    reason = response.message or f"error {response.error}"
                    raise DnsServerError(f"the DNS server {server} did not take {request.fqdn}: {reason}")
        except DnsServerError:
            raise
        except (Libp2pError, NodetrustError) as error:
            raise DnsServerError(f"the DNS server {server} did not answer: {error}") from error
        finally:
            stream.close()
