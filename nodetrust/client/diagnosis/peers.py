"""What is to be said of addresses that peers have dialled, asked by AutoNAT. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from nodetrust.client.autotls.places import WITNESSES
from nodetrust.client.diagnosis.outside import title_of
from nodetrust.client.diagnosis.steps import Area, Outcome, Step, brief, counted
from nodetrust.libp2p.autonat import Reached
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId


def judge_dialled(address: Multiaddr, said: Mapping[PeerId, Reached]) -> Step:
    """Of one address: one that has met this peer is enough, and of those that have not it takes two."""
    facts = {"address": str(address), "said": {str(peer): one.value for peer, one in said.items()}}

    def step(outcome: Outcome, found: str, advice: str = "") -> Step:
        return Step(Area.OUTSIDE, f"{title_of(address)} (AutoNAT)", outcome, found, advice, facts)

    met = [peer for peer, one in said.items() if one in (Reached.YES, Reached.MET)]
    failed = [peer for peer, one in said.items() if one is Reached.NO]
    if met:
        return step(Outcome.OK, f"{brief(met[0])} has dialled it, and met this peer")
    advice = (
        "see that the client runs; open the port in the firewall, forward it in the router, or give --wss or "
        "--announce if it has another one outside"
    )
    if len(failed) >= WITNESSES:
        return step(Outcome.FAIL, f"{counted(len(failed), 'peer')} have dialled it in vain", advice)
    if failed:
        return step(Outcome.WARN, f"{brief(failed[0])} has dialled it in vain, which may be its own fault", advice)
    return step(Outcome.SKIP, f"{counted(len(said), 'peer')} will not say: a peer need not dial what it does not like")


def nobody_to_ask(reason: str) -> Step:
    """There is no peer that would dial."""
    return Step(Area.OUTSIDE, "AutoNAT", Outcome.SKIP, reason)
