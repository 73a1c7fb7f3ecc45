"""Ways to show who is announced: a table on a terminal, lines, and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

import click
from rich import table as rich_table
from rich.console import Console
from rich.live import Live
from rich.text import Text

from nodetrust.discovery import Announced
from nodetrust.messages import readable

MAX_ROWS = 100
"""In a table that is drawn every second; the last one has all."""


class Shown:
    """Is told what is new, once a second who is announced, and that again at the end; shows nothing of it.

    `now` and the times of peers are of one clock. BrokenPipeError says that nobody reads any more.
    """

    def __enter__(self) -> None:
        """What is shown begins."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """It ends, in whatever way."""

    def news(self, what: str, peer: Announced, now: float) -> None:
        """A peer was `found`, has `changed` its addresses, or is `gone`."""

    def tick(self, peers: Sequence[Announced], now: float, doing: str) -> None:
        """A second has passed, in which the program was `doing` this."""

    def end(self, peers: Sequence[Announced], now: float) -> None:
        """It is over, but for an end by a signal."""


class Lines(Shown):
    """A line for each event, or else for each peer at the end: for grep and people's logs."""

    def __init__(self, each_event: bool) -> None:
        self._each_event = each_event

    def news(self, what: str, peer: Announced, now: float) -> None:
        if self._each_event:
            click.echo(f"{what} {_line(peer)}")

    def end(self, peers: Sequence[Announced], now: float) -> None:
        if not self._each_event:
            for peer in peers:
                click.echo(_line(peer))


class Json(Shown):
    """A line for each event, or else one document at the end."""

    def __init__(self, each_event: bool) -> None:
        self._each_event = each_event

    def news(self, what: str, peer: Announced, now: float) -> None:
        if self._each_event:
            click.echo(json.dumps({"event": what, **_fields(peer, now)}))

    def end(self, peers: Sequence[Announced], now: float) -> None:
        if not self._each_event:
            click.echo(json.dumps({"peers": [_fields(peer, now) for peer in peers]}))


class Table(Shown):
    """A table that is drawn anew every second, and stays when it is over."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> None:
        self._live.start()

    def __exit__(self, *ended_by: object) -> None:
        self._live.stop()

    def tick(self, peers: Sequence[Announced], now: float, doing: str) -> None:
        self._live.update(_table(peers, now, MAX_ROWS, f", {doing}"), refresh=True)

    def end(self, peers: Sequence[Announced], now: float) -> None:
        self._live.update(_table(peers, now, len(peers)), refresh=True)


def _line(peer: Announced) -> str:
    announcement = peer.announcement
    return " ".join([str(announcement.peer), *(readable(str(address)) for address in announcement.addresses)])


def _fields(peer: Announced, now: float) -> dict[str, Any]:
    announcement = peer.announcement
    return {
        "peer": str(announcement.peer),
        "author": str(announcement.author),
        "addresses": [str(address) for address in announcement.addresses],
        "first_heard": _time(now - peer.first_seen),
        "last_heard": _time(now - peer.last_seen),
        "announcements": peer.count,
    }


def _time(seconds_ago: float) -> str:
    moment = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _table(peers: Sequence[Announced], now: float, most: int, doing: str = "") -> rich_table.Table:
    hidden = len(peers) - most
    table = rich_table.Table(
        title=f"{len(peers)} announced{doing}",
        caption=f"and {hidden} more" if hidden > 0 else None,
        show_lines=True,
        title_justify="left",
    )
    table.add_column("peer, and where it is", overflow="fold")  # beside each other a peer ID would be broken in two
    table.add_column("heard", justify="right", no_wrap=True)
    table.add_column("for", justify="right", no_wrap=True)
    for peer in peers[:most]:
        announcement = peer.announcement
        what = Text(str(announcement.peer), style="bold")
        for address in announcement.addresses:
            what.append("\n" + readable(str(address.without_peer_id())), style="not bold")
        if announcement.author != announcement.peer:
            what.append(f"\nby {announcement.author}", style="dim")
        table.add_row(what, f"{_span(now - peer.last_seen)} ago", _span(now - peer.first_seen))
    return table


def _span(seconds: float) -> str:
    """``7 s``, ``12 min``, ``3 h``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.0f} h"
