"""The settings of the proof server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.lists.settings import ListedSettings
from nodetrust.settings import described


class ProofSettings(ListedSettings, frozen=True, kw_only=True):
    """What an operator may say about a proof server."""

    state: Annotated[Path, described("the folder for the proof key; whoever has that key can prove any address")] = (
        Path("~/.nodetrust/proof").expanduser()
    )
    listen: Annotated[tuple[Multiaddr, ...], described("a multiaddr to listen on for libp2p")] = (
        Multiaddr.parse("/ip4/0.0.0.0/tcp/8958"),
    )
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
