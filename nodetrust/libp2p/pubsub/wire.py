"""RPCs: bytes ⇄ values, every count and length checked while it is read.

Source: libp2p/specs pubsub/README.md, pubsub/gossipsub/gossipsub-v1.1.md and -v1.2.md (field numbers); the limits are
those of go-libp2p-pubsub (size of an RPC) and js-libp2p's gossipsub (counts).

The codec is written by hand, for three reasons. A parser that builds everything first makes half a million objects out
of one mebibyte of empty messages (measured with the protobuf library: 50 ms and 40 MB for each such RPC); this one
stops at the limit. An optional field that is present but empty stays so, which the signature depends on. And what is
signed is canonical by construction: ascending field numbers, shortest varints, nothing unknown. The tests hold it
against the protobuf library's deterministic serialization.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nodetrust.libp2p import varint
from nodetrust.libp2p.pubsub.errors import RpcInvalid

MAX_RPC_BYTES = 1 << 20
"""One RPC without its length prefix: go-libp2p-pubsub's DefaultMaxMessageSize."""

MAX_SUBSCRIPTIONS = 5000
"""Subscriptions in one RPC: js-libp2p gossipsub, defaultDecodeRpcLimits."""

MAX_MESSAGES = 5000
"""Messages in one RPC: as above."""

MAX_CONTROL_ENTRIES = 5000
"""IHAVE, IWANT, GRAFT, PRUNE and IDONTWANT entries, each kind, in one RPC: as above."""

MAX_MESSAGE_IDS = 5000
"""Message IDs in all IHAVE entries together, and in all IWANT entries together: as above."""

MAX_UNWANTED_IDS = 512
"""Message IDs in all IDONTWANT entries together: as above."""

MAX_EXCHANGED_PEERS = 16
"""Peers read from one PRUNE (they are parsed and dropped: we do not connect on a stranger's word): as above."""

MAX_FIELDS = 40_000
"""Protobuf fields in one RPC, known or not; our own choice: `MAX_MESSAGES` with all they have. To skip a
mebibyte of two-byte fields would take half a second."""

MAX_TOPIC_BYTES = 512
"""Longest topic that we take notice of; our own choice: the longest in public use, IPNS over pubsub, take about 70."""

MAX_ID_BYTES = 512
"""Longest message ID that we take notice of; our own choice: an author's multihash and 8 bytes take at most 50."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {_FIXED64: 8, _FIXED32: 4}
_MAX_VARINT_BITS = 64


@dataclass(frozen=True, slots=True)
class Subscription:
    """The sender begins (`subscribe`) or ends to be interested in `topic`."""

    topic: str
    subscribe: bool


@dataclass(frozen=True, slots=True)
class Message:
    """A published message; `None` is a field that is absent, which is not the same as an empty one.

    `source` is the author's peer ID (its multihash), `seqno` 8 bytes big-endian, `key` a serialized `PublicKey`.
    Nothing here has been checked; `signing.check` does that.
    """

    source: bytes | None = None
    data: bytes | None = None
    seqno: bytes | None = None
    topic: str | None = None
    signature: bytes | None = None
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class IHave:
    """The sender has messages with these IDs in `topic`."""

    topic: str
    ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Prune:
    """The sender takes the receiver out of its mesh of `topic`; `None` is a 1.0 peer that names no backoff."""

    topic: str
    backoff_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Rpc:
    """All that one frame carries; `iwant` and `idontwant` hold message IDs and `graft` topics."""

    subscriptions: tuple[Subscription, ...] = ()
    messages: tuple[Message, ...] = ()
    ihave: tuple[IHave, ...] = ()
    iwant: tuple[bytes, ...] = ()
    graft: tuple[str, ...] = ()
    prune: tuple[Prune, ...] = ()
    idontwant: tuple[bytes, ...] = ()

    def __bool__(self) -> bool:
        gossip = self.ihave or self.iwant or self.idontwant
        return bool(self.subscriptions or self.messages or gossip or self.graft or self.prune)


# Bytes to values.


class FieldCount:
    """How many protobuf fields have been read, which is what reading costs: about a microsecond each."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def add_one(self) -> None:
        """One more; raises `RpcInvalid` beyond `MAX_FIELDS`."""
        self.count += 1
        if self.count > MAX_FIELDS:
            raise RpcInvalid(f"more than {MAX_FIELDS} fields in one RPC")


