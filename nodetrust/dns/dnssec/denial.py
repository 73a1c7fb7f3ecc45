"""NSEC records that deny one thing about one name: compact denial of existence (RFC 9824, RFC 4034 §4).

Each covers nothing but the name that it is at: the next name is the very next that there could be. So it tells nobody
which other names there are, and one is enough where a zone signed ahead needs three.
"""

from __future__ import annotations

from collections.abc import Iterable

from nodetrust.dns.records import MAX_LABEL_BYTES, MAX_NAME_BYTES, Name, RRset, Type, name_to_wire

_AT_A_CUT = frozenset((Type.NS, Type.DS))
_LAST_OCTET = 0xFF
_BEFORE_UPPER_CASE, _AFTER_UPPER_CASE = ord("A") - 1, ord("Z") + 1


def nsec(owner: Name, types: Iterable[int], ttl: int, apex: Name) -> RRset:
    """An NSEC that says: at `owner` there are these types, NSEC and its signature, and no other."""
    rdata = name_to_wire(successor(owner, apex)) + type_bitmap((*types, Type.RRSIG, Type.NSEC))
    return RRset(Type.NSEC, ttl, (rdata,))


def types_at_cut(types: Iterable[int]) -> frozenset[int]:
    """Of the types in the file at a delegation, those that are ours to speak of (RFC 4034 §4.1.2)."""
    return _AT_A_CUT.intersection(types)


def type_bitmap(types: Iterable[int]) -> bytes:
    """One block for each 256 types, as short as they allow (RFC 4034 §4.1.2)."""
    blocks: dict[int, bytearray] = {}
    for type_ in sorted(set(types)):
        window, number = divmod(type_, 256)
        bits = blocks.setdefault(window, bytearray())
        bits.extend(bytes(number // 8 + 1 - len(bits)))
        bits[number // 8] |= 0x80 >> number % 8
    return b"".join(bytes((window, len(bits))) + bits for window, bits in blocks.items())


def successor(name: Name, apex: Name) -> Name:
    """The name right behind `name` in the order of RFC 4034 §6.1, within the zone `apex`, by RFC 4471 §3.1.2.

    That is `\\000.<name>` unless the name is too long for it.
    """
    if len(name_to_wire(name)) + 2 <= MAX_NAME_BYTES:
        return (b"\0", *name)
    if len(name_to_wire(name)) + 1 <= MAX_NAME_BYTES and len(name[0]) < MAX_LABEL_BYTES:
        return (name[0] + b"\0", *name[1:])
    while len(name) > len(apex):
        label = name[0].rstrip(bytes((_LAST_OCTET,)))
        if label:
            last = label[-1] + 1
            if last == _BEFORE_UPPER_CASE + 1:  # an upper-case letter is the lower-case one, which comes later
                last = _AFTER_UPPER_CASE
            return (label[:-1] + bytes((last,)), *name[1:])
        name = name[1:]
    return apex  # behind the last name comes the first
