"""`nodetrust demo`: the main job from end to end on this machine, with no domain and no internet."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.text import Text
from twisted.internet.defer import CancelledError, Deferred, TimeoutError

from nodetrust.client.obtain import Obtained
from nodetrust.command.deployment import Deployment
from nodetrust.command.run import run
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError

DEMO_SECONDS = 60.0
"""By then everything works, or the demo has failed."""


T = TypeVar("T")


class TooSlow(NodetrustError):
    """The demo did not get ready in time."""


@click.command()
@click.option("--once", is_flag=True, help="End with status 0 when everything has worked.")
@click.option("--json", "as_json", is_flag=True, help="When everything runs, print one line of JSON that says where.")
@click.option("-v", "--verbose", is_flag=True, help="Log what happens to stderr.")
def demo(once: bool, as_json: bool, verbose: bool) -> None:
    """Show all of nodetrust at work on this machine.

    Runs a CA, the three servers, a client that gets a certificate, and a visitor that dials it, on loopback. Needs no
    domain and no internet, and keeps nothing. Ends with Ctrl-C.
    """
    console = Console(stderr=as_json, highlight=False)

    async def work(reactor: Any) -> int:
        try:
            with tempfile.TemporaryDirectory(prefix="nodetrust-demo-") as folder:
                await run_in(reactor, Path(folder))
        except (NodetrustError, Libp2pError, OSError) as error:
            console.print(Text.assemble(("✗", "red"), f" {error}"), soft_wrap=True)
            return 1
        return 0

    async def run_in(reactor: Any, folder: Path) -> None:
        deployment = Deployment(reactor, folder)
        try:
            await _show(reactor, console, deployment)
            if as_json:
                click.echo(json.dumps(deployment.describe()))
            if not once:
                console.print("Everything runs. [bold]Ctrl-C[/bold] ends it.")
                await _until_stopped()
        finally:
            await deployment.stop()

    run(work, verbose=verbose)


async def _show(reactor: Any, console: Console, deployment: Deployment) -> None:
    def step(text: str) -> None:
        console.print(Text.assemble(("✓", "green"), f" {text}"), soft_wrap=True)

    with console.status("starting"):
        obtained = await _in_time(reactor, deployment.start(step))
    for line in _certificate_lines(obtained):
        console.print(line, soft_wrap=True)
    for address in deployment.client.addresses:
        step(f"WSS at {address}")
    with console.status("a second peer looks for the client"):
        visit = await _in_time(reactor, deployment.visit())
    step(f"a second peer heard of {visit.address} over pubsub")
    step(f"and dialled it over verified TLS: ping in {visit.round_trip_seconds * 1000:.1f} ms")


async def _in_time(reactor: Any, work: Coroutine[Any, Any, T]) -> T:
    try:
        return await Deferred.fromCoroutine(work).addTimeout(DEMO_SECONDS, reactor)
    except TimeoutError:
        raise TooSlow(f"this took more than {DEMO_SECONDS:g} seconds; -v shows what went on") from None


def _certificate_lines(obtained: Obtained) -> list[Text]:
    chain = obtained.chain
    rows = {
        "issuer": chain.leaf.issuer.rfc4514_string(),
        "serial": f"{chain.leaf.serial_number:x}",
        "from": f"{chain.not_before:%Y-%m-%d %H:%M} UTC",
        "until": f"{chain.not_after:%Y-%m-%d %H:%M} UTC",
    }
    return [Text.assemble((f"    {what:8}", "dim"), value) for what, value in rows.items()]


async def _until_stopped() -> None:
    """Returns on Ctrl-C or SIGTERM, which cancel what `run` runs: here that is the expected end."""
    with suppress(CancelledError):
        await Deferred()
