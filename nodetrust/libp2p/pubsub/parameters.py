"""The numbers of gossipsub: what the specification calls parameters, and what we bound beside them."""

from __future__ import annotations

from dataclasses import dataclass

GOSSIPSUB_1_2 = "/meshsub/1.2.0"
GOSSIPSUB_1_1 = "/meshsub/1.1.0"
GOSSIPSUB_1_0 = "/meshsub/1.0.0"
FLOODSUB = "/floodsub/1.0.0"

PROTOCOLS = (GOSSIPSUB_1_2, GOSSIPSUB_1_1, GOSSIPSUB_1_0, FLOODSUB)
"""What we speak, best first. Not 1.3, whose extensions we have no use for."""

MAX_TOPICS_PER_PEER = 512
"""Topics of a peer that we remember; later ones are as good as not subscribed. Our own choice: with
`wire.MAX_TOPIC_BYTES` it keeps a peer below 256 KiB."""

MAX_OWN_TOPICS = 512
"""Topics that we subscribe to; our own choice: all of them fit into one RPC, three times over."""

MAX_BACKOFF_SECONDS = 3600
"""Longest backoff that we keep to, whatever a PRUNE says. It may say 2**64 - 1, and rust-libp2p panicked when that was
added to a clock (GHSA-xqmp-fxgv-xvq5, GHSA-gc42-3jg7-rxr2)."""

MAX_BACKOFFS = 8192
"""Backoffs (a topic and a peer) that we remember; our own choice. The oldest are forgotten first."""

MAX_SEEN_MESSAGES = 65536
"""Messages that we remember to have seen; our own choice: half of what `common_checks` and `reserved_checks` let in
within the time that we remember them, in about 35 MB. The oldest are forgotten first."""

MAX_CACHED_BYTES = 8 << 20
"""Bytes of messages that are kept for those who ask with IWANT; our own choice. The oldest are forgotten first."""

MAX_PENALIZED_PEERS = 4096
"""Peers with penalties that we remember, connected or not; our own choice. The oldest are forgotten first."""

MAX_RATED_AUTHORS = 8192
"""Authors whose rate of messages we remember; our own choice: more than `common_checks` and `reserved_checks` let
in until a bucket of `author_burst` is full again, so that forgetting the oldest forgives nothing."""

BYTES_PER_CHECK = 1024
"""A message with so much data counts as one check more, and so on: to validate it and to pass it on to the whole mesh
costs more than its signature. Our own choice: an announcement of two addresses has 200 bytes."""

MAX_CHECKS_PER_MESSAGE = 16
"""As which the largest messages count, so that they are taken at all; our own choice."""

MAX_PROMISES = 4096
"""Messages that peers owe us after an IWANT and that we keep an eye on; our own choice."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """gossipsub v1.0 to v1.2, section Parameters, with the defaults of go-libp2p-pubsub; times in seconds."""

    mesh_size: int = 6
    """D: peers in a topic's mesh when it is filled up or cut down."""
    mesh_low: int = 5
    """D_lo: with fewer the heartbeat fills up."""
    mesh_high: int = 12
    """D_hi: with more the heartbeat cuts down, and a stranger's GRAFT is refused from here on."""
    mesh_outbound: int = 2
    """D_out: mesh peers that we have dialed ourselves, so that a crowd of diallers can't surround us."""
    gossip_size: int = 6
    """D_lazy: peers outside the mesh that hear of our messages, at least."""
    gossip_share: float = 0.25
    """GossipFactor: and at least this share of them."""
    history_windows: int = 5
    """mcache_len: heartbeats for which a message is kept for IWANT."""
    gossip_windows: int = 3
    """mcache_gossip: heartbeats for which it is announced with IHAVE."""
    heartbeat_seconds: float = 1.0
    fanout_seconds: float = 60.0
    """How long the peers of a topic that we only publish to stay chosen."""
    seen_seconds: float = 120.0
    prune_backoff_seconds: int = 60
    """How long after a PRUNE neither side may GRAFT."""
    unsubscribe_backoff_seconds: int = 10
    """The same where the PRUNE only says that we leave the topic."""
    graft_flood_seconds: float = 10.0
    """A GRAFT so soon after a PRUNE counts twice."""
    backoff_slack_seconds: float = 1.0
    """We wait that much longer than we must, for the other side's clock."""
    max_ihave_messages: int = 10
    """IHAVEs of one peer that are looked at in a heartbeat."""
    max_ihave_ids: int = 5000
    """Messages that we ask one peer for in a heartbeat."""
    iwant_follow_up_seconds: float = 3.0
    """A peer that offered a message has so long to send it."""
    gossip_retransmissions: int = 3
    """How often one peer gets the same message by IWANT."""
    idontwant_bytes: int = 1024
    """A message with so much data is large: the mesh is told with IDONTWANT that we have it. Where messages are small,
    as announcements are, an IDONTWANT to everyone would cost more than the copies that it saves."""
    max_idontwant_ids: int = 512
    """Messages that one peer may refuse with IDONTWANT in a heartbeat: js-libp2p's GossipsubIdontwantMaxMessages
    (v1.2 demands a limit and names none)."""
    idontwant_heartbeats: int = 3
    """How many heartbeats a refused message stays refused."""
    flood_publish: bool = True
    """Send our own messages to all peers of the topic, not only to the mesh."""
    author_burst: int = 50
    """Messages of one author that are taken at once."""
    author_messages_per_second: float = 10.0
    """And from then on: as many as announce, every five seconds, fifty peers that stand behind their author. Messages
    beyond are dropped as if they had not come, before anything of a budget is spent on them: one key can't fill those
    of all the peers that pass its messages on. Nobody is blamed, since others may allow more. Our own choice."""
    common_checks: int = 600
    """Signatures that are verified between two heartbeats for whoever comes first. With those below about 150 ms of
    every second. Messages beyond are dropped as if they had not come; another peer may bring them again. Our own
    choice."""
    reserved_checks: int = 200
    """Signatures beside those, for the peers that we have dialed, in equal parts, and as many again for those that have
    dialed us; at least one each. A crowd can't use up what the others need, least of all the peers that we chose
    ourselves. Our own choice."""
    checks_per_peer: int = 200
    """What one peer sends, of both together. Our own choice."""
