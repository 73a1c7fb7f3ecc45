"""The validation authority: asks the DNS server, and nobody's cache, for the dns-01 value. RFC 8555 §8.4."""

import hashlib

from josepy.json_util import encode_b64jose
from josepy.jwk import JWK
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IReactorTime
from twisted.names import dns
from twisted.names.client import Resolver
from twisted.names.error import DomainError, ResolverError

from nodetrust.testing.ca.problems import Problem

_TIMEOUTS = (1, 2, 4)  # seconds of three tries
_MAX_SHOWN = 3


def expected_value(token: str, account_key: JWK) -> str:
    """The TXT value that proves control: the hash of token and key thumbprint."""
    authorization = f"{token}.{encode_b64jose(account_key.thumbprint())}"
    value: str = encode_b64jose(hashlib.sha256(authorization.encode()).digest())
    return value


class ValidationAuthority:
    """Looks names up at one DNS server, by UDP, and by TCP where the answer was cut."""

    def __init__(self, reactor: IReactorTime, dns_server: tuple[str, int]) -> None:
        self._reactor = reactor
        self._dns_server = dns_server

    async def check(self, name: str, value: str) -> Problem | None:
        """None when one of the TXT values at `_acme-challenge.<name>` is `value`, else what is wrong."""
        record_name = f"_acme-challenge.{name}"
        host, port = self._dns_server
        try:
            found = await self._texts(record_name)
        except (DomainError, ResolverError, DeferredTimeout, OSError) as error:
            # Twisted's own text is the whole DNS message; the class says what was wrong (DNSNameError: no such name).
            return Problem("dns", f"looking up TXT {record_name} at {host}:{port} failed: {type(error).__name__}")
        if value in found:
            return None
        shown = ", ".join(repr(text[:80]) for text in found[:_MAX_SHOWN]) or "none"
        return Problem("unauthorized", f"TXT {record_name} has not the expected value; found: {shown}")

    async def _texts(self, record_name: str) -> list[str]:
        resolver = Resolver(servers=[self._dns_server], reactor=self._reactor)
        try:
            answers, _, _ = await resolver.lookupText(record_name, _TIMEOUTS)
        finally:
            for connection in resolver.connections:
                connection.transport.loseConnection()
        texts = [record.payload.data for record in answers if isinstance(record.payload, dns.Record_TXT)]
        return [b"".join(parts).decode("ascii", "backslashreplace") for parts in texts]
