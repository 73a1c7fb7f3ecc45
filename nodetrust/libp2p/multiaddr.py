"""Multiaddrs (multiformats/multiaddr): how to reach something, as a path of protocols and values.

Text is ``/ip4/1.2.3.4/tcp/4001/p2p/12D3...``; bytes are, for each protocol, its code as a varint and its value, which
has a fixed size or its length in front. ``multiaddr_protocols.py`` has the table.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodetrust.libp2p import varint
from nodetrust.libp2p.errors import InvalidData, InvalidMultiaddr
from nodetrust.libp2p.multiaddr_protocols import BY_CODE, BY_NAME, VARIABLE_SIZE
from nodetrust.libp2p.peer_id import PeerId

MAX_MULTIADDR_BYTES = 1024
"""Ours: the formats set no limit; a relayed WSS address with two peer IDs has about 250 bytes."""

MAX_TEXT_CHARACTERS = 4 * MAX_MULTIADDR_BYTES


@dataclass(frozen=True, slots=True)
class Component:
    """One step of the path; ``value`` is text as in the address, None where the protocol has no value."""

    name: str
    value: str | None = None


_VALUELESS = {protocol.code: Component(protocol.name) for protocol in BY_CODE.values() if protocol.size == 0}


class Multiaddr:
    """An immutable address; equal and hashed by its bytes.

    Different texts for the same bytes (``/ipfs/Qm...``, ``/p2p/bafz...``) become one.
    """

    __slots__ = ("_bytes", "components")

    components: tuple[Component, ...]

    def __init__(self, data: bytes, components: tuple[Component, ...]) -> None:
        """Use :meth:`parse`, :meth:`from_bytes` or :meth:`of`."""
        self._bytes = data
        self.components = components

    @classmethod
    def parse(cls, text: str) -> Multiaddr:
        """Read the text form; a final ``/`` is allowed.

        :raise InvalidMultiaddr: it is none, or names a protocol that we do not know.
        """
        if not text.startswith("/") or len(text) > MAX_TEXT_CHARACTERS:
            raise InvalidMultiaddr(f"not a multiaddr: {text[:80]!r}")
        parts = iter(text.removesuffix("/").split("/")[1:])
        encoded = []
        for name in parts:
            protocol = BY_NAME.get(name)
            if protocol is None:
                raise InvalidMultiaddr(f"unknown protocol {name[:40]!r} in the multiaddr {text[:80]!r}")
            value = None if protocol.size == 0 else next(parts, None)
            if value is None and protocol.size:
                raise InvalidMultiaddr(f"no value behind {name!r} in the multiaddr {text[:80]!r}")
            encoded.append(_encode(Component(protocol.name, value)))
        return cls.from_bytes(b"".join(encoded))

    @classmethod
    def of(cls, *components: tuple[str, str | int | None]) -> Multiaddr:
        """Build one from names and values: ``Multiaddr.of(("ip4", "1.2.3.4"), ("tcp", 4001), ("ws", None))``.

        :raise InvalidMultiaddr: an unknown name, or a value that does not fit it.
        """
        return cls.from_bytes(
            b"".join(_encode(Component(name, None if value is None else str(value))) for name, value in components)
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Multiaddr:
        """Read the binary form, as it comes from peers.

        :raise InvalidMultiaddr: it is none, is longer than ``MAX_MULTIADDR_BYTES``, or has an unknown protocol.
        """
        if not data:
            raise InvalidMultiaddr("an empty multiaddr")
        if len(data) > MAX_MULTIADDR_BYTES:
            raise InvalidMultiaddr(f"a multiaddr of {len(data)} bytes, allowed are {MAX_MULTIADDR_BYTES}")
        try:
            return cls(bytes(data), _decode(data))
        except InvalidMultiaddr:
            raise
        except InvalidData as error:
            raise InvalidMultiaddr(f"a multiaddr with {error}") from None

    def get(self, name: str) -> str | None:
        """The value of the first *name*; None if there is none, or it has no value (see :meth:`has`)."""
        for component in self.components:
            if component.name == name:
                return component.value
        return None

    def has(self, name: str) -> bool:
        """Whether the protocol *name* is in the path."""
        return any(component.name == name for component in self.components)

    @property
    def peer_id(self) -> PeerId | None:
        """Whose address it is: the peer at the end of the path. A relay's ID in its middle does not count."""
        last = self.components[-1] if self.components else None
        if last is None or last.name != "p2p" or last.value is None:
            return None
        return PeerId.from_base58(last.value)

    def without_peer_id(self) -> Multiaddr:
        """The address without the peer at its end."""
        peer_id = self.peer_id
        if peer_id is None:
            return self
        size = len(_encode(self.components[-1]))
        return Multiaddr(self._bytes[:-size], self.components[:-1])

    def with_peer_id(self, peer_id: PeerId) -> Multiaddr:
        """The address with *peer_id* at its end, instead of one that stands there."""
        return self.without_peer_id() / Multiaddr.of(("p2p", str(peer_id)))

    def __truediv__(self, other: Multiaddr) -> Multiaddr:
        """*other* behind this one (encapsulate)."""
        data = self._bytes + other._bytes
        if len(data) > MAX_MULTIADDR_BYTES:
            raise InvalidMultiaddr(f"a multiaddr of {len(data)} bytes, allowed are {MAX_MULTIADDR_BYTES}")
        return Multiaddr(data, self.components + other.components)

    def __bytes__(self) -> bytes:
        return self._bytes

    def __str__(self) -> str:
        return "".join(
            f"/{component.name}" if component.value is None else f"/{component.name}/{component.value}"
            for component in self.components
        )

    def __repr__(self) -> str:
        return f"<Multiaddr {self}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Multiaddr):
            return NotImplemented
        return self._bytes == other._bytes

    def __hash__(self) -> int:
        return hash(self._bytes)


def _encode(component: Component) -> bytes:
    protocol = BY_NAME.get(component.name)
    if protocol is None or (component.value is None and protocol.size):
        raise InvalidMultiaddr(f"not a part of a multiaddr: {component.name[:40]!r}, or one that wants a value")
    if component.value is None:
        return protocol.prefix
    value = protocol.to_bytes(component.value)
    if protocol.size == VARIABLE_SIZE:
        return protocol.prefix + varint.encode(len(value)) + value
    return protocol.prefix + value


def _decode(data: bytes) -> tuple[Component, ...]:
    components: list[Component] = []
    position = 0
    while position < len(data):
        code, position = _number(data, position)
        protocol = BY_CODE.get(code)
        if protocol is None:
            raise InvalidMultiaddr(f"a multiaddr with the unknown protocol {code}")
        if protocol.size == 0:
            components.append(_VALUELESS[code])
            continue
        size = protocol.size
        if size == VARIABLE_SIZE:
            size, position = _number(data, position)
        end = position + size
        if end > len(data):
            raise InvalidMultiaddr("a multiaddr that is cut short")
        components.append(Component(protocol.name, protocol.to_text(data[position:end])))
        position = end
    return tuple(components)


def _number(data: bytes, position: int) -> tuple[int, int]:
    number = varint.decode(data, position)
    if number is None:
        raise InvalidMultiaddr("a multiaddr that is cut short")
    return number
