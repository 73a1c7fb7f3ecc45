"""What first labels spell, ready to be copied into a response; by the rules of `nodetrust.names`."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from itertools import product
from typing import TypeAlias

from nodetrust.dns.answer import Authority
from nodetrust.dns.labels import IPV4_PREFIX, IPV6_PREFIX, PEER_PREFIX
from nodetrust.dns.records import CLASS_IN, MAX_LABEL_BYTES, Type, character_string
from nodetrust.dns.sources import ChallengeSource, Ip4Source, Ip6Source, PeerSource, every_address
from nodetrust.dns.wire import HEADER
from nodetrust.names import packed_address_from_label, peer_from_label

MAX_PEERS = 4096
"""Labels remembered as those of peers, so that a name below a peer's costs no base 36."""

_RECORD = struct.Struct("!HHHIH")  # pointer to the first label, type, class, TTL, length of the data
_TO_FIRST_LABEL = 0xC000 | HEADER.size

OCTETS = {b"%d" % value: bytes((value,)) for value in range(256)}
"""By their decimal digits."""

IP4_STARTS = {
    bytes(prefix) + digits: octet
    for prefix in product(*({lower, upper} for lower, upper in zip(IPV4_PREFIX, IPV4_PREFIX.upper(), strict=True)))
    for digits, octet in OCTETS.items()
}
"""The first octet of an address by what stands in front of a label's first hyphen, in every case."""


Meaning: TypeAlias = tuple[int, bytes]
"""The one record at a name: its type, and its wire form, whose owner points to the first label. A bare tuple: one is
made for each query."""

BROKEN: Meaning = (0, b"broken")
"""A label that begins like one of ours and spells nothing: its name does not exist."""

LEFT_OUT: Meaning = (0, b"left out")
"""An address that the policy leaves out: its name has no record."""


def record_start(type_: int, ttl: int, length: int) -> bytes:
    """A record at the name of the question, up to its data of `length` octets."""
    return _RECORD.pack(_TO_FIRST_LABEL, type_, CLASS_IN, ttl, length)


class Labels:
    """The first labels of one Authority; those of the zone file's own names are left to the full path."""

    def __init__(self, authority: Authority, ip4: Ip4Source, ip6: Ip6Source, peer: PeerSource) -> None:
        self.ip4 = ip4
        self._ip6 = ip6
        self._peer = peer
        origin = authority.zone.origin
        self.in_file = frozenset(name[-len(origin) - 1] for name in authority.zone.nodes if name != origin)
        self._ip4_start = record_start(Type.A, ip4.ttl, 4)
        self._ip6_start = record_start(Type.AAAA, ip6.ttl, 16)
        self._peers: set[bytes] = set()

    @property
    def has_plain_ip4(self) -> bool:
        """Whether every label that spells an IPv4 address has the record that follows from it."""
        return self.ip4.policy is every_address and not any(map(packed_address_from_label, map(_text, self.in_file)))

    def read(self, label: bytes) -> Meaning | None:
        """The meaning of a label in any case; None for one that this path leaves alone."""
        lower = label.lower()
        if lower in self.in_file or len(lower) > MAX_LABEL_BYTES:
            return None
        if lower.startswith(IPV4_PREFIX):
            return self._read_ip4(lower)
        if lower.startswith(IPV6_PREFIX):
            return self._read_ip6(lower)
        if lower.startswith(PEER_PREFIX):
            return self._read_peer(lower)
        return None

    def is_peer(self, label: bytes) -> bool:
        """Whether a label in any case is a peer's, so that names below it are like those just below the zone."""
        lower = label.lower()
        if lower in self._peers:
            return True
        meaning = self.read(lower) if lower.startswith(PEER_PREFIX) else None
        if meaning is None or meaning is BROKEN:
            return False
        if len(self._peers) >= MAX_PEERS:
            self._peers.clear()
        self._peers.add(lower)
        return True

    def _read_ip4(self, label: bytes) -> Meaning:
        try:
            a, b, c, d = label.split(b"-")
            packed = IP4_STARTS[a] + OCTETS[b] + OCTETS[c] + OCTETS[d]
        except (KeyError, ValueError):
            return BROKEN
        if self.ip4.policy is not every_address and not self.ip4.policy(IPv4Address(packed)):
            return LEFT_OUT
        return Type.A, self._ip4_start + packed

    def _read_ip6(self, label: bytes) -> Meaning:
        packed = packed_address_from_label(_text(label))
        if packed is None:
            return BROKEN
        if self._ip6.policy is not every_address and not self._ip6.policy(IPv6Address(packed)):
            return LEFT_OUT
        return Type.AAAA, self._ip6_start + packed

    def _read_peer(self, label: bytes) -> Meaning:
        peer = peer_from_label(_text(label))
        if peer is None:
            return BROKEN
        data = character_string(b"id=%b" % str(peer).encode("ascii"))
        return Type.TXT, record_start(Type.TXT, self._peer.ttl, len(data)) + data


def _text(label: bytes) -> str:
    return label.decode("ascii", "replace")


def labels_of(authority: Authority) -> Labels | None:
    """The reader for an Authority; None when its sources are not the ones that this path knows.

    Sources behind the last of these are never asked about a label that begins like one of ours.
    """
    ours = {type(source): source for source in authority.sources[:4]}
    ip4, ip6, peer = ours.get(Ip4Source), ours.get(Ip6Source), ours.get(PeerSource)
    if ChallengeSource not in ours:
        return None
    if isinstance(ip4, Ip4Source) and isinstance(ip6, Ip6Source) and isinstance(peer, PeerSource):
        return Labels(authority, ip4, ip6, peer)
    return None
