"""From the bytes of a query to the bytes of its answer: the whole server without its sockets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from nodetrust.dns.answer import Authority, answer
from nodetrust.dns.dnssec.secure import is_lasting, secure
from nodetrust.dns.errors import BadQuery, NotAQuery, OverLimit
from nodetrust.dns.fast import ShortPath, short_path
from nodetrust.dns.limits.gate import ANYONE, MAX_AMPLIFICATION, Caller, Gate
from nodetrust.dns.limits.rates import Decision
from nodetrust.dns.observe.counters import Answered, Counters
from nodetrust.dns.records import Rcode
from nodetrust.dns.wire import (
    MAX_MESSAGE_BYTES,
    TC,
    Answer,
    Query,
    read_query,
    udp_limit,
    write_refusal,
    write_response,
)

Observer: TypeAlias = Callable[[Answered], None]


def respond(packet: bytes, authority: Authority, now: float, *, udp: bool, caller: Caller = ANYONE) -> bytes:
    """The response to a message.

    Raises NotAQuery when there must be none, OverLimit when the caller gets none, BadQuery for what gets
    `write_refusal`.
    """
    signer = authority.zone.signer
    query = read_query(packet)
    decision, options = caller.judge(query)
    if decision is Decision.DROP:
        raise OverLimit("over the limit of its source's prefix")
    if decision is Decision.SLIP:
        return write_response(query, Answer(Rcode.NOERROR, True, options=options), 0)
    limit = _limit(packet, query, udp, decision)
    decided = answer(query, authority, now)
    if options:
        decided = replace(decided, options=decided.options + options)
    if signer is None or query.edns is None or not query.edns.dnssec_ok:
        return write_response(query, decided, limit)
    signed = secure(query, decided, authority, signer, now)
    response = write_response(query, signed, limit)
    if is_lasting(signed):
        signer.answers.keep(packet, response)
    return response


def _limit(packet: bytes, query: Query, udp: bool, decision: Decision) -> int:
    """How many octets the answer may have."""
    if not udp:
        return MAX_MESSAGE_BYTES
    if decision is Decision.BRIEF:
        return min(udp_limit(query), int(MAX_AMPLIFICATION * len(packet)))
    return udp_limit(query)


def _short_path(authority: Authority, seconds: Callable[[], float]) -> ShortPath:
    """Answers that need no decision: where answers are signed also those that were given a moment ago."""
    signer = authority.zone.signer
    unsigned = short_path(authority, dnssec_ok=signer is None)
    if signer is None:
        return unsigned
    signer.answers.clear()  # a signer may outlive an Authority, what was answered from it may not
    find = signer.answers.find
    return lambda packet: find(packet, seconds()) or unsigned(packet)


class Responder:
    """What the UDP and TCP protocols share: the Authority (to be replaced whole), the limits, a clock and counters."""

    def __init__(self, authority: Authority, seconds: Callable[[], float], gate: Gate | None = None) -> None:
        self._authority = authority
        self._short_path = _short_path(authority, seconds)
        self.seconds = seconds
        self.gate = gate or Gate()
        self.counters = Counters()
        self.observers: tuple[Observer, ...] = ()
        """Told of everything that was answered, at the price of that; nobody by default."""

    @property
    def authority(self) -> Authority:
        """What answers; the tables of the short path are made with it."""
        return self._authority

    @authority.setter
    def authority(self, authority: Authority) -> None:
        self._authority = authority
        self._short_path = _short_path(authority, self.seconds)

    def respond(self, packet: bytes, *, udp: bool, source: bytes = b"") -> bytes | None:
        """The response to a message from the network, or None when it gets none.

        `source` is the address (4 or 16 octets) that it came from. Over TCP nothing is limited.
        """
        if udp:
            return self.respond_all([packet], [source])[0]
        begin = self.seconds()
        response = self._short_path(packet)
        if response is None:
            response = self._respond_in_full(packet, self.gate.unlimited(source), udp=False)
        else:
            self.counters.answered += 1
        if self.observers:
            self._tell(Answered([packet], [response], [source], self.seconds() - begin, udp=False))
        return response

    def respond_all(self, packets: Sequence[bytes], sources: Sequence[bytes]) -> list[bytes | None]:
        """The responses to datagrams, each None or one; `sources` are the addresses (4 or 16 octets) they came from."""
        begin = self.seconds()
        decisions = self.gate.decide_all(sources, begin)
        if any(decisions):
            responses = list(map(self._respond_limited, packets, sources, decisions))
        else:
            responses = self._respond_unlimited(packets, sources)
        if self.observers:
            self._tell(Answered(packets, responses, sources, self.seconds() - begin, udp=True))
        return responses

    def _respond_unlimited(self, packets: Sequence[bytes], sources: Sequence[bytes]) -> list[bytes | None]:
        responses = [self._short_path(packet) for packet in packets]
        missed = responses.count(None)
        self.counters.answered += len(packets) - missed
        if missed:
            for index, response in enumerate(responses):
                if response is None:
                    caller = self.gate.caller(sources[index], Decision.ANSWER)
                    responses[index] = self._respond_in_full(packets[index], caller, udp=True)
        return responses

    def _tell(self, answered: Answered) -> None:
        for observe in self.observers:
            observe(answered)

    def _respond_limited(self, packet: bytes, source: bytes, decision: Decision) -> bytes | None:
        if decision <= Decision.BRIEF:
            response = self._short_path(packet)
            if response is not None and (not decision or len(response) <= MAX_AMPLIFICATION * len(packet)):
                self.counters.answered += 1
                return response
        return self._respond_in_full(packet, self.gate.caller(source, decision), udp=True)

    def _respond_in_full(self, packet: bytes, caller: Caller, *, udp: bool) -> bytes | None:
        try:
            response = respond(packet, self._authority, self.seconds(), udp=udp, caller=caller)
        except NotAQuery:
            self.counters.dropped += 1
            return None
        except OverLimit:
            self.counters.limited += 1
            return None
        except BadQuery as error:
            if caller.decision is Decision.DROP:
                self.counters.limited += 1
                return None
            self.counters.refused += 1
            return write_refusal(packet, error.rcode)
        if caller.decision is Decision.SLIP and response[2] & TC >> 8:
            self.counters.slipped += 1
        else:
            self.counters.answered += 1
        return response
