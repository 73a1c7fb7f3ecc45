"""What a DNS server has done since its start, as numbers that add up over processes."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from nodetrust.dns.records import Type
from nodetrust.dns.wire import AA, HEADER, TC


@dataclass(slots=True)
class Counters:
    """Every field is a number that only grows."""

    answered: int = 0
    refused: int = 0
    """Could not be read, and got a header with a response code."""
    dropped: int = 0
    unsent: int = 0
    """Answers that the operating system did not take (ENOBUFS and the like): the resolver asks again."""
    slipped: int = 0
    """Over the limit of their source's prefix, and told to come over TCP."""
    limited: int = 0
    """Over the limit, and not answered."""
    denied: int = 0
    """Addresses of a list that were asked for, and are not answered."""
    tcp_accepted: int = 0
    tcp_evicted: int = 0
    """Connections closed to make room for others."""
    challenges_added: int = 0
    challenges_removed: int = 0
    challenges_refused: int = 0

    # What follows is counted by `Census`, if anybody wants to know.
    over_udp: int = 0
    over_tcp: int = 0
    type_a: int = 0
    type_aaaa: int = 0
    type_txt: int = 0
    type_ns: int = 0
    type_soa: int = 0
    type_mx: int = 0
    type_ds: int = 0
    type_dnskey: int = 0
    type_caa: int = 0
    type_https: int = 0
    type_any: int = 0
    type_other: int = 0
    kind_data: int = 0
    kind_nodata: int = 0
    kind_referral: int = 0
    kind_truncated: int = 0
    kind_formerr: int = 0
    kind_nxdomain: int = 0
    kind_notimp: int = 0
    kind_refused: int = 0
    kind_other: int = 0
    within_50us: int = 0
    within_100us: int = 0
    within_250us: int = 0
    within_500us: int = 0
    within_1000us: int = 0
    within_2500us: int = 0
    within_5000us: int = 0
    within_10000us: int = 0
    within_50000us: int = 0
    later: int = 0
    microseconds: int = 0
    """Of all queries together."""

    # What follows is counted by `ForgeCensus`; p2p-forge's `type` is the rest of a name, in upper case, with hyphens.
    autotls_a: int = 0
    autotls_aaaa: int = 0
    autotls_nodata_a: int = 0
    autotls_nodata_aaaa: int = 0
    autotls_nodata_txt: int = 0
    autotls_nodata_https: int = 0
    autotls_nodata_other: int = 0
    autotls_nodata_peerid_a: int = 0
    autotls_nodata_peerid_aaaa: int = 0
    autotls_nodata_peerid_txt: int = 0
    autotls_nodata_peerid_https: int = 0
    autotls_nodata_peerid_other: int = 0
    dns01_txt: int = 0
    dns01_txt_empty: int = 0
    dns01_nodata_a: int = 0
    dns01_nodata_aaaa: int = 0
    dns01_nodata_https: int = 0
    dns01_nodata_other: int = 0


LATENCIES_US = (50, 100, 250, 500, 1000, 2500, 5000, 10000, 50000)
"""The upper bounds of the fields `within_...us`; what took longer is counted by `later`."""

_LATENCY_FIELDS = (*(f"within_{bound}us" for bound in LATENCIES_US), "later")
_HTTPS = 65
_TYPES: dict[int, str] = {
    Type.A: "type_a",
    Type.AAAA: "type_aaaa",
    Type.TXT: "type_txt",
    Type.NS: "type_ns",
    Type.SOA: "type_soa",
    Type.MX: "type_mx",
    Type.DS: "type_ds",
    Type.DNSKEY: "type_dnskey",
    Type.CAA: "type_caa",
    Type.ANY: "type_any",
    _HTTPS: "type_https",
}
_RCODES = {1: "kind_formerr", 3: "kind_nxdomain", 4: "kind_notimp", 5: "kind_refused"}
_RCODE_MASK = 0xF


@dataclass(frozen=True, slots=True)
class Answered:
    """Messages that came together: what they were, what each got (None: nothing), from which addresses (4 or 16
    octets), the seconds that all of it took, and whether they came over UDP."""

    packets: Sequence[bytes]
    responses: Sequence[bytes | None]
    sources: Sequence[bytes]
    seconds: float
    udp: bool


class Census:
    """Counts answers by type, kind, transport and latency.

    Called with what was answered together; it looks at a few octets of each answer, and for the rest counts sorts.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def __call__(self, answered: Answered) -> None:
        """Count what was answered together."""
        sorts = Counter(
            [
                packet[(end := packet.find(0, HEADER.size)) + 1 : end + 3] + response[2:4] + response[6:8]
                for packet, response in zip(answered.packets, answered.responses, strict=True)
                if response is not None
            ]
        )
        for sort, count in sorts.items():
            self._add(_TYPES.get(int.from_bytes(sort[:-4], "big"), "type_other"), count)
            self._add(_kind(int.from_bytes(sort[-4:-2], "big"), any(sort[-2:])), count)
        count = sorts.total()
        self._add("over_udp" if answered.udp else "over_tcp", count)
        microseconds = round(answered.seconds * 1e6)
        self._add(_LATENCY_FIELDS[bisect_left(LATENCIES_US, microseconds)], count)
        self._add("microseconds", microseconds * count)

    def _add(self, field: str, count: int) -> None:
        setattr(self._counters, field, getattr(self._counters, field) + count)


def _kind(flags: int, has_answers: bool) -> str:
    """The field for an answer with these flags; BADVERS, whose upper bits are in its OPT, counts as a referral."""
    if flags & TC:
        return "kind_truncated"
    rcode = flags & _RCODE_MASK
    if rcode:
        return _RCODES.get(rcode, "kind_other")
    if has_answers:
        return "kind_data"
    return "kind_nodata" if flags & AA else "kind_referral"
