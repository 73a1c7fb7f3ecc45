"""Ordinary zone files (RFC 1035 §5), read with dnspython, checked, and turned into a `Zone`.

dnspython reads this file of the operator's; packets from the network never reach it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer
import dns.zonefile

from nodetrust.dns.errors import ZoneError
from nodetrust.dns.records import MAX_TTL, Name, Node, RRset, Type, is_within, name_from_wire, name_to_text
from nodetrust.dns.zone.caa import check_caa_rdata
from nodetrust.dns.zone.zone import Zone

MAX_FILE_BYTES = 16 * 1024 * 1024
"""A zone of about a hundred thousand names; the names that we spell out of addresses need no line at all."""


@dataclass(frozen=True, slots=True)
class _Line:
    place: str
    owner: Name
    type: int
    ttl: int
    rdata: bytes


class _Tokenizer(dns.tokenizer.Tokenizer):
    """Remembers the line of the last word, where dnspython would name the line after it."""

    def __init__(self, text: str, file: str) -> None:
        super().__init__(text, file)
        self.last_line = 1

    def get(self, want_leading: bool = False, want_comment: bool = False) -> dns.tokenizer.Token:
        token = super().get(want_leading, want_comment)
        if not token.is_eol_or_eof():
            self.last_line = self.line_number - (self.ungotten_char == "\n")  # read ahead, and counted
        return token

    def where(self) -> tuple[str, int]:
        return self.filename, self.last_line


class _Lines(dns.zonefile.RRsetsReaderTransaction):
    """Keeps each record with the line that it ends on, which dnspython's own zones forget."""

    def __init__(self, origin: dns.name.Name, tokenizer: _Tokenizer) -> None:
        super().__init__(dns.zonefile.RRSetsReaderManager(origin), True, False)  # type: ignore[no-untyped-call]
        self.tokenizer = tokenizer
        self.lines: list[_Line] = []

    def add(self, *args: Any) -> None:
        """Called by the reader with the owner, the TTL and the data of each record."""
        name, ttl, rdata = args
        file, line = self.tokenizer.where()
        place = f"{file}:{line}"
        if not 0 <= ttl <= MAX_TTL:
            raise ZoneError(f"{place}: a TTL is between 0 and {MAX_TTL} seconds")
        self.lines.append(_Line(place, _labels(name), int(rdata.rdtype), ttl, rdata.to_wire()))


def _labels(name: dns.name.Name) -> Name:
    return tuple(label.lower() for label in name.labels if label)


