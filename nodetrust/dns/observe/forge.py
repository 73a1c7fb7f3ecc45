"""AutoTLS names in the sorts that p2p-forge counts, so that its dashboards fit (its `docs/METRICS.md`).

Its `ipparser` answers for `<address>.<peer>.<zone>` and `<peer>.<zone>`, its `acme` for
`_acme-challenge.<peer>.<zone>`. ANY, which it answers elsewhere, counts nowhere; nor does what was refused, referred,
or sent to TCP.
"""

from __future__ import annotations

from dataclasses import fields

from nodetrust.dns.labels import CHALLENGE_LABEL, read_autotls_peer
from nodetrust.dns.observe.counters import Answered, Counters
from nodetrust.dns.records import CLASS_IN, Name, Type, name_to_wire
from nodetrust.dns.sources import NO_CHALLENGE_TEXT
from nodetrust.dns.wire import AA, HEADER, TC

MIN_PEER_BYTES = 50
"""Of a label that may be a peer's: the shortest CID of one, of a SHA-256 in base 36, has 56 characters."""

_MIN_PEER_BYTE = bytes((MIN_PEER_BYTES,))
_TYPE_CLASS_BYTES = 4
_RCODE_MASK = 0xF
_HTTPS = 65
_TYPES: dict[int, str] = {Type.A: "a", Type.AAAA: "aaaa", Type.TXT: "txt", _HTTPS: "https"}
_FIELDS = frozenset(field.name for field in fields(Counters))


class ForgeCensus:
    """Counts answers about AutoTLS names of a zone. All that others cost is a look at two lengths."""

    def __init__(self, counters: Counters, origin: Name) -> None:
        self._counters = counters
        self._zone = name_to_wire(origin)
        self._min_bytes = HEADER.size + 1 + MIN_PEER_BYTES + len(self._zone) + _TYPE_CLASS_BYTES

    def __call__(self, answered: Answered) -> None:
        """Count what was answered together."""
        for packet, response in zip(answered.packets, answered.responses, strict=True):
            if response is None or len(packet) < self._min_bytes:
                continue
            peer_at = HEADER.size
            if packet[peer_at] < MIN_PEER_BYTES or not self._is_zone(packet, peer_at):
                peer_at += 1 + packet[peer_at]
                if packet[peer_at : peer_at + 1] < _MIN_PEER_BYTE or not self._is_zone(packet, peer_at):
                    continue
            field = self._sort(packet, peer_at, response)
            if field in _FIELDS:
                setattr(self._counters, field, getattr(self._counters, field) + 1)

    def _is_zone(self, packet: bytes, label_at: int) -> bool:
        """Whether the zone's name is behind a label."""
        begin = label_at + 1 + packet[label_at]
        return packet[begin : begin + len(self._zone)].lower() == self._zone

    def _sort(self, packet: bytes, peer_at: int, response: bytes) -> str:
        """The field, if there is one, for an answer about a name whose first or second label, at `peer_at`, may be a
        peer's."""
        peer_end = peer_at + 1 + packet[peer_at]
        type_at = peer_end + len(self._zone)
        type_ = int.from_bytes(packet[type_at : type_at + 2], "big")
        class_ = int.from_bytes(packet[type_at + 2 : type_at + 4], "big")
        flags = int.from_bytes(response[2:4], "big")
        if flags & (AA | TC | _RCODE_MASK) != AA or class_ != CLASS_IN or type_ == Type.ANY:
            return ""
        if read_autotls_peer(packet[peer_at + 1 : peer_end].lower()) is None:
            return ""
        first = packet[HEADER.size + 1 : peer_at].lower()
        asked = _TYPES.get(type_, "other")
        names = "dns01" if first == CHALLENGE_LABEL else "autotls"
        if any(response[6:8]):
            return f"{names}_{asked}_empty" if NO_CHALLENGE_TEXT in response else f"{names}_{asked}"
        return f"{names}_nodata_{asked}" if first else f"{names}_nodata_peerid_{asked}"