def decode_rpc(data: bytes, read: FieldCount | None = None) -> Rpc:
    """Read one RPC (without its length prefix); raise `RpcInvalid`. `read` is told how many fields it has.

    Entries whose topic or message ID is longer than we take notice of are left out, as are unknown fields and, of a
    PRUNE, the peers.
    """
    if len(data) > MAX_RPC_BYTES:
        raise RpcInvalid(f"an RPC of {len(data)} bytes")
    read = FieldCount() if read is None else read
    subscriptions: list[Subscription] = []
    messages: list[Message] = []
    control = _Control(read)
    message_count = 0
    subscription_count = 0
    for number, value in _fields(data, read):
        if number == 1:
            subscription_count = _counted(subscription_count, MAX_SUBSCRIPTIONS, "subscriptions")
            subscription = _decode_subscription(_as_bytes(value), read)
            if subscription is not None:
                subscriptions.append(subscription)
        elif number == 2:
            message_count = _counted(message_count, MAX_MESSAGES, "messages")
            message = _decode_message(_as_bytes(value), read)
            if message is not None:
                messages.append(message)
        elif number == 3:
            control.read(_as_bytes(value))
    return Rpc(
        tuple(subscriptions),
        tuple(messages),
        tuple(control.ihave),
        tuple(control.iwant),
        tuple(control.graft),
        tuple(control.prune),
        tuple(control.idontwant),
    )


class _Control:
    """The control entries of one RPC, and how many of each kind were seen: `control` may come in several pieces."""

    def __init__(self, read: FieldCount) -> None:
        self._read = read
        self.ihave: list[IHave] = []
        self.iwant: list[bytes] = []
        self.graft: list[str] = []
        self.prune: list[Prune] = []
        self.idontwant: list[bytes] = []
        self._entries = [0] * 6
        self._ids = [0] * 6

    def read(self, data: bytes) -> None:
        for number, value in _fields(data, self._read):
            if not 1 <= number <= 5:
                continue
            self._entries[number] = _counted(self._entries[number], MAX_CONTROL_ENTRIES, "control entries")
            entry = _as_bytes(value)
            if number == 1:
                self._read_ihave(entry)
            elif number == 2:
                self.iwant.extend(self._read_ids(entry, kind=2, field=1))
            elif number == 3:
                topic = _decode_topic_field(entry, self._read)
                if topic is not None:
                    self.graft.append(topic)
            elif number == 4:
                prune = _decode_prune(entry, self._read)
                if prune is not None:
                    self.prune.append(prune)
            else:
                self.idontwant.extend(self._read_ids(entry, kind=5, field=1, limit=MAX_UNWANTED_IDS))

    def _read_ihave(self, data: bytes) -> None:
        topic = _decode_topic_field(data, self._read)
        ids = tuple(self._read_ids(data, kind=1, field=2))
        if topic is not None and ids:
            self.ihave.append(IHave(topic, ids))

    def _read_ids(self, data: bytes, kind: int, field: int, limit: int = MAX_MESSAGE_IDS) -> Iterator[bytes]:
        for number, value in _fields(data, self._read):
            if number == field:
                self._ids[kind] = _counted(self._ids[kind], limit, "message IDs")
                message_id = _as_bytes(value)
                if len(message_id) <= MAX_ID_BYTES:
                    yield message_id


def _decode_subscription(data: bytes, read: FieldCount) -> Subscription | None:
    subscribe = False
    topic: str | None = None
    for number, value in _fields(data, read):
        if number == 1:
            subscribe = _as_int(value) != 0
        elif number == 2:
            topic = _as_topic(value)
    return None if topic is None else Subscription(topic, subscribe)


def _decode_message(data: bytes, read: FieldCount) -> Message | None:
    """The message, or `None` if its topic is one that nobody here can have subscribed to."""
    values: list[bytes | None] = [None] * 7
    for number, value in _fields(data, read):
        if 1 <= number <= 6:
            values[number] = _as_bytes(value)
    _, source, payload, seqno, raw_topic, signature, key = values
    if raw_topic is None:
        return None
    topic = _as_topic(raw_topic)
    return None if topic is None else Message(source, payload, seqno, topic, signature, key)


