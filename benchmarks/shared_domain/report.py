"""The tables, as rows of text, and in Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from benchmarks.shared_domain.scenarios import Scenario
from benchmarks.shared_domain.tally import Tally, Waits

HOUR, DAY = 3600.0, 86400.0

Result = tuple[Scenario, Tally]

_WHAT_CAME = (
    "counted a week",
    "renewed a week",
    "new: median",
    "new: 95 %",
    "new: starved",
    "moved: median",
    "moved: 95 %",
    "moved: starved",
    "ran out",
    "covered at the end",
    "Sybils' a week",
)

HEADINGS = {
    "large": ("limits", "names", *_WHAT_CAME),
    "small": ("peers", "names, renewal_share", *_WHAT_CAME[:-1]),
    "sybils": ("prefixes", "prefix quotas", *_WHAT_CAME[2:5], *_WHAT_CAME[-2:]),
}
"""Of each table."""


def row(scenario: Scenario, tally: Tally) -> tuple[str, ...]:
    """A world's row of its table."""
    new, moved, renewing = (tally.waits[label] for label in ("new", "moved", "renewing"))
    weeks = scenario.parameters.weeks
    what_came = (
        f"{sum(tally.counted) / weeks:,.0f}",
        f"{len(renewing.seconds) / weeks:,.0f}",
        *_waits(new),
        *_waits(moved),
        f"{tally.lost:,}",
        f"{tally.coverage[-1][1]:.2%}" if tally.coverage else "",
        f"{sum(tally.certificates['sybil']) / weeks:,.0f}",
    )
    kept = HEADINGS[scenario.table][len(scenario.labels) :]
    return (*scenario.labels, *(what_came[_WHAT_CAME.index(heading)] for heading in kept))


def markdown(results: Sequence[Result]) -> str:
    """A table of results that belong to one."""
    headings = HEADINGS[results[0][0].table]
    rows = [headings, ["---"] * 2 + ["--:"] * (len(headings) - 2), *(row(*result) for result in results)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def write_into(path: Path, name: str, text: str) -> None:
    """Put a table between the comments with its name; raises ValueError where there are none."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, found, rest = path.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{path} has no place for the table {name}")
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def _waits(waits: Waits) -> tuple[str, str, str]:
    if not waits.asked:
        return "–", "–", "–"
    return (
        _spoken(waits.percentile(0.5)),
        _spoken(waits.percentile(0.95)),
        f"{waits.starved:.0%}",
    )


def _spoken(seconds: float) -> str:
    if math.isinf(seconds):
        return "longer"
    if seconds < 60:
        return "none"
    for unit, length in (("d", DAY), ("h", HOUR)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds / 60:.0f} min"
