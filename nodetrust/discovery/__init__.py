"""How certified peers find each other: what they announce, and the pubsub topic that carries it.

A client publishes an `Announce` with its addresses every few seconds. Servers join the topic only to relay it.

To read in this order:

* ``announcement``: bytes ⇄ values
* ``wanted``: which addresses a listener wants to know of
* ``table``: who is announced now
* ``topic``: pubsub, and the topic
* ``service``: :class:`~nodetrust.discovery.service.Discovery`, the table kept up to date
* ``sequence``: numbers of messages that rise over restarts, whatever the clock does
* ``announcer``: says where we are, every few seconds
* ``neighbourhood`` and ``neighbours``: connections to several of those who are announced
"""

from nodetrust.discovery.announcement import Announcement, decode_announcement, encode_announcement
from nodetrust.discovery.announcer import Announcer
from nodetrust.discovery.errors import InvalidAnnouncement
from nodetrust.discovery.neighbours import Neighbours
from nodetrust.discovery.sequence import SequenceNumbers
from nodetrust.discovery.service import Discovery
from nodetrust.discovery.table import Announced
from nodetrust.discovery.topic import TOPIC, relay, start_pubsub, watch
from nodetrust.discovery.wanted import Wanted

__all__ = [
    "TOPIC",
    "Announced",
    "Announcement",
    "Announcer",
    "Discovery",
    "InvalidAnnouncement",
    "Neighbours",
    "SequenceNumbers",
    "Wanted",
    "decode_announcement",
    "encode_announcement",
    "relay",
    "start_pubsub",
    "watch",
]
