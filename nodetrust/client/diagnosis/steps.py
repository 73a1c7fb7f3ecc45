"""What one step of the walk found, and who is told. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from nodetrust.libp2p.peer_id import PeerId


class Outcome(Enum):
    """How a step ended."""

    OK = "ok"
    WARN = "warn"
    """It works, but something should be done."""
    FAIL = "fail"
    SKIP = "skip"
    """It was not looked at, or nobody knows."""


class Area(Enum):
    """The parts of the path, in its order, as headings."""

    PEER = "This peer"
    ISSUER = "Issue servers"
    PROOFS = "Proof servers"
    BROKER = "AutoTLS brokers"
    CA = "Certificate authority"
    DNS = "DNS"
    CAA = "CAA"
    CERTIFICATE = "Certificate"
    OUTSIDE = "From outside"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was looked at. Texts may have parts that others wrote: whoever shows them makes them harmless."""

    area: Area
    title: str
    outcome: Outcome
    found: str
    """A sentence, without the title and without a full stop."""
    advice: str = ""
    """What to do about it."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """For programs: values that JSON has."""


class Report(Protocol):
    """Who is told while it goes on."""

    def begin(self, what: str) -> None:
        """What is being waited for from now on."""

    def tell(self, step: Step) -> None:
        """One more step."""


def brief(peer: PeerId) -> str:
    """Enough of a peer ID to know it again."""
    text = str(peer)
    return f"{text[:6]}…{text[-6:]}"


def counted(count: int, what: str) -> str:
    """`1 name`, `2 names`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
