"""Labels ⇄ addresses and peer IDs, and which names a CA will sign. Pure.

====================  ============================================  ==========================================
label                 spells                                        example
====================  ============================================  ==========================================
``ip4`` + address     an IPv4 address, ``-`` for ``.``              ``ip4127-0-0-1`` = 127.0.0.1
``ip6`` + address     an IPv6 address, ``-`` for ``:``              ``ip62001-db8--0`` = 2001:db8::
``p`` + base 36       a peer ID's multihash, ``a`` = 0, ``9`` = 35  ``pw4t9mvzh6onnp01f80botcm2pek713h2prw...``
====================  ============================================  ==========================================

Written labels are lower case, canonical (RFC 5952) and never end in ``-``. Read is every form that spells the same.

AutoTLS names (libp2p.direct's form, https://github.com/ipshipyard/p2p-forge) are ``<address>.<peer>.<zone>``: the
address as above without its prefix, and with a ``0`` in front of a leading ``-``; the peer as a CID (``k51...``).
"""

from __future__ import annotations

import functools
import re
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import Literal, TypeAlias

from nodetrust.errors import NodetrustError
from nodetrust.libp2p.basex import BASE36_LETTERS_FIRST
from nodetrust.libp2p.errors import InvalidBase, InvalidPeerId
from nodetrust.libp2p.peer_id import PeerId

IPAddress: TypeAlias = IPv4Address | IPv6Address

NameChoice: TypeAlias = Literal["addresses", "peer", "both"]
"""Each proven address's name and the peer's own; the peer's own and everything below it; or both."""

IPV4_PREFIX = "ip4"
IPV6_PREFIX = "ip6"
PEER_PREFIX = "p"
CHALLENGE_PREFIX = "_acme-challenge"
"""RFC 8555 §8.4: the label in front of a name at which the CA looks for the answer to dns-01."""

MAX_LABEL_CHARACTERS = 63
MAX_NAME_CHARACTERS = 253
"""RFC 1035 §2.3.4, as text: 255 octets on the wire are 253 characters without the final dot."""

MAX_CERTIFICATE_LABELS = 10
"""Let's Encrypt (Boulder policy): a name has at most ten labels."""

_MAX_IP_LABEL = len(IPV6_PREFIX) + 39  # eight groups of four digits
_CERTIFICATE_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", re.ASCII)
_ZONE_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?", re.ASCII)
_PUNYCODE_PREFIX = "xn--"
_CID_PREFIXES = ("k", "b")  # multibase: base 36 and base 32, those without capital letters


class InvalidName(NodetrustError, ValueError):
    """A name that no CA would sign, or that is no name at all; ``name`` is what was given."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name[: MAX_NAME_CHARACTERS + 1]!r}: {reason}")
        self.name = name
        self.reason = reason


def label_for_address(address: IPAddress) -> str:
    """The one label that we write for *address*; a CA signs names that begin with it."""
    return label_for_packed_address(address.packed)


def label_for_packed_address(packed: bytes) -> str:
    """As :func:`label_for_address`, for the 4 or 16 bytes of an address in network order."""
    if len(packed) == 4:
        return IPV4_PREFIX + socket.inet_ntop(socket.AF_INET, packed).replace(".", "-")
    text = socket.inet_ntop(socket.AF_INET6, packed)
    if "." in text:  # ::ffff:1.2.3.4 and its like, for which a label has no dots
        text = _without_dots(text)
    label = IPV6_PREFIX + text.replace(":", "-")
    return label + "0" if label[-1] == "-" else label


def address_from_label(label: str) -> IPAddress | None:
    """The address that *label* spells, in any form and case; None if it spells none."""
    packed = packed_address_from_label(label)
    if packed is None:
        return None
    return IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)


def packed_address_from_label(label: str) -> bytes | None:
    """As :func:`address_from_label`, as the 4 or 16 bytes that an A or AAAA record holds."""
    if len(label) > _MAX_IP_LABEL or ":" in label or "." in label:
        return None
    prefix = label[:3].lower()
    try:
        # inet_pton takes neither leading zeros nor anything above 255 in an octet.
        if prefix == IPV4_PREFIX:
            return socket.inet_pton(socket.AF_INET, label[3:].replace("-", "."))
        if prefix == IPV6_PREFIX:
            return socket.inet_pton(socket.AF_INET6, label[3:].replace("-", ":"))
    except (OSError, ValueError):
        pass
    return None


def autotls_label_for_address(address: IPAddress) -> str:
    """The label of *address* in an AutoTLS name: ``1-2-3-4``, ``2001-db8--1``, ``0--1``."""
    label = label_for_packed_address(address.packed)[len(IPV4_PREFIX) :]
    return "0" + label if label[0] == "-" else label


def packed_address_from_autotls_label(label: str) -> bytes | None:
    """The 4 or 16 bytes of the address that an AutoTLS name's first label spells, in any form and case, or None."""
    return packed_address_from_label(IPV4_PREFIX + label) or packed_address_from_label(IPV6_PREFIX + label)


def peer_from_autotls_label(label: str) -> PeerId | None:
    """The peer whose CID in base 36 or base 32 this label is, in any case; None if it is no peer's."""
    if len(label) > MAX_LABEL_CHARACTERS or label[:1].lower() not in _CID_PREFIXES or not label.isascii():
        return None
    try:
        return PeerId.parse(label.lower())
    except InvalidPeerId:
        return None


def autotls_wildcard(peer_id: PeerId, domain: str) -> str:
    """``*.<CID of the peer>.<domain>``, the one name of a certificate by AutoTLS.

    :raise InvalidName: it would be longer than a name may be.
    """
    return _below(domain, f"*.{peer_id.to_cid_base36()}")


