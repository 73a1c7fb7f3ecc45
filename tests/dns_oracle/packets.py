"""The parts that the packets of `rows.py` are put together from."""

import struct

A, NS, CNAME, SOA, TXT, AAAA, DS, ANY = 1, 2, 5, 6, 16, 28, 43, 255
IN, CH, HS, NONE = 1, 3, 4, 254
RD = 0x0100
DO = 0x8000
ID = 0x1234


def name(text: str) -> bytes:
    """A name's wire form; "" is the root."""
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


def question(text: str, type_: int = A, class_: int = IN) -> bytes:
    """A question."""
    return name(text) + struct.pack("!HH", type_, class_)


def message(body: bytes, flags: int = 0, counts: tuple[int, int, int, int] = (1, 0, 0, 0)) -> bytes:
    """A message; the counts may lie."""
    return struct.pack("!6H", ID, flags, *counts) + body


def ask(text: str, type_: int = A, class_: int = IN, flags: int = 0) -> bytes:
    """A plain query."""
    return message(question(text, type_, class_), flags)


def opt(
    options: bytes = b"", *, size: int = 1232, version: int = 0, flags: int = 0, rcode: int = 0, owner: bytes = b"\0"
) -> bytes:
    """An OPT record."""
    return owner + struct.pack("!HHBBHH", 41, size, rcode, version, flags, len(options)) + options


def option(code: int, data: bytes = b"") -> bytes:
    """An EDNS option."""
    return struct.pack("!HH", code, len(data)) + data


def with_edns(text: str, type_: int = A, record: bytes | None = None, *, flags: int = 0, class_: int = IN) -> bytes:
    """A query with an OPT record."""
    return message(question(text, type_, class_) + (opt() if record is None else record), flags, (1, 0, 0, 1))


def record(owner: bytes, type_: int, data: bytes, class_: int = IN, ttl: int = 0) -> bytes:
    """A resource record."""
    return owner + struct.pack("!HHIH", type_, class_, ttl, len(data)) + data


def tsig(key: str = "key") -> bytes:
    """A TSIG record by a key that nobody has."""
    data = name("hmac-sha256") + struct.pack("!HIHH", 0, 1_700_000_000, 300, 32) + bytes(32)
    return record(name(key), 250, data + struct.pack("!HHH", ID, 0, 0), 255)


def sig0() -> bytes:
    """A SIG(0) record (RFC 2931) by a key that nobody has."""
    data = struct.pack("!HBBIIIH", 0, 13, 0, 0, 1_800_000_000, 1_700_000_000, 1) + name("signer.example") + bytes(64)
    return record(b"\0", 24, data, 255)
