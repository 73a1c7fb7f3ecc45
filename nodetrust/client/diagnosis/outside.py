"""Where WSS should be reachable, and what is to be said of what a server outside has found there. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from ipaddress import ip_address

from nodetrust.client.announced import certified_name
from nodetrust.client.diagnosis.steps import Area, Outcome, Step, brief
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import CheckFault
from nodetrust.names import IPAddress, address_from_label, autotls_name_for_address, name_for_address
from nodetrust.reachability.advice import Unreachable, advise
from nodetrust.reachability.ask import Checked
from nodetrust.reachability.decide import spelled_ip
from nodetrust.settings import HostPort

DEFAULT_PORT = 4443
"""Of the client's `wss_listen`."""


def own_wss(proven: Iterable[IPAddress], names: Collection[str], peer: PeerId, port: int) -> list[Multiaddr]:
    """Where a client with a certificate for `names` announces itself, if it serves WSS on `port`."""
    certified = [(ip, certified_name(ip, peer, names)) for ip in proven]
    return [_wss(ip.version, name, port, peer) for ip, name in certified if name is not None]


def named_wss(place: HostPort, names: Collection[str], peer: PeerId, zone: str) -> Multiaddr:
    """The WSS address of a place that the user has given: by its name in the certificate, or else in the zone."""
    try:
        ip = ip_address(place.host)
    except ValueError:
        spelled = address_from_label(place.host.partition(".")[0])
        return _wss(4 if spelled is None else spelled.version, place.host, place.port, peer)
    return _wss(ip.version, certified_name(ip, peer, names) or name_for_address(ip, zone), place.port, peer)


def autotls_wss(ips: Iterable[IPAddress], port: int, peer: PeerId, domain: str) -> list[Multiaddr]:
    """Where a client by AutoTLS announces itself, in both forms: the name, and the address with the name in TLS."""
    found = []
    for ip in ips:
        name = autotls_name_for_address(ip, peer, domain)
        found.append(_wss(ip.version, name, port, peer))
        long = Multiaddr.of((f"ip{ip.version}", str(ip)), ("tcp", port), ("tls", None), ("sni", name), ("ws", None))
        found.append(long.with_peer_id(peer))
    return found


def wss_by_name(name: str, port: int, peer: PeerId) -> Multiaddr:
    """Of a host whose address its name does not tell."""
    return _wss(4, name, port, peer)


def _wss(version: int, name: str, port: int, peer: PeerId) -> Multiaddr:
    return Multiaddr.of((f"dns{version}", name), ("tcp", port), ("tls", None), ("ws", None)).with_peer_id(peer)


def judge_checked(checked: Checked) -> Step:
    """Of one address that a server has tried."""
    address = checked.address
    title = title_of(address)
    fault = checked.outcome.fault
    facts = {
        "address": str(address),
        "reachable": checked.outcome.reachable,
        "fault": None if fault is None else CheckFault.Name(fault),
        "by": str(checked.by),
        "message": checked.outcome.message,
    }
    if fault is None:
        return Step(
            Area.OUTSIDE, title, Outcome.OK, f"{brief(checked.by)} has dialled it, and met this peer", facts=facts
        )
    outcome = Outcome.WARN if fault == CheckFault.NOT_ALLOWED else Outcome.FAIL
    seen = f"{brief(checked.by)} has dialled it in vain: {checked.outcome.message or CheckFault.Name(fault)}"
    return Step(Area.OUTSIDE, title, outcome, seen, advise(Unreachable(address, fault)), facts)


def title_of(address: Multiaddr) -> str:
    """The place by its IP address, which is shorter than the name that spells it."""
    host = str(spelled_ip(address) or address.components[0].value)
    form = ", by address" if address.has("sni") else ""
    what = "WSS" if address.has("ws") and address.has("tls") else "libp2p"
    return f"{what} on {HostPort(host, int(address.get('tcp') or 0))}{form}"


def judge_unanswered(addresses: Sequence[Multiaddr], checked: Sequence[Checked], error: Exception | None) -> list[Step]:
    """Of the addresses that no server has said anything about."""
    known = {one.address for one in checked}
    reason = f"nobody has tried: {error}" if error is not None else "no server has tried it"
    return [
        Step(
            Area.OUTSIDE,
            title_of(address),
            Outcome.SKIP,
            reason,
            facts={"address": str(address)},
        )
        for address in addresses
        if address not in known
    ]


def nothing_to_check(reason: str) -> Step:
    """There is no address that anybody could try."""
    return Step(Area.OUTSIDE, "WSS", Outcome.SKIP, reason)
