"""What is to be said of an issue server. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from nodetrust.certificates import CRYPTO_NAMES
from nodetrust.client.diagnosis.dialling import trouble
from nodetrust.client.diagnosis.steps import Area, Outcome, Step, brief, counted
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import IssueInfo

NOT_ONE = "it may be a proof or DNS server, a server of 2018, or none of ours: see what it logs"


@dataclass(frozen=True, slots=True)
class Reached:
    """A connection: the security protocol that was agreed on, and how long it took."""

    security: str
    seconds: float


def judge_dial(address: Multiaddr, dialled: Reached | Exception, *, others: bool) -> Step:
    """Of one address of an issue server; `others` says whether the server can be reached at another."""
    title = str(address.without_peer_id())
    facts: dict[str, object] = {"address": str(address), "reachable": isinstance(dialled, Reached)}
    if isinstance(dialled, Exception):
        wrong = trouble(dialled)
        outcome = Outcome.WARN if others else Outcome.FAIL
        return Step(Area.ISSUER, title, outcome, wrong.found, wrong.advice, facts)
    security = dialled.security.strip("/").split("/")[0]
    milliseconds = round(dialled.seconds * 1000)
    facts |= {"security": dialled.security, "milliseconds": milliseconds}
    return Step(Area.ISSUER, title, Outcome.OK, f"reached in {milliseconds} ms, over {security}", facts=facts)


def judge_info(server: PeerId, info: IssueInfo | Exception) -> Step:
    """Of what it says to peers."""
    title = f"issue info of {brief(server)}"
    if isinstance(info, Exception):
        return Step(Area.ISSUER, title, Outcome.FAIL, f"gives none: {info}", NOT_ONE, {"peer": str(server)})
    cryptos = [name for name, number in CRYPTO_NAMES.items() if number in info.cryptos]
    quorum = max(info.quorum, 1)
    facts = {
        "peer": str(server),
        "zone": info.domain,
        "proof_servers": len(info.proofs),
        "quorum": quorum,
        "algorithms": cryptos,
    }
    parts = [
        f"names in {info.domain}",
        f"trusts {counted(len(info.proofs), 'proof server')}" + (f", {quorum} must agree" if quorum > 1 else ""),
        f"keys: {', '.join(cryptos)}" if cryptos else "does not say which keys it takes",
    ]
    if len(info.proofs) < quorum:
        return Step(
            Area.ISSUER,
            title,
            Outcome.FAIL,
            "; ".join(parts),
            "nobody can get a certificate there: its operator must name more proof servers (proof_servers), or lower "
            "the quorum",
            facts,
        )
    return Step(Area.ISSUER, title, Outcome.OK, "; ".join(parts), facts=facts)
