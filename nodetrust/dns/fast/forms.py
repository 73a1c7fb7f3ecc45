"""Forms: what is written around the meaning of a label."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from nodetrust.dns.answer import Authority
from nodetrust.dns.fast.labels import BROKEN, IP4_STARTS, OCTETS, Labels, record_start
from nodetrust.dns.records import CLASS_IN, MAX_NAME_BYTES, Rcode, Type, soa_around
from nodetrust.dns.wire import AA, CD, HEADER, MAX_UDP_BYTES, MIN_UDP_BYTES, QR, RD

Form: TypeAlias = Callable[[bytes, int, int], bytes | None]
"""Answers a packet, given where its first label ends and where the zone's own name begins; None: the full path must."""

FIRST_LABEL = HEADER.size + 1
"""Where the first label's text begins."""

OPT = struct.Struct("!BHHIH")  # the root, type, payload octets, the rest of RFC 6891 §6.1.3, length of the options
DO = 0x8000
_RECORD = struct.Struct("!HHIH")
_POINTER_BYTES = 2
_POINTERS = [struct.pack("!H", 0xC000 | offset) for offset in range(HEADER.size + MAX_NAME_BYTES)]


@dataclass(frozen=True, slots=True)
class Frame:
    """The constant parts of the responses to one kind of header and OPT record."""

    found: bytes
    """The header behind its ID."""
    nodata: bytes
    nxdomain: bytes
    question_end: int | None
    """Counted from the query's end."""
    opt: bytes


def frame(flags: int, has_opt: bool, dnssec_ok: bool) -> Frame:
    """The frame for a query's flags, and for what it has as its OPT record (without options)."""
    opt = OPT.pack(0, Type.OPT, MAX_UDP_BYTES, DO if dnssec_ok else 0, 0) if has_opt else b""

    def header(rcode: int, answers: int, authorities: int) -> bytes:
        return HEADER.pack(0, QR | AA | (flags & (RD | CD)) | rcode, 1, answers, authorities, int(has_opt))[2:]

    return Frame(
        header(Rcode.NOERROR, 1, 0),
        header(Rcode.NOERROR, 0, 1),
        header(Rcode.NXDOMAIN, 0, 1),
        -len(opt) if has_opt else None,
        opt,
    )


def negative_soa(authority: Authority) -> tuple[bytes, ...] | None:
    """The SOA of negative answers, to be joined by pointers to the zone's name, of which the first is its owner.

    None when those answers are the full path's, since they are too large.
    """
    soa = authority.zone.negative_soa()
    first, *others = soa_around(authority.zone.origin, soa.rdatas[0])
    data_bytes = len(first) + sum(_POINTER_BYTES + len(piece) for piece in others)
    head = _RECORD.pack(soa.type, CLASS_IN, soa.ttl, data_bytes)
    largest = HEADER.size + MAX_NAME_BYTES + 4 + _POINTER_BYTES + len(head) + data_bytes + OPT.size
    return (b"", head + first, *others) if largest <= MIN_UDP_BYTES else None


def form(type_: int, frame: Frame, labels: Labels, soa: tuple[bytes, ...] | None, has_wildcard: bool) -> Form:
    """Answers queries for `type_` at any label. What does not exist may be filled by the zone file's wildcard."""
    found, nodata, nxdomain, question_end, opt = (
        frame.found,
        frame.nodata,
        frame.nxdomain,
        frame.question_end,
        frame.opt,
    )
    read = labels.read

    def answer(packet: bytes, label_end: int, origin_at: int) -> bytes | None:
        meaning = read(packet[FIRST_LABEL:label_end])
        if meaning is None:
            return None
        question = packet[HEADER.size : question_end]
        found_type, record = meaning
        if found_type == type_:
            return packet[:2] + found + question + record + opt
        if soa is None or (meaning is BROKEN and has_wildcard):
            return None
        header = nxdomain if meaning is BROKEN else nodata
        return packet[:2] + header + question + _POINTERS[origin_at].join(soa) + opt

    return answer


def ip4_form(frame: Frame, ttl: int, otherwise: Form) -> Form:
    """Answers `A` where each label that spells an address has it; every other label is for `otherwise`."""
    found, question_end, opt = frame.found, frame.question_end, frame.opt
    start = record_start(Type.A, ttl, 4)
    join = b"".join

    def answer(packet: bytes, label_end: int, origin_at: int) -> bytes | None:
        try:
            a, b, c, d = packet[FIRST_LABEL:label_end].split(b"-")
            return join(
                (
                    packet[:2],
                    found,
                    packet[HEADER.size : question_end],
                    start,
                    IP4_STARTS[a],
                    OCTETS[b],
                    OCTETS[c],
                    OCTETS[d],
                    opt,
                )
            )
        except (KeyError, ValueError):
            return otherwise(packet, label_end, origin_at)

    return answer
