"""DNS over UDP (RFC 1035 §4.2.1)."""

from __future__ import annotations

from twisted.internet.protocol import DatagramProtocol

from nodetrust.dns.respond import Responder

MAX_DATAGRAM_BYTES = 4096
"""What is read of a datagram. An honest query is a tenth of that; what is cut here is refused by the parser."""


class DnsDatagrams(DatagramProtocol):
    """Answers each datagram at once, or not at all."""

    noisy = False

    def __init__(self, responder: Responder) -> None:
        self.responder = responder

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """One message from `addr`. Port 0 is nobody's: only a forged packet has it."""
        if addr[1] == 0:
            self.responder.counters.dropped += 1
            return
        response = self.responder.respond(datagram, udp=True)
        if response is None or self.transport is None:
            return
        try:
            self.transport.write(response, addr)
        except OSError:
            # ENOBUFS, EPERM from a packet filter, EHOSTUNREACH: as if the network had lost it
            self.responder.counters.unsent += 1
