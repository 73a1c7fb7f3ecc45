"""Questions and replies, in values and bytes. Pure: twisted.names reads and writes the messages."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Any, TypeAlias

from twisted.names import dns

from nodetrust.client.lookup.errors import InvalidReply
from nodetrust.names import IPAddress

NO_ERROR = 0
SERVER_FAILURE = 2
NO_SUCH_NAME = 3
REFUSED = 5

CODES = {0: "NOERROR", 1: "FORMERR", SERVER_FAILURE: "SERVFAIL", NO_SUCH_NAME: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
"""RFC 1035 §4.1.1, by the names that the tools give them."""

Value: TypeAlias = IPAddress | str | int | bytes
"""Of a record: A and AAAA an address, NS and CNAME a name, SOA its serial, TXT its text, any other its bytes."""


class Type(IntEnum):
    """The record types that are asked for, and CNAME, which may stand in the way."""

    A = 1
    NS = 2
    CNAME = 5
    SOA = 6
    TXT = 16
    AAAA = 28
    CAA = 257


@dataclass(frozen=True, slots=True)
class Question:
    """A name, in lower case and without a final dot, and a type."""

    name: str
    type: Type

    def __str__(self) -> str:
        return f"{self.type.name} of {self.name or 'the root'}"


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a reply; the name as that of a `Question`."""

    name: str
    type: int
    ttl_seconds: int
    value: Value


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server said."""

    code: int
    authoritative: bool
    truncated: bool
    answers: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()

    def of(self, type_: Type) -> list[Record]:
        """The answers of a type, under whichever name: a resolver follows aliases."""
        return [record for record in self.answers if record.type == type_]

    @property
    def code_name(self) -> str:
        """As tools write it."""
        return CODES.get(self.code, f"error {self.code}")


def write_query(question: Question, query_id: int, *, recurse: bool) -> bytes:
    """The query, without EDNS: an answer over 512 bytes comes truncated, and is asked for again over TCP."""
    message = dns.Message(id=query_id, recDes=int(recurse))
    message.addQuery(question.name, int(question.type), dns.IN)
    return message.toStr()


def read_reply(data: bytes, question: Question, query_id: int) -> Reply:
    """Raises `InvalidReply` for what does not parse, and what is no answer to the question."""
    message = dns.Message()
    try:
        message.fromStr(data)
    except (EOFError, ValueError, IndexError, KeyError, TypeError, struct.error) as error:
        raise InvalidReply(f"what it sends is no DNS message: {error or type(error).__name__}") from error
    asked = [(_text(query.name.name), query.type) for query in message.queries]
    if not message.answer or message.id != query_id or (asked and asked != [(question.name, question.type)]):
        raise InvalidReply("what it sends is no answer to the question")
    return Reply(
        code=message.rCode,
        authoritative=bool(message.auth),
        truncated=bool(message.trunc),
        answers=_records(message.answers),
        authority=_records(message.authority),
        additional=_records(message.additional),
    )


def _records(headers: Iterable[dns.RRHeader]) -> tuple[Record, ...]:
    return tuple(
        Record(_text(header.name.name), header.type, header.ttl, _value(header.payload))
        for header in headers
        if header.cls == dns.IN
    )


def _value(payload: Any) -> Value:
    match payload:
        case dns.Record_A():
            return IPv4Address(payload.address)
        case dns.Record_AAAA():
            return IPv6Address(payload.address)
        case dns.Record_NS() | dns.Record_CNAME():
            return "" if payload.name is None else _text(payload.name.name)
        case dns.Record_SOA():
            return int(payload.serial)
        case dns.Record_TXT():
            return b"".join(payload.data).decode("ascii", "backslashreplace")
    return bytes(getattr(payload, "data", b""))


def _text(name: bytes) -> str:
    return name.decode("ascii", "backslashreplace").lower().removesuffix(".")
