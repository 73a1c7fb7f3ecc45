"""What settings are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from nodetrust.errors import NodetrustError
from nodetrust.libp2p.multiaddr import Multiaddr


class SettingsError(NodetrustError):
    """A setting is wrong; the text is one line that names the file or option, the key, and what was expected."""


def described(text: str, **limits: Any) -> Meta:
    """Describe a setting for `--help`; `limits` are those of `msgspec.Meta`, such as `ge=1`."""
    return Meta(description=text, **limits)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The base of every role's settings."""

    def check(self) -> None:
        """Raise `SettingsError` where settings that are right by themselves do not fit together."""


class PeerSettings(Settings, frozen=True, kw_only=True):
    """What every role needs to be a libp2p peer."""

    state: Annotated[Path, described("the folder for what must outlive a restart, first of all the peer's key")]
    listen: Annotated[tuple[Multiaddr, ...], described("a multiaddr to listen on for libp2p")]
    announce: Annotated[
        tuple[Multiaddr, ...],
        described("a multiaddr under which others reach this peer, where it differs from those it listens on"),
    ] = ()
    max_connections: Annotated[
        int, described("libp2p connections that others may hold open; each takes a file descriptor", ge=1)
    ] = 512
