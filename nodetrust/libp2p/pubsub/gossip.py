"""IHAVE and IWANT: messages that are offered and asked for, and who keeps their word (gossipsub v1.0 and v1.1)."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub.ids import MessageIds, style_of
from nodetrust.libp2p.pubsub.parameters import MAX_PROMISES, Parameters
from nodetrust.libp2p.pubsub.seen import SeenMessages


class Promises:
    """One message of every IWANT is watched: who offered it and does not send it in time breaks a promise.

    Which one, the peer can't know (v1.1, Spam Protection Measures).
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadlines: dict[tuple[bytes, PeerId], float] = {}
        self._holders: dict[bytes, set[PeerId]] = {}

    def __len__(self) -> int:
        return len(self._deadlines)

    def watch(self, message_id: bytes, peer: PeerId, now: float) -> None:
        """Expect the message from the peer, unless too much is being watched already."""
        if len(self._deadlines) < MAX_PROMISES and (message_id, peer) not in self._deadlines:
            self._deadlines[message_id, peer] = now + self._seconds
            self._holders.setdefault(message_id, set()).add(peer)

    def fulfilled(self, ids: MessageIds) -> None:
        """The message has come, from whomever: everyone who offered it is free."""
        for message_id in ids:
            for peer in self._holders.pop(message_id, ()):
                del self._deadlines[message_id, peer]

    def forgive(self, peer: PeerId) -> None:
        """The peer has gone, and owes nothing any more."""
        self._release([key for key in self._deadlines if key[1] == peer])

    def forgive_all(self) -> None:
        """What we asked for we would no longer take."""
        self._deadlines.clear()
        self._holders.clear()

    def broken(self, now: float) -> list[PeerId]:
        """The peers that are late, each once for every message; they are not watched for it any longer."""
        late = [key for key, deadline in self._deadlines.items() if deadline <= now]
        self._release(late)
        return [peer for _, peer in late]

    def _release(self, keys: Iterable[tuple[bytes, PeerId]]) -> None:
        for message_id, peer in keys:
            del self._deadlines[message_id, peer]
            holders = self._holders[message_id]
            holders.discard(peer)
            if not holders:
                del self._holders[message_id]


class Appetite:
    """How much one peer's offers may still make us ask for until the next heartbeat."""

    __slots__ = ("_ids", "_ihaves", "_parameters")

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._ihaves = 0
        self._ids = 0

    def renew(self) -> None:
        """A heartbeat has passed."""
        self._ihaves = self._ids = 0

    def choose(self, offered: Iterable[bytes], seen: SeenMessages, random: Random) -> list[bytes]:
        """Which of the offered messages to ask for: unseen ones, with IDs that we can recognize when they come.

        In random order, so that what is cut off at the limit is not the offering peer's choice.
        """
        self._ihaves += 1
        if self._ihaves > self._parameters.max_ihave_messages:
            return []
        wanted = list(dict.fromkeys(i for i in offered if i not in seen and style_of(i) is not None))
        random.shuffle(wanted)
        del wanted[max(0, self._parameters.max_ihave_ids - self._ids) :]
        self._ids += len(wanted)
        return wanted