def load_zone(path: Path, origin: Name) -> Zone:
    """Read the zone `origin` from a file; raises ZoneError for what cannot be read or is not a zone we can serve."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ZoneError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
        text = path.read_text("utf-8")
    except OSError as error:
        raise ZoneError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ZoneError(f"{path}: is not text in UTF-8") from error
    return parse_zone(text, origin, str(path))


def parse_zone(text: str, origin: Name, file: str) -> Zone:
    """Read the zone `origin` from the text of its file; `file` is its name for errors. Raises ZoneError."""
    lines = _read_lines(text, origin, file)
    zone = Zone(origin, _nodes(lines, origin, file))
    _check_addresses(zone, lines)
    _check_caa(lines)
    return zone


def _read_lines(text: str, origin: Name, file: str) -> list[_Line]:
    apex = dns.name.Name([*origin, b""])
    tokenizer = _Tokenizer(text, file)
    lines = _Lines(apex, tokenizer)
    reader = dns.zonefile.Reader(tokenizer, dns.rdataclass.IN, lines)
    reader.zone_origin = dns.name.root  # or it would skip, without a word, what is not in the zone
    try:
        reader.read()
    except dns.exception.SyntaxError as error:
        raise ZoneError(str(error)) from error  # it begins with file:line
    except dns.exception.DNSException as error:
        place, line = tokenizer.where()
        raise ZoneError(f"{place}:{line}: {error}") from error
    for line_ in lines.lines:
        if not is_within(line_.owner, origin):
            raise ZoneError(f"{line_.place}: {name_to_text(line_.owner)} is not in {name_to_text(origin)}")
    return lines.lines


def _nodes(lines: list[_Line], origin: Name, file: str) -> dict[Name, Node]:
    """The names of a zone by owner, checked one by one: SOA and NS at the apex, nothing beside a CNAME."""
    types: defaultdict[Name, dict[int, RRset]] = defaultdict(dict)
    for line in lines:
        here = types[line.owner]
        old = here.get(line.type)
        if old is None:
            here[line.type] = RRset(line.type, line.ttl, (line.rdata,))
        elif line.type in (Type.SOA, Type.CNAME):
            raise ZoneError(f"{line.place}: a second {Type(line.type).name} at {name_to_text(line.owner)}")
        elif line.rdata not in old.rdatas:  # one set has one TTL, the lowest (RFC 2181 §5.2)
            here[line.type] = RRset(line.type, min(old.ttl, line.ttl), (*old.rdatas, line.rdata))
        if Type.CNAME in here and len(here) > 1:
            raise ZoneError(f"{line.place}: {name_to_text(line.owner)} has a CNAME, so it can have nothing else")
        if line.type == Type.SOA and line.owner != origin:
            raise ZoneError(f"{line.place}: SOA below the zone's own name {name_to_text(origin)}")
        if line.type == Type.DNAME:
            raise ZoneError(f"{line.place}: DNAME is not served here")
    for wanted in (Type.SOA, Type.NS):
        if wanted not in types.get(origin, {}):
            raise ZoneError(f"{file}: no {wanted.name} record at {name_to_text(origin)}")
    nodes = {owner: Node(rrsets) for owner, rrsets in types.items()}
    for owner in types:
        for index in range(1, len(owner) - len(origin)):
            nodes.setdefault(owner[index:], Node())
    return nodes


def _check_addresses(zone: Zone, lines: list[_Line]) -> None:
    """Name servers within the zone need their address in it, or nobody finds them (RFC 1912 §2.3)."""
    for line in lines:
        if line.type != Type.NS:
            continue
        host = name_from_wire(line.rdata)
        if is_within(host, zone.origin) and not zone.glue(RRset(Type.NS, 0, (line.rdata,))):
            raise ZoneError(f"{line.place}: the name server {name_to_text(host)} has no A or AAAA record in this file")


def _check_caa(lines: list[_Line]) -> None:
    for line in lines:
        if line.type == Type.CAA:
            try:
                check_caa_rdata(line.rdata)
            except ZoneError as error:
                raise ZoneError(f"{line.place}: {error}") from None


def default_zone_text(addresses: Sequence[str], caa: Sequence[str] = ()) -> str:
    """The zone file that stands in when there is none: this server at `addresses` is the one name server, `ns`.

    `caa` are the values of CAA `issue` records, checked by `check_caa_value`.
    """
    hosts = [f"ns 3600 {'AAAA' if ':' in address else 'A'} {address}" for address in addresses]
    issuers = [f'@ 3600 CAA 0 issue "{value}"' for value in caa]
    lines = ["@ 3600 SOA ns hostmaster 1 14400 3600 1209600 300", "@ 3600 NS ns", *hosts, *issuers]
    return "\n".join(lines) + "\n"


def zone_to_text(zone: Zone) -> str:
    """The zone as a zone file, one record a line: SOA first, then by name as RFC 4034 §6.1 orders them."""
    apex_first = sorted(zone.nodes, key=lambda name: name[::-1])
    return "".join(
        _line_text(name, rrset, rdata)
        for name in apex_first
        for rrset in sorted(zone.nodes[name].rrsets.values(), key=lambda rrset: (rrset.type != Type.SOA, rrset.type))
        for rdata in rrset.rdatas
    )


def _line_text(name: Name, rrset: RRset, rdata: bytes) -> str:
    owner = dns.name.Name([*name, b""])
    data = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.RdataType.make(rrset.type), rdata, 0, len(rdata))
    return f"{owner} {rrset.ttl} IN {dns.rdatatype.to_text(data.rdtype)} {data.to_text()}\n"
