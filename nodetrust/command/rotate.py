"""`nodetrust key rotate`."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from nodetrust.errors import NodetrustError
from nodetrust.keyfile import load
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.proof.keys import OVERLAP_SECONDS, TimedKey, key_at, make_key, read_keys
from nodetrust.service import KEY_FILE

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d{1,6})([smhd])", re.ASCII)


def _read_duration(ctx: click.Context, parameter: click.Parameter, value: str) -> int:
    match = _DURATION.fullmatch(value)
    if match is None:
        raise click.BadParameter(f"expected a number with s, m, h or d, such as 1d, got {value!r}")
    return int(match[1]) * _UNITS[match[2]]


@click.command()
@click.argument("state", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option(
    "--begin-in",
    "seconds",
    callback=_read_duration,
    default="1d",
    show_default=True,
    help="When the proof server begins to sign with it: 90s, 30m, 12h, 1d. 0s is at once, for a key that was stolen.",
)
def rotate(state: Path, seconds: int) -> None:
    """Give a proof server a new key for its proofs.

    STATE is the state folder of the proof server, which takes the key up without a restart; its peer ID stays. Prints
    what the file `proof_keys` of every issue server must have until the new key begins, and after.
    """
    now = time.time()
    try:
        own = load(state / KEY_FILE)
        before = read_keys(state, own)
        made = make_key(state, now + seconds)
    except (NodetrustError, Libp2pError) as error:
        raise click.ClickException(str(error)) from None
    _explain(own.peer_id, before, made, now)


def _explain(server: PeerId, before: tuple[TimedKey, ...], made: TimedKey, now: float) -> None:
    current = key_at(before, now).peer_id
    waiting = [one for one in before if now < one.begin]
    new = made.key.peer_id
    click.echo(f"key     {new}")
    click.echo(f"begins  {_shown(made.begin)}")
    click.echo("\nBefore that, put these lines into the file proof_keys of every issue server:\n")
    for key in (current, new, *(one.key.peer_id for one in waiting)):
        click.echo(f"{server} {key}")
    click.echo(f"\nFrom {_shown(made.begin + OVERLAP_SECONDS)} on, these are enough:\n")
    for key in (new, *(one.key.peer_id for one in waiting if made.begin < one.begin)):
        click.echo(f"{server} {key}")
    click.echo("\nIf the old key was stolen, take its line away at once: peers then ask for new proofs.")


def _shown(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
