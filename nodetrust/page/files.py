"""The page's files, and what is put into them for one server."""

from __future__ import annotations

import gzip
import html
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Self

INDEX, CONFIG = "index.html", "config.json"

CONTENT_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}

_MIN_GZIP_BYTES = 1024
"""Less fits into one packet either way."""


@dataclass(frozen=True, slots=True)
class About:
    """What the page tells of the server that it is from."""

    zone: str
    peer: str
    addresses: tuple[str, ...]
    """Multiaddrs, each with /p2p; those for browsers are among them."""
    issuer: tuple[str, ...]
    """The multiaddrs at which browsers reach the issue server: empty where it serves no WSS."""
    topic: str
    """Of pubsub, for announcements."""


@dataclass(frozen=True, slots=True)
class PageFile:
    """What is sent: as it is, and compressed where that saves something."""

    content_type: str
    body: bytes
    zipped: bytes | None
    lasting: bool
    """Whether its name changes with its contents, so that it may be kept for ever."""

    @classmethod
    def of(cls, name: str, body: bytes, *, lasting: bool) -> Self:
        """The file with a name, whose end says what is in it."""
        zipped = gzip.compress(body, mtime=0) if len(body) >= _MIN_GZIP_BYTES else None
        return cls(CONTENT_TYPES[name.rpartition(".")[2]], body, zipped, lasting)


class PageFiles:
    """The files by name. Those that depend on the server are made anew for each request: its addresses may change."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self._index = contents[INDEX].decode()
        self._lasting = {
            name: PageFile.of(name, body, lasting=True) for name, body in contents.items() if name != INDEX
        }

    @classmethod
    def load(cls) -> Self:
        """Those that came with nodetrust; reads and compresses half a megabyte."""
        folder = files("nodetrust.page") / "assets"
        return cls({one.name: one.read_bytes() for one in folder.iterdir()})

    def get(self, name: str, about: About) -> PageFile | None:
        """The file with this name, if there is one; the page itself has the empty name."""
        if name == "":
            return PageFile.of(INDEX, _filled(self._index, about).encode(), lasting=False)
        if name == CONFIG:
            return PageFile.of(CONFIG, _config(about), lasting=False)
        return self._lasting.get(name)


def _filled(index: str, about: About) -> str:
    values = {"zone": _text(about.zone), "peer": _text(about.peer), "addresses": _items(about.addresses)}
    for key, value in values.items():
        index = index.replace("{{" + key + "}}", value)
    return index


def _items(addresses: Iterable[str]) -> str:
    return "".join(f"<li><code>{_text(address)}</code></li>" for address in addresses)


def _text(value: str) -> str:
    return html.escape(value).replace("{", "&#123;")


def _config(about: About) -> bytes:
    return json.dumps({"zone": about.zone, "topic": about.topic, "issuer": about.issuer}).encode()
