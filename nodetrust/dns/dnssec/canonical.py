"""Record sets in the form in which they are signed (RFC 4034 §6, RFC 6840 §5.1)."""

from __future__ import annotations

import struct

from nodetrust.dns.records import CLASS_IN, Name, RRset, Type, name_to_wire

_FIXED = struct.Struct("!HHIH")  # type, class, original TTL and the length of the data
_NAME, _STRING = -1, -2

_LAYOUTS: dict[int, tuple[int, ...]] = {
    Type.NS: (_NAME,),
    3: (_NAME,),  # MD
    4: (_NAME,),  # MF
    Type.CNAME: (_NAME,),
    Type.SOA: (_NAME, _NAME),
    7: (_NAME,),  # MB
    8: (_NAME,),  # MG
    9: (_NAME,),  # MR
    12: (_NAME,),  # PTR
    14: (_NAME, _NAME),  # MINFO
    Type.MX: (2, _NAME),
    17: (_NAME, _NAME),  # RP
    18: (2, _NAME),  # AFSDB
    21: (2, _NAME),  # RT
    26: (2, _NAME, _NAME),  # PX
    33: (6, _NAME),  # SRV
    35: (4, _STRING, _STRING, _STRING, _NAME),  # NAPTR
    36: (2, _NAME),  # KX
    Type.DNAME: (_NAME,),
}
"""Types whose data has names that are signed in lower case: what comes in order, a number being as many octets.

RFC 4034 §6.2 has the list and RFC 6840 §5.1 takes NSEC and RRSIG from it; SIG, NXT and A6 are of history.
"""


def canonical_rdata(type_: int, rdata: bytes) -> bytes:
    """The data of one record with its names in lower case; of our own records, never fed from the network."""
    layout = _LAYOUTS.get(type_)
    if layout is None:
        return rdata
    start = end = 0
    out = bytearray(rdata)
    for part in layout:
        start = end
        if part == _STRING:
            end += 1 + rdata[end]
        elif part == _NAME:
            while length := rdata[end]:
                end += 1 + length
            end += 1
            out[start:end] = rdata[start:end].lower()  # a length octet is below 64, so no letter
        else:
            end += part
    return bytes(out)


def canonical_rrset(owner: Name, rrset: RRset) -> bytes:
    """All records of a set as they are signed: owner in lower case (as it is given), ordered by their data."""
    if len(rrset.rdatas) == 1:
        data = [canonical_rdata(rrset.type, rrset.rdatas[0])]
    else:
        data = sorted({canonical_rdata(rrset.type, rdata) for rdata in rrset.rdatas})
    name = name_to_wire(owner)
    return b"".join(name + _FIXED.pack(rrset.type, CLASS_IN, rrset.ttl, len(rdata)) + rdata for rdata in data)
