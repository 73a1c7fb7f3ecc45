"""The certificate in a client's folder, and what is to be said of it."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from cryptography.exceptions import InvalidSignature

from nodetrust.certificates import Chain
from nodetrust.client.announced import name_at
from nodetrust.client.diagnosis.steps import Area, Outcome, Step, counted
from nodetrust.client.files import COMBINED_FILE, KEY_FILE, load, load_chain, load_key
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.names import IPAddress

OVERDUE = timedelta(days=1)
"""After the planned time of renewal, with failures and their waits in between, a client should have another one."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a folder has; with `problem` where it cannot be read."""

    folder: Path
    chain: Chain | None = None
    has_key: bool = False
    fits: bool = False
    """Whether certificate and key belong together."""
    renew_at: datetime | None = None
    addresses: tuple[IPAddress, ...] = ()
    """Where the peer was when it got the certificate."""
    exposed: tuple[str, ...] = ()
    """Files with the key that others than their owner may read."""
    problem: str = ""


def read_stored(folder: Path) -> Stored:
    """Read what is there; nothing is made or changed."""
    try:
        chain, key = load_chain(folder), load_key(folder)
        obtained = load(folder)
    except NodetrustError as error:
        return Stored(folder, problem=str(error))
    return Stored(
        folder,
        chain,
        has_key=key is not None,
        fits=obtained is not None,
        renew_at=None if obtained is None else obtained.renew_at,
        addresses=() if obtained is None else obtained.addresses,
        exposed=tuple(name for name in (COMBINED_FILE, KEY_FILE) if _is_exposed(folder / name)),
    )


def _is_exposed(file: Path) -> bool:
    try:
        return bool(stat.S_IMODE(file.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO))
    except OSError:
        return False


def judge_stored(
    stored: Stored, peer: PeerId, zones: Sequence[str], proven: Sequence[IPAddress], now: datetime
) -> list[Step]:
    """Of the certificate: that it is whole, its time, and its names beside what the peer has proven now."""
    if stored.problem:
        advice = "move the file away: the client then gets another certificate"
        return [Step(Area.CERTIFICATE, "files", Outcome.FAIL, stored.problem, advice)]
    if stored.chain is None:
        found = f"{stored.folder} has none"
        return [Step(Area.CERTIFICATE, "certificate", Outcome.SKIP, found, facts={"folder": str(stored.folder)})]
    return [
        _judge_files(stored, stored.chain),
        _judge_time(stored, stored.chain, now),
        _judge_names(stored.chain, peer, zones, proven),
    ]


def _judge_files(stored: Stored, chain: Chain) -> Step:
    facts = {"folder": str(stored.folder), "issuer": chain.leaf.issuer.rfc4514_string(), "key_fits": stored.fits}
    if not stored.fits:
        found = "the key is another than the certificate's" if stored.has_key else "the certificate's key is missing"
        advice = "move the files away, and let the client get another certificate"
        return Step(Area.CERTIFICATE, "files", Outcome.FAIL, found, advice, facts)
    if (broken := _broken_link(chain)) is not None:
        advice = "get another certificate: browsers refuse a chain that does not lead to its root"
        return Step(Area.CERTIFICATE, "files", Outcome.FAIL, broken, advice, facts)
    if stored.exposed:
        found = f"others than the owner may read the key in {', '.join(stored.exposed)}"
        advice = f"chmod 600 it in {stored.folder}, and have another key made: nodetrust obtain --new-key"
        return Step(Area.CERTIFICATE, "files", Outcome.WARN, found, advice, facts)
    found = f"key and chain of {counted(len(chain.authorities) + 1, 'certificate')} belong together"
    return Step(Area.CERTIFICATE, "files", Outcome.OK, found, facts=facts)


def _broken_link(chain: Chain) -> str | None:
    """Where a certificate of the chain is not signed by the next, if so somewhere."""
    line = (chain.leaf, *chain.authorities)
    for number, (below, above) in enumerate(pairwise(line), 1):
        try:
            below.verify_directly_issued_by(above)
        except (ValueError, TypeError, InvalidSignature):
            return f"certificate {number} of the chain is not signed by the one behind it"
    return None


def _judge_time(stored: Stored, chain: Chain, now: datetime) -> Step:
    renew_at = stored.renew_at
    facts = {
        "not_before": chain.not_before.isoformat(),
        "not_after": chain.not_after.isoformat(),
        "renew_at": None if renew_at is None else renew_at.isoformat(),
    }

    def step(outcome: Outcome, found: str, advice: str = "") -> Step:
        return Step(Area.CERTIFICATE, "validity", outcome, found, advice, facts)

    until = f"{chain.not_after:%Y-%m-%d %H:%M} UTC"
    if now > chain.not_after:
        advice = "see that the client runs, and in its log why there is no other one"
        return step(Outcome.FAIL, f"it has run out: {until}", advice)
    if now < chain.not_before:
        advice = "set this machine's clock, best by NTP"
        return step(
            Outcome.FAIL, f"it begins on {chain.not_before:%Y-%m-%d %H:%M} UTC: the clock here is behind", advice
        )
    left = f"good for {counted((chain.not_after - now).days, 'day')} more, until {until}"
    if renew_at is None:
        return step(Outcome.OK, left)
    planned = f"{renew_at:%Y-%m-%d %H:%M} UTC"
    if now > renew_at + OVERDUE:
        advice = "see that the client runs, or that obtain is run on time, and in the log why there is no other one"
        return step(Outcome.WARN, f"{left}, but its renewal was due on {planned}", advice)
    return step(Outcome.OK, f"{left}; renewal planned for {planned}")


def _judge_names(chain: Chain, peer: PeerId, zones: Sequence[str], proven: Sequence[IPAddress]) -> Step:
    names = sorted(chain.names)
    facts = {"names": names}
    said = counted(len(names), "name")
    foreign = [name for name in names if zones and not any(name.endswith(f".{zone}") for zone in zones)]
    if foreign:
        advice = "names are given in another zone now: the client takes a new certificate when it renews"
        return Step(
            Area.CERTIFICATE, "names", Outcome.WARN, f"{foreign[0]} is not in {', '.join(zones)}", advice, facts
        )
    missing = [str(ip) for ip in proven if name_at(ip, peer, names) is None]
    if missing:
        advice = "the address has changed, and a client that runs takes another certificate within a minute"
        found = f"none of its names is for {', '.join(missing)}, where this peer is seen"
        return Step(Area.CERTIFICATE, "names", Outcome.FAIL, found, advice, facts)
    covering = f"{said}, for each address" if proven else said
    return Step(Area.CERTIFICATE, "names", Outcome.OK, covering, facts=facts)
