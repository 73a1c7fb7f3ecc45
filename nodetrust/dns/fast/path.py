"""The tables that lead from a packet to its form."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from itertools import product
from typing import TypeAlias

from nodetrust.dns.answer import Authority
from nodetrust.dns.fast.forms import DO, OPT, Form, form, frame, ip4_form, negative_soa
from nodetrust.dns.fast.labels import Labels, labels_of
from nodetrust.dns.records import CLASS_IN, MAX_LABEL_BYTES, MAX_NAME_BYTES, Type, name_to_wire
from nodetrust.dns.wire import CD, HEADER, RD

ShortPath: TypeAlias = Callable[[bytes], bytes | None]
"""The response to a message, in at most 512 octets; None when the full path must decide."""

_HTTPS, _CAA = 65, 257
TYPES = (Type.A, Type.AAAA, Type.TXT, Type.NS, Type.SOA, Type.MX, Type.DS, _HTTPS | 0x20, _CAA)
"""Those that names have, and what resolvers, browsers and CAs ask beside them and never get; read in lower case."""

MAX_TAILS = 1024
"""Remembered for each header. Honest clients have a handful of EDNS sizes; who tries them all gains nothing."""

AD = 0x0020
"""In a query it only says that the client understands the bit (RFC 6840 §5.7)."""

_QUESTION_END = struct.Struct("!HH")  # type and class


def short_path(authority: Authority, *, dnssec_ok: bool = True) -> ShortPath:
    """The short path of an Authority, to be made anew with each. Without `dnssec_ok`, DO takes the full path."""
    labels = labels_of(authority)
    zone = name_to_wire(authority.zone.origin)
    if labels is None or len(zone) + 2 * (1 + MAX_LABEL_BYTES) > MAX_NAME_BYTES:
        return lambda packet: None
    tables: dict[bytes, _Tails] = {}
    for *bits, has_opt in product((0, RD), (0, AD), (0, CD), (False, True)):
        flags = sum(bits)
        header = HEADER.pack(0, flags, 1, 0, 0, int(has_opt))[2:]
        tables[header] = _Tails(zone, has_opt, _forms(authority, labels, flags, has_opt, dnssec_ok))
    return _path(tables, labels)


def _path(tables: Mapping[bytes, _Tails], labels: Labels) -> ShortPath:
    """Walk through the tables. The first label is skipped unread: its form looks at it."""
    table_of = tables.get
    is_peer = labels.is_peer

    def respond(packet: bytes) -> bytes | None:
        tails = table_of(packet[2:12])
        if tails is None:
            return None
        try:
            end = origin_at = packet[12] + 13
        except IndexError:
            return None
        tail = packet[end:]
        write = tails[tail.lower()]
        if write is None:
            origin_at = end + 1 + tail[0] if tail else end
            if not is_peer(packet[end + 1 : origin_at]):
                return None
            write = tails[packet[origin_at:].lower()]
            if write is None:
                return None
        return write(packet, end, origin_at)

    return respond


_Kind: TypeAlias = tuple[int, int]
"""Type of the question and flags of the OPT record (0 without one)."""


def _forms(authority: Authority, labels: Labels, flags: int, has_opt: bool, dnssec_ok: bool) -> dict[_Kind, Form]:
    soa = negative_soa(authority)
    has_wildcard = authority.zone.wildcard(authority.zone.origin) is not None
    forms: dict[_Kind, Form] = {}
    for type_, opt_flags in product(TYPES, (0, DO) if has_opt and dnssec_ok else (0,)):
        around = frame(flags, has_opt, bool(opt_flags))
        write = form(type_, around, labels, soa, has_wildcard)
        if type_ == Type.A and labels.has_plain_ip4:
            write = ip4_form(around, labels.ip4.ttl, write)
        forms[type_, opt_flags] = write
    return forms


class _Tails(dict[bytes, Form | None]):
    """Forms by what follows the labels in front of the zone's: its name, type, class and the OPT record, in lower case.

    All of it in lower case, which is safe: no type, class or flag known here is the lower case of one that gets another
    answer, and the size in OPT, which may change by it, limits no answer of this path.
    """

    def __init__(self, zone: bytes, has_opt: bool, forms: Mapping[_Kind, Form]) -> None:
        super().__init__()
        self._zone = zone
        self._has_opt = has_opt
        self._forms = forms

    def __missing__(self, tail: bytes) -> Form | None:
        """Called for a tail that is not kept (yet); only those that have a form are."""
        kind = self._read(tail)
        found = None if kind is None else self._forms.get(kind)
        if found is not None:
            if len(self) >= MAX_TAILS:
                self.clear()
            self[tail] = found
        return found

    def _read(self, tail: bytes) -> _Kind | None:
        question_end = len(self._zone) + _QUESTION_END.size
        if not tail.startswith(self._zone) or len(tail) != question_end + (OPT.size if self._has_opt else 0):
            return None
        type_, class_ = _QUESTION_END.unpack_from(tail, len(self._zone))
        if class_ != CLASS_IN:
            return None
        if not self._has_opt:
            return type_, 0
        root, opt, _, flags, length = OPT.unpack_from(tail, question_end)
        return (type_, flags) if (root, opt, length) == (0, Type.OPT, 0) else None
