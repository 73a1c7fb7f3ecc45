"""What is to be said of this peer itself. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nodetrust.client.diagnosis.steps import Area, Outcome, Step
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.names import IPAddress


def judge_peer(peer: PeerId, key_file: Path | None) -> Step:
    """Of its identity; without a `key_file` it is made up for one walk."""
    facts = {"peer": str(peer), "key_file": None if key_file is None else str(key_file)}
    if key_file is None:
        found = f"{peer}, made up for this check: the folder has no key"
        return Step(Area.PEER, "peer ID", Outcome.SKIP, found, facts=facts)
    return Step(Area.PEER, "peer ID", Outcome.OK, f"{peer}, by {key_file}", facts=facts)


def judge_addresses(addresses: Sequence[IPAddress], source: str) -> Step:
    """Of where it is; `source` says how that is known."""
    facts = {"addresses": list(map(str, addresses))}
    if addresses:
        return Step(Area.PEER, "addresses", Outcome.OK, f"{', '.join(map(str, addresses))}, {source}", facts=facts)
    found = (
        "no public address is known: this machine has none of its own, and what a router has a running client learns; "
        "give --announce or --wss"
    )
    return Step(Area.PEER, "addresses", Outcome.SKIP, found, facts=facts)
