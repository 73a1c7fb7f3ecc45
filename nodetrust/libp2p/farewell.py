"""Twisted's TLS, with a remedy: a stranger's farewell in the middle of a handshake is an ordinary end.

OpenSSL reports an early close_notify as an error without arguments, of which Twisted (26.4) reads the first: the
exception would go through the reactor into the log, whoever cares to send those seven octets.
"""

from __future__ import annotations

from OpenSSL import SSL
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure


class EndsEarly(TLSMemoryBIOProtocol):
    """Mixed in before any of Twisted's TLS protocols."""

    def _tlsShutdownFinished(self, reason: Failure | None) -> None:
        farewell = reason is not None and reason.check(SSL.ZeroReturnError) is not None
        super()._tlsShutdownFinished(None if farewell else reason)  # type: ignore[no-untyped-call]  # Twisted's
