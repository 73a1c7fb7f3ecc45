"""What is to be said of proof servers, and of what they prove. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nodetrust.client.diagnosis.dialling import trouble
from nodetrust.client.diagnosis.steps import Area, Outcome, Step, counted
from nodetrust.client.prove import Found, votes
from nodetrust.libp2p.errors import DialError, Libp2pError
from nodetrust.names import IPAddress

MUCH_SKEW_SECONDS = 60.0
"""A clock that is kept by NTP is right to a second; proofs are good for five minutes."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A proof server that was asked over one family."""

    server: bytes
    """Its peer ID's multihash, as the issue server has it."""
    display: str
    """What the issue server calls it."""
    family: int
    """4 or 6; 0 where the address says neither."""
    outcome: Found | Exception

    @property
    def title(self) -> str:
        """Who, and over what."""
        family = f" over IPv{self.family}" if self.family else ""
        name = self.display if len(self.display) <= 40 else f"{self.display[:6]}…{self.display[-6:]}"
        return f"{name}{family}"


@dataclass(frozen=True, slots=True)
class Agreement:
    """The addresses that are proven, and the step that says so."""

    addresses: tuple[IPAddress, ...]
    step: Step


def judge_attempts(attempts: Sequence[Attempt], now_ms: int) -> list[Step]:
    """One step each. A server that has proven one family may lack the other: not all machines have both."""
    proving = {attempt.server for attempt in attempts if isinstance(attempt.outcome, Found)}
    clocks = [attempt.outcome for attempt in attempts if isinstance(attempt.outcome, Found)]
    all_wrong = bool(clocks) and all(found.out_of_time is not None for found in clocks)
    return [
        _judge_proof(attempt, attempt.outcome, now_ms, all_wrong=all_wrong)
        if isinstance(attempt.outcome, Found)
        else _judge_failure(attempt, attempt.outcome, other_family=attempt.server in proving)
        for attempt in attempts
    ]


def _judge_proof(attempt: Attempt, found: Found, now_ms: int, *, all_wrong: bool) -> Step:
    ahead = (found.proven.made_ms - now_ms) / 1000
    addresses = ", ".join(map(str, found.proven.addresses))
    facts = {
        "server": str(found.server),
        "family": attempt.family,
        "addresses": list(map(str, found.proven.addresses)),
        "clock_ahead_seconds": round(ahead, 1),
    }
    if found.out_of_time is None and abs(ahead) < MUCH_SKEW_SECONDS:
        text = f"sees this peer at {addresses}; signature and clock are right"
        return Step(Area.PROOFS, attempt.title, Outcome.OK, text, facts=facts)
    text = f"sees this peer at {addresses}, but its clock is {_apart(ahead)} the clock here"
    advice = (
        "all of them differ from the clock here: set this machine's clock, best by NTP"
        if all_wrong
        else "its operator must set its clock, best by NTP, unless it is the clock here that is wrong"
    )
    outcome = Outcome.WARN if found.out_of_time is None else Outcome.FAIL
    if found.out_of_time is not None:
        text += ", so that the proof is out of time"
    return Step(Area.PROOFS, attempt.title, outcome, text, advice, facts)


def _judge_failure(attempt: Attempt, error: Exception, *, other_family: bool) -> Step:
    facts = {"family": attempt.family, "addresses": []}
    if isinstance(error, DialError):
        wrong = trouble(error)
        found, advice = wrong.found, wrong.advice
    else:
        found, advice = f"gives no proof: {error}", _advice_on(error)
    if not other_family:
        return Step(Area.PROOFS, attempt.title, Outcome.FAIL, found, advice, facts)
    return Step(
        Area.PROOFS,
        attempt.title,
        Outcome.SKIP,
        f"{found}; so there is no name for an IPv{attempt.family} address of this peer, if it has one",
        facts=facts,
    )


def _advice_on(error: Exception) -> str:
    if isinstance(error, Libp2pError):
        return "see whether a proof server runs there, and what it logs"
    return "its operator must see to it; a private address is proven only with allow_private = true"


def judge_agreement(attempts: Sequence[Attempt], quorum: int) -> Agreement:
    """Which addresses as many servers vouch for as the issue server wants."""
    found = [attempt.outcome for attempt in attempts if isinstance(attempt.outcome, Found)]
    usable = [one for one in found if one.out_of_time is None] or found
    quorum = max(quorum, 1)
    vouching = votes(usable)
    proven = tuple(sorted((ip for ip, servers in vouching.items() if len(servers) >= quorum), key=str))
    counts = ", ".join(f"{ip} ({counted(len(servers), 'server')})" for ip, servers in vouching.items())
    facts = {
        "quorum": quorum,
        "addresses": list(map(str, proven)),
        "votes": {str(ip): len(servers) for ip, servers in vouching.items()},
    }
    title = "proven addresses"
    if not vouching:
        step = Step(
            Area.PROOFS,
            title,
            Outcome.FAIL,
            "none: no proof server gave a proof",
            "there is no certificate without one: see what is wrong with each",
            facts,
        )
    elif not proven:
        step = Step(
            Area.PROOFS,
            title,
            Outcome.FAIL,
            f"none: {quorum} servers must agree, and there is only {counts}",
            "bring the proof servers back that fail; where they see different addresses, this machine goes out over "
            "several lines or a VPN: use one",
            facts,
        )
    elif len(proven) < len(vouching):
        step = Step(
            Area.PROOFS,
            title,
            Outcome.WARN,
            f"{counts}; for a name {quorum} must agree",
            "this machine goes out over several addresses, or a proof server fails: the address that too few see gets "
            "no name",
            facts,
        )
    else:
        step = Step(Area.PROOFS, title, Outcome.OK, counts, facts=facts)
    return Agreement(proven, step)


def _apart(ahead_seconds: float) -> str:
    side = "ahead of" if ahead_seconds > 0 else "behind"
    seconds = round(abs(ahead_seconds))
    return f"{seconds / 60:.0f} minutes {side}" if seconds >= 120 else f"{seconds} seconds {side}"
