"""A fetched list on the disk: the list itself, and beside it which version of it that is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from nodetrust.files import replace_file


class Version(msgspec.Struct, frozen=True):
    """What the server called the version that is on the disk; empty where it gave none."""

    url: str
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True)
class Feed:
    """A list's URL, and the file that has what was fetched last. Beside it stands its `Version`, in JSON."""

    url: str
    path: Path

    @property
    def version_path(self) -> Path:
        """The file of the version."""
        return self.path.with_suffix(".json")


def feed_in(folder: Path, url: str) -> Feed:
    """The feed of a URL, kept in a folder under a name that no other URL has."""
    return Feed(url, folder / (hashlib.sha256(url.encode("utf-8")).hexdigest()[:16] + ".list"))


def known_version(feed: Feed) -> Version:
    """The version on the disk; none while there is no list beside it."""
    try:
        version = msgspec.json.decode(feed.version_path.read_bytes(), type=Version)
    except (OSError, msgspec.DecodeError):
        return Version(feed.url)
    return version if version.url == feed.url and feed.path.exists() else Version(feed.url)


def keep(feed: Feed, content: bytes, version: Version) -> None:
    """Put a list and its version in the place of those before them; raises OSError when they cannot be written.

    The list first: a version without its list would never be fetched again.
    """
    feed.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    feed.version_path.unlink(missing_ok=True)
    replace_file(feed.path, content)
    replace_file(feed.version_path, msgspec.json.encode(version))
