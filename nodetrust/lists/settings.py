"""The settings of a role that has lists."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from nodetrust.lists.build import DEFAULT_FEED_SECONDS, check_feeds
from nodetrust.settings import PeerSettings, described


class ListedSettings(PeerSettings, frozen=True, kw_only=True):
    """What an operator may say about whom a role serves; a role says more on top of it."""

    deny: Annotated[
        tuple[Path, ...],
        described("a file with prefixes and peer IDs that get nothing, one a line; read again when it changes"),
    ] = ()
    allow: Annotated[
        tuple[Path, ...], described("a file with prefixes and peer IDs that are served whatever a denylist says")
    ] = ()
    deny_feeds: Annotated[
        tuple[str, ...], described("the https URL of a denylist of others, which is fetched on a timer and kept")
    ] = ()
    feed_seconds: Annotated[int, described("how often feeds are fetched", ge=60)] = DEFAULT_FEED_SECONDS

    def check(self) -> None:
        """What must hold for a setting beyond its type."""
        check_feeds(self.deny_feeds)
