"""`nodetrust demo`: the main job from end to end on this machine, with no domain and no internet."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from twisted.internet.defer import Deferred, TimeoutError

from nodetrust.client.obtain import Obtained
from nodetrust.command.deployment import Deployment, Visit
from nodetrust.command.run import run
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError

DEMO_SECONDS = 60.0
"""By then everything works, or the demo has failed."""


@click.command()
@click.option("--once", is_flag=True, help="End with status 0 when everything has worked.")
@click.option("--json", "as_json", is_flag=True, help="When everything runs, print one line of JSON that says where.")
@click.option("-v", "--verbose", is_flag=True, help="Log what happens to stderr.")
def demo(once: bool, as_json: bool, verbose: bool) -> None:
    """Run all of nodetrust on loopback: a CA, the three servers, a client that gets a certificate, and a visitor.

    Needs no domain and no internet, and keeps nothing. Ends with Ctrl-C.
    """
    console = Console(stderr=as_json, highlight=False)

    async def work(reactor: Any) -> int:
        folder = Path(tempfile.mkdtemp(prefix="nodetrust-demo-"))
        deployment = Deployment(reactor, folder)
        try:
            await _show(reactor, console, deployment)
            if as_json:
                click.echo(json.dumps(deployment.describe()))
            if not once:
                console.print("Everything runs. [bold]Ctrl-C[/bold] ends it.")
                await _until_stopped()
        except (NodetrustError, Libp2pError, TimeoutError) as error:
            console.print(f"[red]✗[/red] {error}", soft_wrap=True)
            return 1
        finally:
            await deployment.stop()
            shutil.rmtree(folder, ignore_errors=True)
        return 0

    run(work, verbose=verbose)


async def _show(reactor: Any, console: Console, deployment: Deployment) -> None:
    def step(text: str) -> None:
        console.print(f"[green]✓[/green] {text}", soft_wrap=True)

    with console.status("starting"):
        starting = Deferred.fromCoroutine(deployment.start(step))
        obtained = await starting.addTimeout(DEMO_SECONDS, reactor, _too_slow)
    console.print(_certificate_rows(obtained))
    with console.status("a second peer looks for the client"):
        visiting = Deferred.fromCoroutine(deployment.visit())
        visit: Visit = await visiting.addTimeout(DEMO_SECONDS, reactor, _too_slow)
    step(f"a second peer heard of {visit.address} over pubsub")
    step(f"and dialled it over verified TLS: ping in {visit.round_trip_seconds * 1000:.1f} ms")


def _too_slow(_: object, seconds: float) -> object:
    raise TimeoutError(f"this took more than {seconds:g} seconds; -v shows what went on")


def _certificate_rows(obtained: Obtained) -> Table:
    leaf = obtained.chain.leaf
    rows = Table.grid("what", "value", padding=(0, 2, 0, 2))
    rows.columns[0].style = "dim"
    rows.columns[1].overflow = "fold"
    rows.add_row("names", "\n".join(sorted(obtained.chain.names)))
    rows.add_row("issuer", leaf.issuer.rfc4514_string())
    rows.add_row("serial", f"{leaf.serial_number:x}")
    rows.add_row("from", f"{obtained.chain.not_before:%Y-%m-%d %H:%M} UTC")
    rows.add_row("until", f"{obtained.chain.not_after:%Y-%m-%d %H:%M} UTC")
    return rows


async def _until_stopped() -> None:
    """Waits to be cancelled, by Ctrl-C or SIGTERM: the expected end."""
    await Deferred()
