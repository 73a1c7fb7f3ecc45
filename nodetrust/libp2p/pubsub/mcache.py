"""The message cache of gossipsub: the last few heartbeats' messages, for IHAVE and IWANT (gossipsub v1.0, mcache)."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub.ids import MessageIds
from nodetrust.libp2p.pubsub.wire import Message, encode_message


@dataclass(slots=True)
class _Cached:
    message: Message
    ids: MessageIds
    size_bytes: int
    sent: dict[PeerId, int] = field(default_factory=dict)


class MessageCache:
    """Messages in windows of one heartbeat each, found under any of their IDs."""

    def __init__(self, windows: int, gossip_windows: int, retransmissions: int, max_bytes: int) -> None:
        self._gossip_windows = gossip_windows
        self._retransmissions = retransmissions
        self._max_bytes = max_bytes
        self._bytes = 0
        self._messages: OrderedDict[bytes, _Cached] = OrderedDict()
        self._canonical: dict[bytes, bytes] = {}
        self._windows: deque[list[bytes]] = deque(([] for _ in range(windows)), maxlen=windows)

    def put(self, message: Message, ids: MessageIds) -> None:
        """Keep a new message in the current window; if there is too much of all, drop the oldest."""
        if ids.go in self._messages:
            return
        entry = _Cached(message, ids, len(encode_message(message)))
        self._messages[ids.go] = entry
        self._canonical.update((message_id, ids.go) for message_id in ids)
        self._windows[0].append(ids.go)
        self._bytes += entry.size_bytes
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._messages)))

    def take_for(self, peer: PeerId, message_id: bytes) -> tuple[Message, MessageIds] | None:
        """The message for a peer that asks with IWANT; `None` if it is gone, or the peer had it often enough."""
        entry = self._messages.get(self._canonical.get(message_id, b""))
        if entry is None:
            return None
        sent = entry.sent.get(peer, 0)
        if sent >= self._retransmissions:
            return None
        entry.sent[peer] = sent + 1
        return entry.message, entry.ids

    def to_announce(self, topic: str) -> list[MessageIds]:
        """The messages of the topic in the windows that are gossiped about, newest window first."""
        entries = (
            self._messages.get(go)
            for index, window in enumerate(self._windows)
            if index < self._gossip_windows
            for go in window
        )
        return [entry.ids for entry in entries if entry is not None and entry.message.topic == topic]

    def shift(self) -> None:
        """Begin a new window and drop the oldest one's messages."""
        for go in self._windows[-1]:
            self._drop(go)
        self._windows.appendleft([])

    def _drop(self, go: bytes) -> None:
        entry = self._messages.pop(go, None)
        if entry is not None:
            self._bytes -= entry.size_bytes
            for message_id in entry.ids:
                self._canonical.pop(message_id, None)
