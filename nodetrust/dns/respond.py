"""From the bytes of a query to the bytes of its answer: the whole server without its sockets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nodetrust.dns.answer import Authority, answer
from nodetrust.dns.dnssec.secure import is_lasting, secure
from nodetrust.dns.errors import BadQuery, NotAQuery
from nodetrust.dns.fast import short_path
from nodetrust.dns.wire import MAX_MESSAGE_BYTES, read_query, udp_limit, write_refusal, write_response


@dataclass(slots=True)
class Counters:
    """What has happened since the start."""

    answered: int = 0
    refused: int = 0
    dropped: int = 0
    unsent: int = 0
    """Answers that the operating system did not take (ENOBUFS and the like): the resolver asks again."""


def respond(packet: bytes, authority: Authority, now: float, *, udp: bool) -> bytes:
    """The response to a message. Raises NotAQuery when there must be none, BadQuery for what gets `write_refusal`."""
    signer = authority.zone.signer
    if udp and signer is not None and (recent := signer.answers.find(packet, now)) is not None:
        return recent
    query = read_query(packet)
    limit = udp_limit(query) if udp else MAX_MESSAGE_BYTES
    decided = answer(query, authority, now)
    if signer is None or query.edns is None or not query.edns.dnssec_ok:
        return write_response(query, decided, limit)
    signed = secure(query, decided, authority, signer, now)
    response = write_response(query, signed, limit)
    if udp and is_lasting(signed):
        signer.answers.keep(packet, response)
    return response


class Responder:
    """What the UDP and TCP protocols share: the present Authority (to be replaced whole), a clock and counters."""

    def __init__(self, authority: Authority, seconds: Callable[[], float]) -> None:
        self._authority = authority
        self._short_path = short_path(authority, dnssec_ok=authority.zone.signer is None)
        self.seconds = seconds
        self.counters = Counters()

    @property
    def authority(self) -> Authority:
        """What answers; the tables of the short path are made with it."""
        return self._authority

    @authority.setter
    def authority(self, authority: Authority) -> None:
        self._authority = authority
        self._short_path = short_path(authority, dnssec_ok=authority.zone.signer is None)

    def respond(self, packet: bytes, *, udp: bool) -> bytes | None:
        """The response to a message from the network, or None when it gets none."""
        response = self._short_path(packet)
        if response is not None:
            self.counters.answered += 1
            return response
        return self._respond_in_full(packet, udp)

    def _respond_in_full(self, packet: bytes, udp: bool) -> bytes | None:
        try:
            response = respond(packet, self._authority, self.seconds(), udp=udp)
        except NotAQuery:
            self.counters.dropped += 1
            return None
        except BadQuery as error:
            self.counters.refused += 1
            return write_refusal(packet, error.rcode)
        self.counters.answered += 1
        return response
