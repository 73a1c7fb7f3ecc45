"""Discovery: who is announced now, kept from what the topic brings, with calls for what is new."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from nodetrust.discovery.announcement import Announcement, decode_announcement
from nodetrust.discovery.errors import InvalidAnnouncement
from nodetrust.discovery.table import Announced, News, PeerChanged, PeerFound, PeerTable
from nodetrust.discovery.topic import TOPIC, refused
from nodetrust.discovery.wanted import Wanted
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub import HighestNumbers, PubSub, PubSubMessage, Verdict

EXPIRE_SECONDS = 1.0
"""How often it is looked who is gone."""

Observer: TypeAlias = Callable[[Announced], None]


class Discovery:
    """Joins the topic from `start` to `stop`, to listen and to carry; the client's peers, and `nodetrust peers`.

    What is no announcement is `refused`; what `wanted` has nothing of, and what somebody repeats, is neither delivered
    nor carried, and nobody is blamed: he may want other zones, or have forgotten a number that we remember. Whether a
    peer can be dialled is not asked: that its network is broken is no fault of whoever passes on its word.

    `clock` tells the time that entries have; where it has a `monotonic`, which is never set, that.
    """

    log = Logger()

    def __init__(self, pubsub: PubSub, clock: IReactorTime, wanted: Wanted = Wanted()) -> None:  # noqa: B008  # immutable
        self.seconds: Callable[[], float] = getattr(clock, "monotonic", clock.seconds)
        """The clock of the entries."""
        self._pubsub = pubsub
        self._wanted = wanted
        self._table = PeerTable()
        self._highest = HighestNumbers()
        self._read_last: tuple[tuple[PeerId, bytes], Announcement | None] | None = None
        self._found: list[Observer] = []
        self._changed: list[Observer] = []
        self._gone: list[Observer] = []
        self._leave: Callable[[], None] | None = None
        self._expiring = LoopingCall(self._expire)
        self._expiring.clock = clock

    def start(self) -> None:
        """Join the topic."""
        self._leave = self._pubsub.subscribe(TOPIC, self._received, self._judge)
        self._expiring.start(EXPIRE_SECONDS).addErrback(lambda failure: self.log.failure("Nobody expires", failure))

    def stop(self) -> None:
        """Leave it. Who was announced then stays in the table."""
        if self._leave is not None:
            self._leave()
            self._leave = None
        if self._expiring.running:
            self._expiring.stop()

    def peers(self) -> list[Announced]:
        """Who is announced now, those who have been for longest first."""
        return sorted(self._table, key=lambda entry: entry.first_seen)

    def places(self, announcement: Announcement) -> list[Multiaddr]:
        """Where we may dial the announced peer by ourselves; see `Wanted.to_dial`."""
        found = (self._wanted.to_dial(address) for address in announcement.addresses)
        return [place for place in found if place is not None]

    def addresses_of(self, peer: PeerId) -> list[Multiaddr]:
        """Where a peer is announced: by its own word, where there is one, else by others'.

        Anybody may announce a peer to be behind him. Beside its own word that would only lead astray whoever dials it.
        """
        words = [entry.announcement for entry in self.peers() if entry.announcement.peer == peer]
        own = [word for word in words if word.author == peer]
        return [address for word in own or words for address in word.addresses]

    def get(self, author: PeerId) -> Announced | None:
        """What `author` announces now."""
        return self._table.get(author)

    def on_found(self, call: Observer) -> None:
        """Call for each peer that is announced and was not."""
        self._found.append(call)

    def on_changed(self, call: Observer) -> None:
        """Call for each that is announced at other addresses."""
        self._changed.append(call)

    def on_gone(self, call: Observer) -> None:
        """Call for each that is announced no more, with what was known of it."""
        self._gone.append(call)

    def _judge(self, message: PubSubMessage) -> Verdict:
        try:
            announcement = self._read(message)
        except InvalidAnnouncement:
            return refused(message)
        if announcement is None or not self._highest.admit(message.source, message.seqno):
            return Verdict.IGNORE
        return Verdict.ACCEPT

    def _received(self, message: PubSubMessage) -> None:
        announcement = self._read(message)
        if announcement is not None:
            self._tell(self._table.heard(announcement, self.seconds()))

    def _read(self, message: PubSubMessage) -> Announcement | None:
        """What is wanted of it; a message is judged first and then delivered, and read once."""
        key = (message.source, message.data)
        if self._read_last is None or self._read_last[0] != key:
            self._read_last = (key, self._wanted.of(decode_announcement(message.data, message.source)))
        return self._read_last[1]

    def _expire(self) -> None:
        self._tell(self._table.expire(self.seconds()))

    def _tell(self, news: Iterable[News]) -> None:
        for one in news:
            observers = {PeerFound: self._found, PeerChanged: self._changed}.get(type(one), self._gone)
            for observer in list(observers):
                try:
                    observer(one.peer)
                except Exception:
                    self.log.failure("Who watches the peers failed")
