"""Names, record types and record sets as this server keeps them: ready to be copied into a response.

Registry: https://www.iana.org/assignments/dns-parameters
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Name: TypeAlias = tuple[bytes, ...]
"""Labels from left to right without the root's empty one. A tuple, since a label may hold any octet, a dot too."""

CLASS_IN = 1
CLASS_CH = 3
CLASS_ANY = 255
MAX_LABEL_BYTES = 63  # RFC 1035 §2.3.4
MAX_NAME_BYTES = 255  # RFC 1035 §2.3.4, with the length octets and the root
MAX_STRING_BYTES = 255  # RFC 1035 §3.3
MAX_TTL = 0x7FFFFFFF  # RFC 2181 §8
_SOA_NAMES = 2  # the name server and the mailbox, before five numbers


class Type(enum.IntEnum):
    """Record types that some rule here names; every other type is only a number."""

    A = 1
    NS = 2
    CNAME = 5
    SOA = 6
    HINFO = 13
    MX = 15
    TXT = 16
    AAAA = 28
    DNAME = 39
    OPT = 41
    DS = 43
    RRSIG = 46
    NSEC = 47
    DNSKEY = 48
    NSEC3 = 50
    NSEC3PARAM = 51
    CDS = 59
    CDNSKEY = 60
    NXNAME = 128
    TSIG = 250
    IXFR = 251
    AXFR = 252
    ANY = 255
    CAA = 257


class Rcode(enum.IntEnum):
    """Response codes (RFC 1035 §4.1.1, RFC 2136 §2.2, RFC 6891 §9)."""

    NOERROR = 0
    FORMERR = 1
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    NOTAUTH = 9
    BADVERS = 16


@dataclass(frozen=True, slots=True)
class RRset:
    """The records of one type at one name: `ttl` in seconds, each of `rdatas` uncompressed wire form."""

    type: int
    ttl: int
    rdatas: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A name that exists: its record sets by type, none of them for an empty non-terminal.

    `negative_ttl` bounds how many seconds a resolver may remember that a type is missing here; None: as in the zone.
    """

    rrsets: Mapping[int, RRset] = field(default_factory=dict)
    negative_ttl: int | None = None


def node(*rrsets: RRset, negative_ttl: int | None = None) -> Node:
    """A Node with these record sets, no two of one type."""
    return Node({rrset.type: rrset for rrset in rrsets}, negative_ttl)


def is_within(name: Name, origin: Name) -> bool:
    """Whether `name` is `origin` or below it; both in lower case."""
    return name[len(name) - len(origin) :] == origin if len(name) >= len(origin) else False


def parse_name(text: str) -> Name:
    """A host name, with or without the final dot, to labels in lower case; raises ValueError for what is none."""
    labels = tuple(label.encode("ascii") for label in text.lower().removesuffix(".").split("."))
    if not all(0 < len(label) <= MAX_LABEL_BYTES for label in labels):
        raise ValueError(f"{text!r}: a label must have 1 to {MAX_LABEL_BYTES} characters")
    if len(name_to_wire(labels)) > MAX_NAME_BYTES:
        raise ValueError(f"{text!r}: a name has at most {MAX_NAME_BYTES} octets")
    return labels


def name_to_text(name: Name) -> str:
    """For people and logs: octets outside printable ASCII are escaped."""
    return ".".join(label.decode("ascii", "backslashreplace") for label in name) or "."


def name_to_wire(name: Name) -> bytes:
    """Uncompressed wire form, with the root at the end."""
    return b"".join(bytes((len(label),)) + label for label in name) + b"\0"


def name_from_wire(rdata: bytes) -> Name:
    """The lower-case name at the start of our own uncompressed record data (NS, CNAME); never fed from the network."""
    labels = []
    offset = 0
    while length := rdata[offset]:
        labels.append(rdata[offset + 1 : offset + 1 + length].lower())
        offset += 1 + length
    return tuple(labels)


def character_string(value: bytes) -> bytes:
    """One length octet and at most 255 octets (RFC 1035 §3.3); raises ValueError when it is longer."""
    return bytes((len(value),)) + value


def text_rrset(ttl: int, *values: bytes) -> RRset:
    """One TXT record for each value; one of more than 255 octets is several strings, to be read as one."""
    return RRset(Type.TXT, ttl, tuple(map(_text_rdata, values)))


def _text_rdata(value: bytes) -> bytes:
    starts = range(0, max(1, len(value)), MAX_STRING_BYTES)
    return b"".join(character_string(value[start : start + MAX_STRING_BYTES]) for start in starts)


def soa_around(origin: Name, rdata: bytes) -> tuple[bytes, ...]:
    """A SOA's data in pieces, to be joined by a pointer to `origin`, its owner (RFC 1035 §4.1.4 lets a SOA have such).

    Nearly every SOA has a name server and a mailbox below its owner, and every negative answer has the SOA: shorter by
    twice the zone's name, it is that much less of a gift to those who ask in others' names.
    """
    end = name_to_wire(origin)
    pieces = [b""]
    offset = 0
    for _ in range(_SOA_NAMES):
        while length := rdata[offset]:
            if rdata[offset : offset + len(end)].lower() == end:
                break
            pieces[-1] += rdata[offset : offset + 1 + length]
            offset += 1 + length
        if length:
            pieces.append(b"")
            offset += len(end)
        else:
            pieces[-1] += b"\0"
            offset += 1
    pieces[-1] += rdata[offset:]
    return tuple(pieces)
