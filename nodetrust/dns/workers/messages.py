"""What parent and worker say to each other: orders down, each with a number, and reports up.

An order is done when the worker answers by it. Each message is msgpack behind its length, as on libp2p streams.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any, TypeAlias

import msgspec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from nodetrust.dns.challenges.table import Challenge
from nodetrust.dns.dnssec.keys import ZoneKey
from nodetrust.dns.dnssec.sign import Signer
from nodetrust.dns.records import Name, Node
from nodetrust.dns.zone.zone import Zone
from nodetrust.libp2p.framing import encode_frame
from nodetrust.lists.entries import Entries
from nodetrust.lists.lists import Lists
from nodetrust.lists.prefixes import PrefixSet

MAX_BYTES = 256 * 1024 * 1024
"""Of one message: the largest is a zone, which has less than ten times the octets of the largest zone file."""


class ZoneImage(msgspec.Struct, frozen=True):
    """A zone as it is sent: its nodes, and the keys that sign it (PKCS#8, DER)."""

    origin: Name
    nodes: list[tuple[Name, Node]]
    keys: list[bytes]


class ListsImage(msgspec.Struct, frozen=True):
    """Lists of prefixes as they are sent: addresses, and how many bits of each are the prefix."""

    denied: list[tuple[bytes, int]]
    allowed: list[tuple[bytes, int]]


class Start(msgspec.Struct, frozen=True, tag=True):
    """The first order: answer. Of each place, UDP and TCP sockets are descriptors `first_descriptor` and so on."""

    settings: bytes
    zone: ZoneImage
    challenges: list[tuple[Challenge, float]]
    """With the seconds that each has left, the one that ends first in front."""
    places: list[str]
    first_descriptor: int
    cookie_root: bytes
    lists: ListsImage


class AddChallenge(msgspec.Struct, frozen=True, tag=True):
    """Answer with a challenge from now on."""

    challenge: Challenge


class RemoveChallenge(msgspec.Struct, frozen=True, tag=True):
    """Answer without it."""

    challenge: Challenge


class ReplaceZone(msgspec.Struct, frozen=True, tag=True):
    """Answer from another zone, which was checked."""

    zone: ZoneImage


class ReplaceLists(msgspec.Struct, frozen=True, tag=True):
    """Answer by other lists of prefixes, which were checked."""

    lists: ListsImage


class Stop(msgspec.Struct, frozen=True, tag=True):
    """Answer what has arrived, and end."""


Order: TypeAlias = Start | AddChallenge | RemoveChallenge | ReplaceZone | ReplaceLists | Stop


class Numbered(msgspec.Struct, frozen=True, array_like=True):
    """An order with the number that is reported when it is done."""

    number: int
    order: Order


class Done(msgspec.Struct, frozen=True, tag=True):
    """The order of this number is carried out."""

    number: int


class Counted(msgspec.Struct, frozen=True, tag=True):
    """What each counter has grown by since the last report."""

    growth: dict[str, int]


Report: TypeAlias = Done | Counted


def encode(message: Numbered | Report) -> bytes:
    """A message with its length in front."""
    return encode_frame(msgspec.msgpack.encode(message))


def decode_order(message: bytes) -> Numbered:
    """Read what the parent sent."""
    return msgspec.msgpack.decode(message, type=Numbered)


def decode_report(message: bytes) -> Report:
    """Read what a worker sent; raises msgspec.DecodeError."""
    report: Report = _REPORTS.decode(message)
    return report


_REPORTS = msgspec.msgpack.Decoder[Any](Report)


def zone_image(zone: Zone) -> ZoneImage:
    """A zone, to be sent."""
    keys: Sequence[ZoneKey] = () if zone.signer is None else zone.signer.keys
    return ZoneImage(
        zone.origin,
        list(zone.nodes.items()),
        [key.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()) for key in keys],
    )


def zone_from_image(image: ZoneImage) -> Zone:
    """The zone that was sent."""
    keys = [ZoneKey(load_der_private_key(key, None)) for key in image.keys]  # type: ignore[arg-type]  # our own P-256
    return Zone(image.origin, dict(image.nodes), Signer(image.origin, keys) if keys else None)


def lists_image(lists: Lists) -> ListsImage:
    """Lists, to be sent: their prefixes, which are what a DNS server goes by."""
    return ListsImage(_pairs(lists.denied.prefixes), _pairs(lists.allowed.prefixes))


def lists_from_image(image: ListsImage) -> Lists:
    """The lists that were sent."""
    denied, allowed = (Entries(PrefixSet(map(ip_network, pairs))) for pairs in (image.denied, image.allowed))
    return Lists(denied, allowed)


def _pairs(prefixes: PrefixSet) -> list[tuple[bytes, int]]:
    return [(network.network_address.packed, network.prefixlen) for network in prefixes.networks]
