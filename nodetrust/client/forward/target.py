"""Where the node behind us listens for plain libp2p. Pure."""

from __future__ import annotations

import re
from typing import Literal, Self, cast

from nodetrust.client.forward.errors import InvalidTarget

Kind = Literal["tcp", "tcp6", "unix"]

_SOCKET = re.compile(r"(tcp6?):(?:\[([0-9A-Za-z:.%]+)\]|([^\[\]\s/]{1,253})):(\d{1,5})")
_PATH = re.compile(r"unix:(/[^\0]+)")


class Target:
    """A Twisted endpoint of one of three kinds: `tcp:HOST:PORT` (a name, or IPv4), `tcp6:HOST:PORT`, `unix:/PATH`.

    No other kind, as some of them start programs. No dataclass, which msgspec would read from a table.
    """

    __slots__ = ("kind", "place", "port")

    def __init__(self, kind: Kind, place: str, port: int = 0) -> None:
        self.kind = kind
        self.place = place
        """The host, or the path."""
        self.port = port

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the written form; an IPv6 address may stand in brackets, or as Twisted has it, with `\\:` for each `:`.

        Raises `InvalidTarget`.
        """
        path = _PATH.fullmatch(text)
        if path is not None:
            return cls("unix", path[1])
        match = _SOCKET.fullmatch(text.replace("\\:", ":"))
        if match is None or not 0 < int(match[4]) < 65536 or (match[1] == "tcp" and ":" in (match[2] or match[3])):
            raise InvalidTarget(f"expected tcp:HOST:PORT, tcp6:HOST:PORT or unix:/PATH, got {text!r}")
        return cls(cast(Kind, match[1]), match[2] or match[3], int(match[4]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Target) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __repr__(self) -> str:
        return f"Target({self.kind!r}, {self.place!r}, {self.port})"

    def __str__(self) -> str:
        if self.kind == "unix":
            return f"unix:{self.place}"
        return (
            f"{self.kind}:[{self.place}]:{self.port}" if ":" in self.place else f"{self.kind}:{self.place}:{self.port}"
        )
