"""`outcomes.txt`: what ours answers to each packet of `rows.py`, and why where another server answers something else.

A line is `title | over UDP | over TCP | why`; an empty third column means the same as over UDP, and `why` is a key of
`reasons.REASONS`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("outcomes.txt")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What ours answers over UDP and TCP, in the words of `summary.summarise`; `why` is empty where all four agree."""

    udp: str
    tcp: str
    why: str


def read() -> dict[str, Outcome]:
    """The table, by title."""
    outcomes = {}
    for line in FILE.read_text().splitlines():
        title, udp, tcp, why = (column.strip() for column in line.split("|"))
        if title in outcomes:
            raise ValueError(f"{title} is there twice")
        outcomes[title] = Outcome(udp, tcp or udp, why)
    return outcomes


def write(outcomes: Iterable[tuple[str, Outcome]]) -> str:
    """The text of the table."""
    lines = []
    for title, outcome in outcomes:
        tcp = "" if outcome.tcp == outcome.udp else outcome.tcp
        lines.append(f"{title:36} | {outcome.udp:24} | {tcp:24} | {outcome.why}".rstrip())
    return "\n".join(lines) + "\n"
