"""DNS messages: a strict reader of queries and a writer of responses.

The reader looks at the twelve octets of the header first and takes one plain question; everything else in a query that
we could misread is refused before anything is allocated for it. Where the name servers that people trust differ, we do
as Knot does, except that a malformed question gets twelve octets of FORMERR (as from NSD and BIND) instead of silence.

RFC 1035 §4, RFC 6891 (EDNS), RFC 5001 (NSID), RFC 9619 (one question), RFC 9471 (glue or TC).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from nodetrust.dns.errors import BadQuery, NotAQuery
from nodetrust.dns.records import (
    CLASS_CH,
    CLASS_IN,
    MAX_LABEL_BYTES,
    MAX_NAME_BYTES,
    Name,
    Rcode,
    RRset,
    Type,
    name_to_wire,
    soa_around,
)

HEADER = struct.Struct("!HHHHHH")
MAX_UDP_BYTES = 1232  # what crosses every IPv6 path unfragmented: dnsflagday.net/2020
MIN_UDP_BYTES = 512  # RFC 1035 §4.2.1, and the floor of RFC 6891 §6.2.3
MAX_MESSAGE_BYTES = 65535  # RFC 1035 §4.2.2
MAX_ADDITIONAL_RECORDS = 2  # OPT and one signature

QR, AA, TC, RD, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0010
_OPCODE_MASK = 0x7800
_OPCODE_RCODES = {0x2000: Rcode.NOTAUTH, 0x2800: Rcode.REFUSED}  # NOTIFY: we are nobody's secondary; UPDATE: not here
_KEPT_FLAGS = _OPCODE_MASK | RD | CD  # RFC 1035 §4.1.1, RFC 4035 §3.1.6
_FIXED = struct.Struct("!HHIH")  # type, class, TTL and the length of the data
_TYPE_CLASS = struct.Struct("!HH")
_TSIG_TIMES = struct.Struct("!HIHH")  # time signed (48 bits), fudge, and the length of the MAC behind it
_TSIG_REST = struct.Struct("!HHH")  # original ID, error, and the length of other data behind it
_POINTER_MASK = 0xC0
_DO = 0x8000
_CO = 0x4000  # RFC 9824 §5.1

EdnsOption: TypeAlias = tuple[int, bytes]
"""An option's code and its data."""

NSID = 3
"""The option in which a server says which of several it is, if asked (RFC 5001)."""

COOKIE = 10
"""The option that shows that both sides have met before (RFC 7873)."""