def _decode_topic_field(data: bytes, read: FieldCount) -> str | None:
    topic: str | None = None
    for number, value in _fields(data, read):
        if number == 1:
            topic = _as_topic(value)
    return topic


def _decode_prune(data: bytes, read: FieldCount) -> Prune | None:
    topic: str | None = None
    backoff: int | None = None
    peers = 0
    for number, value in _fields(data, read):
        if number == 1:
            topic = _as_topic(value)
        elif number == 2:
            peers = _counted(peers, MAX_EXCHANGED_PEERS, "exchanged peers")
        elif number == 3:
            backoff = _as_int(value)
    return None if topic is None else Prune(topic, backoff)


def _counted(count: int, limit: int, what: str) -> int:
    if count >= limit:
        raise RpcInvalid(f"more than {limit} {what} in one RPC")
    return count + 1


def _as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise RpcInvalid("a number where bytes belong")
    return value


def _as_int(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise RpcInvalid("bytes where a number belongs")
    return value


def _as_topic(value: int | bytes) -> str | None:
    raw = _as_bytes(value)
    if len(raw) > MAX_TOPIC_BYTES:
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise RpcInvalid("a topic that is not UTF-8") from None


def _fields(data: bytes, read: FieldCount) -> Iterator[tuple[int, int | bytes]]:
    """The fields of one protobuf message in order: numbers for varints, bytes for everything that has a length.

    Groups are refused: nothing in an RPC uses them, and they are the way to deep nesting.
    """
    position = 0
    end = len(data)
    while position < end:
        read.add_one()
        tag, position = _read_varint(data, position)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise RpcInvalid("a field without a number")
        if kind == _VARINT:
            value, position = _read_varint(data, position)
            yield number, value
            continue
        if kind == _BYTES:
            size, position = _read_varint(data, position)
        elif kind in _FIXED_BYTES:
            size = _FIXED_BYTES[kind]
        else:
            raise RpcInvalid(f"wire type {kind}")
        if size > end - position:
            raise RpcInvalid("a field that is longer than its message")
        yield number, data[position : position + size]
        position += size


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    """A protobuf varint (which, unlike multiformats', may be longer than it must): its value and where it ends."""
    if position < len(data) and data[position] < 0x80:
        return data[position], position + 1
    value = 0
    for shift in range(0, _MAX_VARINT_BITS, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & ((1 << _MAX_VARINT_BITS) - 1), position
    raise RpcInvalid("a number that does not end")


# Values to bytes.


def encode_rpc(rpc: Rpc) -> bytes:
    """The RPC as protobuf, without its length prefix; the caller keeps it below `MAX_RPC_BYTES`."""
    parts = [_field(1, _flag(1, s.subscribe) + _field(2, s.topic.encode())) for s in rpc.subscriptions]
    parts += [_field(2, encode_message(message)) for message in rpc.messages]
    control = b"".join(_control_parts(rpc))
    if control:
        parts.append(_field(3, control))
    return b"".join(parts)


def encode_message(message: Message) -> bytes:
    """The message as canonical protobuf; with `signature` and `key` left out this is what is signed."""
    topic = None if message.topic is None else message.topic.encode()
    values = (message.source, message.data, message.seqno, topic, message.signature, message.key)
    return b"".join(_field(number, value) for number, value in enumerate(values, 1) if value is not None)


def _control_parts(rpc: Rpc) -> Iterator[bytes]:
    for ihave in rpc.ihave:
        yield _field(1, _field(1, ihave.topic.encode()) + b"".join(_field(2, i) for i in ihave.ids))
    if rpc.iwant:
        yield _field(2, b"".join(_field(1, i) for i in rpc.iwant))
    for topic in rpc.graft:
        yield _field(3, _field(1, topic.encode()))
    for prune in rpc.prune:
        backoff = b"" if prune.backoff_seconds is None else b"\x18" + varint.encode(prune.backoff_seconds)
        yield _field(4, _field(1, prune.topic.encode()) + backoff)
    if rpc.idontwant:
        yield _field(5, b"".join(_field(1, i) for i in rpc.idontwant))


def _field(number: int, value: bytes) -> bytes:
    return bytes((number << 3 | _BYTES,)) + varint.encode(len(value)) + value


def _flag(number: int, value: bool) -> bytes:
    return bytes((number << 3 | _VARINT, value))
