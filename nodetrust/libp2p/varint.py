"""Unsigned varints (multiformats/unsigned-varint): groups of seven bits, least significant first.

Only the shortest form of a number is read, and at most nine bytes (63 bits).
"""

from nodetrust.libp2p.errors import InvalidVarint

MAX_BYTES = 9
"""multiformats/unsigned-varint: practical maximum of nine bytes."""

MAX_VALUE = (1 << 63) - 1


def encode(value: int) -> bytes:
    """The shortest form of *value*, which lies in 0..2**63-1.

    :raise InvalidVarint: it does not.
    """
    if 0 <= value < 0x80:
        return _ONE_BYTE[value]
    if not 0 <= value <= MAX_VALUE:
        raise InvalidVarint(f"a varint can not hold {value}")
    groups = bytearray()
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def decode(data: bytes | bytearray | memoryview, offset: int = 0) -> tuple[int, int] | None:
    """Read the varint at *offset*: its value and the offset behind it, or None while its end has not arrived.

    :raise InvalidVarint: longer than nine bytes, or than its value needs; found out with the byte that shows it.
    """
    value = shift = 0
    for position in range(offset, min(len(data), offset + MAX_BYTES)):
        byte = data[position]
        if byte < 0x80:
            if byte == 0 and shift:
                raise InvalidVarint("a varint that is longer than its value needs")
            return value | byte << shift, position + 1
        value |= (byte & 0x7F) << shift
        shift += 7
    if len(data) - offset >= MAX_BYTES:
        raise InvalidVarint(f"a varint of more than {MAX_BYTES} bytes")
    return None


_ONE_BYTE = tuple(bytes((value,)) for value in range(0x80))