@dataclass(frozen=True, slots=True)
class Edns:
    """What the OPT record of a query says (RFC 6891 §6.1.3); `options` are its codes and data, in order."""

    payload_bytes: int
    version: int
    dnssec_ok: bool
    options: tuple[EdnsOption, ...] = ()
    compact_ok: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A question in opcode QUERY. `question` is the section as it came, in its own case; `name` is in lower case.

    Who wants a server cookie alone may ask nothing (RFC 7873 §5.4): the name is the root, type and class are 0.
    """

    id: int
    flags: int
    question: bytes
    name: Name
    type: int
    class_: int
    edns: Edns | None

    @property
    def asks_nothing(self) -> bool:
        """Whether there was no question."""
        return not self.question and not self.class_


@dataclass(frozen=True, slots=True)
class Answer:
    """What a response says: sections of (owner in lower case, record set).

    When space is short the additional section is left out, or, with `needs_additional` (glue), the response truncated.
    `options` go into our OPT record, which answers one in the query; `compact_ok` is its CO flag.
    """

    rcode: int
    authoritative: bool = False
    answers: tuple[tuple[Name, RRset], ...] = ()
    authority: tuple[tuple[Name, RRset], ...] = ()
    additional: tuple[tuple[Name, RRset], ...] = ()
    needs_additional: bool = False
    options: tuple[EdnsOption, ...] = ()
    compact_ok: bool = False


def read_query(packet: bytes) -> Query:
    """Read one message from a client.

    Raises NotAQuery for what must not be answered, BadQuery for what gets a header with a response code and no more.
    """
    if len(packet) < HEADER.size:
        raise NotAQuery("shorter than a header")
    id_, flags, questions, answers, authorities, additional = HEADER.unpack_from(packet)
    if flags & QR:
        raise NotAQuery("a response")
    if opcode := flags & _OPCODE_MASK:
        raise BadQuery(_OPCODE_RCODES.get(opcode, Rcode.NOTIMP))
    if questions > 1 or answers or authorities > 1 or additional > MAX_ADDITIONAL_RECORDS:
        raise BadQuery(Rcode.FORMERR)
    try:
        name, offset = _read_name(packet, HEADER.size) if questions else ((), HEADER.size)
        type_, class_ = _TYPE_CLASS.unpack_from(packet, offset) if questions else (0, 0)
        offset += 4 * questions
        question = packet[HEADER.size : offset]
        if authorities and type_ != Type.IXFR:  # only IXFR brings a record there, the SOA it has (RFC 1995 §3)
            raise BadQuery(Rcode.FORMERR)
        edns = _read_records(packet, offset, authorities, additional)
    except (struct.error, IndexError):
        raise BadQuery(Rcode.FORMERR) from None
    if not questions and (edns is None or all(code != COOKIE for code, _ in edns.options)):
        raise BadQuery(Rcode.FORMERR)
    return Query(id_, flags, question, name, type_, class_, edns)


def _read_name(packet: bytes, offset: int) -> tuple[Name, int]:
    """The lower-case labels at `offset`, and the offset behind them; in a question there is nothing to point at."""
    labels = []
    start = offset
    while length := packet[offset]:
        end = offset + 1 + length
        # the root's octet is still to come, and IndexError if the packet ends before it
        if length > MAX_LABEL_BYTES or end + 1 - start > MAX_NAME_BYTES:
            raise BadQuery(Rcode.FORMERR)
        labels.append(packet[offset + 1 : end].lower())
        offset = end
    return tuple(labels), offset + 1


def _read_records(packet: bytes, offset: int, authorities: int, additional: int) -> Edns | None:
    """Walk over the records behind the question, which must end with the packet, and return what OPT says."""
    edns = None
    for index in range(authorities + additional):
        start = offset
        offset = _skip_name(packet, offset)
        type_, class_, ttl, length = _FIXED.unpack_from(packet, offset)
        offset += _FIXED.size
        data = packet[offset : offset + length]
        offset += length
        if type_ == Type.TSIG:
            raise BadQuery(_tsig_rcode(data, offset == len(packet) and index == authorities + additional - 1))
        if type_ == Type.OPT:
            if edns is not None or packet[start] or index < authorities:
                raise BadQuery(Rcode.FORMERR)
            options = _read_options(data) if data else ()
            edns = Edns(class_, (ttl >> 16) & 0xFF, bool(ttl & _DO), options, bool(ttl & _CO))
    if offset != len(packet):
        raise BadQuery(Rcode.FORMERR)
    return edns


def _skip_name(packet: bytes, offset: int) -> int:
    """The offset behind an owner name, which may end in a pointer; it is not followed, so it cannot loop."""
    start = offset
    while length := packet[offset]:
        if length & _POINTER_MASK == _POINTER_MASK:
            if (length << 8 | packet[offset + 1]) & 0x3FFF >= start:  # back, never ahead (RFC 1035 §4.1.4)
                raise BadQuery(Rcode.FORMERR)
            return offset + 2
        if length > MAX_LABEL_BYTES:
            raise BadQuery(Rcode.FORMERR)
        offset += 1 + length
    return offset + 1


def _tsig_rcode(data: bytes, is_last: bool) -> Rcode:
    """What a signed query is refused with: we share a key with nobody (RFC 8945 §5.2), and sign no refusal either."""
    if not is_last:
        return Rcode.FORMERR
    after_algorithm = _skip_name(data, 0)
    *_, mac_bytes = _TSIG_TIMES.unpack_from(data, after_algorithm)
    *_, other_bytes = _TSIG_REST.unpack_from(data, after_algorithm + _TSIG_TIMES.size + mac_bytes)
    whole = after_algorithm + _TSIG_TIMES.size + mac_bytes + _TSIG_REST.size + other_bytes
    return Rcode.NOTAUTH if whole == len(data) else Rcode.FORMERR


def _read_options(data: bytes) -> tuple[EdnsOption, ...]:
    """EDNS options must fill their record exactly (RFC 6891 §6.1.2)."""
    options = []
    offset = 0
    while offset < len(data):
        code, length = _TYPE_CLASS.unpack_from(data, offset)
        offset += 4 + length
        options.append((code, data[offset - length : offset]))
    if offset != len(data):
        raise BadQuery(Rcode.FORMERR)
    return tuple(options)


def write_refusal(packet: bytes, rcode: int) -> bytes:
    """Answer a message that could not be read with its header alone. `packet` has at least a header."""
    id_, flags = _TYPE_CLASS.unpack_from(packet)
    return HEADER.pack(id_, QR | (flags & _KEPT_FLAGS) | rcode, 0, 0, 0, 0)


def udp_limit(query: Query) -> int:
    """How many octets a UDP response to this query may have."""
    if query.edns is None:
        return MIN_UDP_BYTES
    return min(max(query.edns.payload_bytes, MIN_UDP_BYTES), MAX_UDP_BYTES)


def write_response(query: Query, answer: Answer, limit: int) -> bytes:
    """The response in at most `limit` (512 or more) octets: without what may be left out if that helps, else TC."""
    response = _write_sections(query, answer, answer.additional)
    if len(response) > limit and not answer.needs_additional:
        response = _write_sections(query, answer, ())
    if len(response) > limit:
        response = _write_sections(query, replace(answer, answers=(), authority=()), (), TC)
    return response


def _write_sections(query: Query, answer: Answer, additional: tuple[tuple[Name, RRset], ...], flags: int = 0) -> bytes:
    flags |= QR | (query.flags & _KEPT_FLAGS) | (answer.rcode & 0xF) | (AA if answer.authoritative else 0)
    offsets: dict[Name, int] = {}
    _remember(offsets, query.name, HEADER.size)
    body = bytearray(HEADER.size) + query.question
    class_ = CLASS_CH if query.class_ == CLASS_CH else CLASS_IN
    sections = (answer.answers, answer.authority, additional)
    counts = [_write_records(body, section, class_, offsets) for section in sections]
    if query.edns is not None:
        body += _opt(answer, query.edns.dnssec_ok)
        counts[2] += 1
    HEADER.pack_into(body, 0, query.id, flags, int(not query.asks_nothing), *counts)
    return bytes(body)


def _write_records(
    body: bytearray, section: Iterable[tuple[Name, RRset]], class_: int, offsets: dict[Name, int]
) -> int:
    """Append a section. Owner names are compressed; of those within the data, a SOA's. Returns how many records."""
    count = 0
    for owner, rrset in section:
        for rdata in rrset.rdatas:
            _write_owner(body, owner, offsets)
            data = _shortened_soa(owner, rdata, offsets) if rrset.type == Type.SOA else rdata
            body += _FIXED.pack(rrset.type, class_, rrset.ttl, len(data))
            body += data
            count += 1
    return count


