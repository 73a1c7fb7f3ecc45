"""How the steps of `nodetrust check` are shown: live on a terminal, a line each elsewhere, or as JSON."""

from __future__ import annotations

import json
import sys
from types import TracebackType
from typing import Protocol, Self

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nodetrust.client.diagnosis.steps import Area, Outcome, Report, Step, counted
from nodetrust.client.diagnosis.walked import Walked
from nodetrust.command.spinner import Spinner
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import readable

SYMBOLS = {
    Outcome.OK: ("✓", "green"),
    Outcome.WARN: ("!", "yellow"),
    Outcome.FAIL: ("✗", "bold red"),
    Outcome.SKIP: ("–", "dim"),
}

WORDS = {Outcome.OK: "ok", Outcome.WARN: "warn", Outcome.FAIL: "FAIL", Outcome.SKIP: "skip"}

MAX_TITLE_CHARACTERS = 36


class Shown(Report, Protocol):
    """Where the steps go. A context for the time of the walk."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def end(self, walked: Walked, peer: PeerId, status: int) -> None:
        """The walk is over."""

    def fail(self, reason: str) -> None:
        """There was no walk."""


def shown_as(as_json: bool) -> Shown:
    """What fits the command line and what stdout is."""
    if as_json:
        return _AsJson(Console(stderr=True, highlight=False))
    return _Live(Console(highlight=False)) if sys.stdout.isatty() else _AsLines(Console(stderr=True, highlight=False))


class _Waiting:
    """What is common: a spinner while something is waited for, if the console is a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._spinner = Spinner(console)

    def __enter__(self) -> Self:
        self._spinner.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spinner.__exit__(kind, error, trace)

    def begin(self, what: str) -> None:
        self._spinner.say(f"{what} …", "dim")

    def fail(self, reason: str) -> None:
        Console(stderr=True).print(readable(reason), style="red", markup=False, highlight=False, soft_wrap=True)


class _Live(_Waiting):
    """Under a heading for each part of the path, a tick or a cross, and below it what to do."""

    _area: Area | None = None

    def tell(self, step: Step) -> None:
        if step.area is not self._area:
            self._area = step.area
            self._console.print(Text(f"\n{step.area.value}", "bold"))
        symbol, style = SYMBOLS[step.outcome]
        width = min(MAX_TITLE_CHARACTERS, self._console.width // 3)
        row = Table.grid(padding=(0, 2, 0, 0))
        row.add_column(width=1)
        row.add_column(width=width, overflow="fold")
        row.add_column(ratio=1, overflow="fold")
        quiet = "dim" if step.outcome is Outcome.SKIP else ""
        row.add_row(Text(symbol, style), Text(readable(step.title), quiet), Text(readable(step.found), quiet))
        if step.advice:
            row.add_row("", Text("→", style, justify="right"), Text(readable(step.advice), style.removeprefix("bold ")))
        self._console.print(row)

    def end(self, walked: Walked, peer: PeerId, status: int) -> None:
        self._spinner.stop()
        text, style = _summary(walked)
        self._console.print(Text(f"\n{text}", f"bold {style}"))


class _AsLines(_Waiting):
    """One line a step."""

    def tell(self, step: Step) -> None:
        parts = [f"{step.area.value}: {step.title}: {step.found}", *([f"→ {step.advice}"] if step.advice else [])]
        click.echo(f"{WORDS[step.outcome]:4}  {'  '.join(map(readable, parts))}")

    def end(self, walked: Walked, peer: PeerId, status: int) -> None:
        """The exit status says it."""


class _AsJson(_Waiting):
    """One document."""

    def tell(self, step: Step) -> None:
        """All come at the end."""

    def end(self, walked: Walked, peer: PeerId, status: int) -> None:
        document = {
            "status": status,
            "peer": str(peer),
            "zones": list(walked.known),
            "addresses": list(map(str, walked.addresses)),
            "steps": list(map(_to_json, walked.steps)),
        }
        click.echo(json.dumps(document))


def _to_json(step: Step) -> dict[str, object]:
    return {
        "area": step.area.name.lower(),
        "title": step.title,
        "outcome": step.outcome.value,
        "found": step.found,
        "advice": step.advice,
        "facts": dict(step.facts),
    }


def _summary(walked: Walked) -> tuple[str, str]:
    counts = {outcome: sum(step.outcome is outcome for step in walked.steps) for outcome in Outcome}
    skipped = f"; {counts[Outcome.SKIP]} not looked at" if counts[Outcome.SKIP] else ""
    looked = len(walked.steps) - counts[Outcome.SKIP]
    if counts[Outcome.FAIL]:
        return f"{counts[Outcome.FAIL]} of {counted(looked, 'step')} failed{skipped}", "red"
    if counts[Outcome.WARN]:
        return (
            f"It works; {counted(counts[Outcome.WARN], 'step')} of {looked} should be looked after{skipped}",
            "yellow",
        )
    return f"All is well: {counted(looked, 'step')}{skipped}", "green"
