"""Types of values that are written as texts. `parse` reads one, and raises ValueError."""

from __future__ import annotations

import re
from typing import Self

from nodetrust.names import check_zone


class HostPort:
    """An address to listen on or speak to, written `192.0.2.1:53` or `[2001:db8::1]:53`.

    No dataclass, which msgspec would read from a table.
    """

    __slots__ = ("host", "port")

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HostPort) and (self.host, self.port) == (other.host, other.port)

    def __hash__(self) -> int:
        return hash((self.host, self.port))

    def __repr__(self) -> str:
        return f"HostPort({self.host!r}, {self.port})"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the written form; a port of 0 means one of the system's choosing. Raises ValueError."""
        match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([^:\[\]\s]{1,253})):(\d{1,5})", text)
        if match is None or int(match[3]) > 65535:
            raise ValueError(f"expected HOST:PORT or [IPV6]:PORT, got {text!r}")
        return cls(match[1] or match[2], int(match[3]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ZoneName(str):
    """A DNS zone in lower case, without the dot at the end."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a zone's name as people write it: any case, with or without the last dot. Raises ValueError."""
        return cls(check_zone(text))