def autotls_name_for_address(address: IPAddress, peer_id: PeerId, domain: str) -> str:
    """``1-2-3-4.<CID of the peer>.<domain>``, the name of one of the peer's addresses.

    :raise InvalidName: it would be longer than a name may be.
    """
    return _below(domain, f"{autotls_label_for_address(address)}.{peer_id.to_cid_base36()}")


def label_for_peer(peer_id: PeerId) -> str:
    """The label of a peer: 60 characters for Ed25519, at most 63 for every key."""
    return PEER_PREFIX + BASE36_LETTERS_FIRST.encode(peer_id.multihash)


def peer_from_label(label: str) -> PeerId | None:
    """The peer whose label this is, in any case; None if it is no peer's."""
    if len(label) > MAX_LABEL_CHARACTERS or label[:1].lower() != PEER_PREFIX or not label.isascii():
        return None
    try:
        return PeerId(BASE36_LETTERS_FIRST.decode(label[1:].lower()))
    except (InvalidBase, InvalidPeerId):
        return None


def name_for_address(address: IPAddress, zone: str) -> str:
    """``ip41-2-3-4.<zone>``.

    :raise InvalidName: it would be longer than a name may be.
    """
    return _below(zone, label_for_address(address))


def name_for_peer(peer_id: PeerId, zone: str) -> str:
    """``p<id0>.<zone>``, the name that stays when the address changes.

    :raise InvalidName: it would be longer than a name may be.
    """
    return _below(zone, label_for_peer(peer_id))


def wildcard_for_peer(peer_id: PeerId, zone: str) -> str:
    """``*.p<id0>.<zone>``, which covers each of the peer's addresses.

    :raise InvalidName: it would be longer than a name may be.
    """
    return _below(zone, "*." + label_for_peer(peer_id))


def certificate_names(peer_id: PeerId, addresses: Iterable[IPAddress], zone: str, which: NameChoice) -> frozenset[str]:
    """The names of a peer that has proven *addresses*, as a certificate may carry them.

    :raise InvalidName: one would be longer than a name may be.
    """
    names = {name_for_peer(peer_id, zone)}
    if which in {"addresses", "both"}:
        names |= {name_for_address(address, zone) for address in addresses}
    if which in {"peer", "both"}:
        names.add(wildcard_for_peer(peer_id, zone))
    return frozenset(names)


def check_zone(zone: str) -> str:
    """*zone* in lower case and without a final dot.

    :raise InvalidName: it is no domain name.
    """
    normal = zone.lower().removesuffix(".")
    if len(normal) > MAX_NAME_CHARACTERS:
        raise InvalidName(zone, f"longer than {MAX_NAME_CHARACTERS} characters")
    for label in normal.split("."):
        if len(label) > MAX_LABEL_CHARACTERS or not _ZONE_LABEL.fullmatch(label):
            raise InvalidName(zone, f"{label[:MAX_NAME_CHARACTERS]!r} is not a label of a domain name")
    return normal


def check_certificate_name(name: str) -> None:
    """Whether Let's Encrypt would sign *name*, as far as its text says: a wildcard may stand in front, alone.

    The rules are Boulder's, and one of ours: a label that looks like an address spells one.

    :raise InvalidName: it would not, with the rule that is broken.
    """
    if len(name) > MAX_NAME_CHARACTERS:
        raise InvalidName(name, f"longer than {MAX_NAME_CHARACTERS} characters")
    labels = name.split(".")
    if len(labels) > MAX_CERTIFICATE_LABELS:
        raise InvalidName(name, f"more than {MAX_CERTIFICATE_LABELS} labels")
    if labels[0] == "*":
        del labels[0]
    if len(labels) < 2:
        raise InvalidName(name, "not below a public suffix")
    for label in labels:
        reason = _refused_label(label)
        if reason:
            raise InvalidName(name, reason)
    if labels[-1].isdigit():
        raise InvalidName(name, "ends like an IP address")


@functools.lru_cache(maxsize=512)
def _refused_label(label: str) -> str | None:
    """Why a CA refuses a name with this label; None if it does not. Remembered: a zone's labels come again."""
    if not label:
        return "an empty label"
    if len(label) > MAX_LABEL_CHARACTERS:
        return f"a label longer than {MAX_LABEL_CHARACTERS} characters"
    if not _CERTIFICATE_LABEL.fullmatch(label):
        return f"the label {label!r} has something else than a-z, 0-9 and - inside"
    if label[2:4] == "--" and not label.startswith(_PUNYCODE_PREFIX):
        return f"the label {label!r} is reserved: '--' in third and fourth place"
    if label.startswith(IPV4_PREFIX) and _like_ipv4(label) and packed_address_from_label(label) is None:
        return f"the label {label!r} spells no IPv4 address"
    return None


def _like_ipv4(label: str) -> bool:
    return label[len(IPV4_PREFIX) :].replace("-", "").isdigit()


def _below(zone: str, labels: str) -> str:
    name = f"{labels}.{zone}"
    if len(name) > MAX_NAME_CHARACTERS:
        raise InvalidName(name, f"longer than {MAX_NAME_CHARACTERS} characters")
    return name


def _without_dots(text: str) -> str:
    """``::ffff:1.2.3.4`` as ``::ffff:102:304``, without compressing anew."""
    head, _, dotted = text.rpartition(":")
    packed = socket.inet_pton(socket.AF_INET, dotted)
    high, low = int.from_bytes(packed[:2], "big"), int.from_bytes(packed[2:], "big")
    return f"{head}:{high:x}:{low:x}"