def _shortened_soa(owner: Name, rdata: bytes, offsets: dict[Name, int]) -> bytes:
    target = offsets.get(owner)
    return rdata if target is None else (0xC000 | target).to_bytes(2, "big").join(soa_around(owner, rdata))


def _write_owner(body: bytearray, owner: Name, offsets: dict[Name, int]) -> None:
    start = len(body)
    for index in range(len(owner)):
        target = offsets.get(owner[index:])
        if target is not None:
            body += name_to_wire(owner[:index])[:-1] + (0xC000 | target).to_bytes(2, "big")
            break
    else:
        body += name_to_wire(owner)
    _remember(offsets, owner, start)


def _remember(offsets: dict[Name, int], name: Name, offset: int) -> None:
    """Note where `name` and each of its parents stand, as far as a pointer's 14 bits reach."""
    for index, label in enumerate(name):
        if offset > 0x3FFF or name[index:] in offsets:
            return
        offsets[name[index:]] = offset
        offset += 1 + len(label)


def _opt(answer: Answer, dnssec_ok: bool) -> bytes:
    """Our OPT record: root owner, our size, the upper bits of the response code, version 0, the options."""
    data = b"".join(_TYPE_CLASS.pack(code, len(value)) + value for code, value in answer.options)
    flags = (_DO if dnssec_ok else 0) | (_CO if answer.compact_ok else 0)
    fixed = _FIXED.pack(Type.OPT, MAX_UDP_BYTES, (answer.rcode >> 4) << 24 | flags, len(data))
    return b"\0" + fixed + data
