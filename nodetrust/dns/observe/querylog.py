"""One line for every query, for operators who ask for that: it costs more than the answer."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.logger import Logger

from nodetrust.dns.errors import BadQuery, NotAQuery
from nodetrust.dns.limits.sources import unmapped
from nodetrust.dns.observe.counters import Answered
from nodetrust.dns.records import name_to_text
from nodetrust.dns.wire import read_query

_RCODE_MASK = 0xF


class QueryLog:
    """An observer of a `Responder`."""

    log = Logger()

    def __call__(self, answered: Answered) -> None:
        """Log what was answered together."""
        for packet, response, source in zip(answered.packets, answered.responses, answered.sources, strict=True):
            name, type_ = _question(packet)
            self.log.info(
                "{source} over {transport}: {name} type {type}, {outcome}",
                source=str(ip_address(unmapped(source))) if source else "?",
                transport="UDP" if answered.udp else "TCP",
                name=name,
                type=type_,
                outcome=_outcome(response),
            )


def _question(packet: bytes) -> tuple[str, int]:
    try:
        query = read_query(packet)
    except (NotAQuery, BadQuery):
        return "unreadable", 0
    return name_to_text(query.name), query.type


def _outcome(response: bytes | None) -> str:
    return "no answer" if response is None else f"rcode {response[3] & _RCODE_MASK}, {len(response)} octets"
