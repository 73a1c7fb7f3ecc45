"""The settings of the proof server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.settings import PeerSettings, described


class ProofSettings(PeerSettings, frozen=True, kw_only=True):
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
