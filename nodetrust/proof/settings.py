"""The settings of the proof server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.lists.build import DEFAULT_FEED_SECONDS, check_feeds
from nodetrust.settings import PeerSettings, described


class ProofSettings(PeerSettings, frozen=True, kw_only=True):
    """What an operator may say about a proof server."""

    state: Annotated[Path, described("the folder for the proof key; whoever has that key can prove any address")] = (
        Path("~/.nodetrust/proof").expanduser()
    )
    listen: Annotated[tuple[Multiaddr, ...], described("a multiaddr to listen on for libp2p")] = (
        Multiaddr.parse("/ip4/0.0.0.0/tcp/8958"),
    )
    deny: Annotated[
        tuple[Path, ...],
        described("a file with prefixes and peer IDs that get no proof, one a line; read again when it changes"),
    ] = ()
    allow: Annotated[
        tuple[Path, ...], described("a file with prefixes and peer IDs that are served whatever a denylist says")
    ] = ()
    deny_feeds: Annotated[
        tuple[str, ...], described("the https URL of a denylist of others, which is fetched on a timer and kept")
    ] = ()
    feed_seconds: Annotated[int, described("how often feeds are fetched", ge=60)] = DEFAULT_FEED_SECONDS
    allow_private: Annotated[
        bool, described("also prove loopback and private addresses: for tests and closed networks")
    ] = False
    checks: Annotated[
        bool,
        described("dial peers back over WSS when they ask whether their own addresses can be reached from outside"),
    ] = True
    trust_file: Annotated[
        Path | None, described("PEM file with further roots to trust when dialling WSS, for tests and private CAs")
    ] = None

    def check(self) -> None:
        """What must hold for a setting beyond its type."""
        check_feeds(self.deny_feeds)
