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
from nodetrust.command.browser import Browser, browser_arguments, find_browser
from nodetrust.command.deployment import ZONE, Deployment
from nodetrust.command.run import run
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError

DEMO_SECONDS = 60.0
"""By then everything works, or the demo has failed."""

MAX_CLIENTS = 20
"""Each asks the CA of this process for a certificate first, and dials the others: with fifty that takes minutes."""


T = TypeVar("T")


class TooSlow(NodetrustError):
    """The demo did not get ready in time."""


@click.command()
@click.option("--once", is_flag=True, help="End with status 0 when everything has worked.")
@click.option("--json", "as_json", is_flag=True, help="When everything runs, print one line of JSON that says where.")
@click.option("--clients", default=3, show_default=True, type=click.IntRange(1, MAX_CLIENTS), help="How many clients.")
@click.option("--browser", is_flag=True, help="Open the page in a Chromium or Chrome with a profile of its own.")
@click.option("-v", "--verbose", is_flag=True, help="Log what happens to stderr.")
def demo(once: bool, as_json: bool, clients: int, browser: bool, verbose: bool) -> None:
    """Show all of nodetrust at work on this machine.

    Runs a CA, the three servers, clients that get certificates (from the issue server, and one by AutoTLS), and a
    visitor that dials them, on loopback; with --browser, a page in a browser that finds and dials them all. Needs no
    domain and no internet, and keeps nothing. Ends with Ctrl-C.
    """
    if once and browser:
        raise click.UsageError("--once ends the demo before --browser has shown anything: choose one")
    console = Console(stderr=as_json, highlight=False)

    async def work(reactor: Any) -> int:
        try:
            program = find_browser() if browser else None
            with tempfile.TemporaryDirectory(prefix="nodetrust-demo-") as folder:
                await run_in(reactor, Path(folder), program)
        except BrokenPipeError:
            raise
        except (NodetrustError, Libp2pError, OSError) as error:
            console.print(Text.assemble(("✗", "red"), f" {error}"), soft_wrap=True)
            return 1
        return 0

    async def run_in(reactor: Any, folder: Path, program: str | None) -> None:
        deployment = Deployment(reactor, folder, clients=clients, page=True, autotls=True)
        opened = None if program is None else Browser(reactor, program)
        try:
            await _show(reactor, console, deployment)
            if as_json:
                click.echo(json.dumps(deployment.describe()))
            if opened is not None:
                _open(opened, deployment)
            if not once:
                console.print(_ending(opened))
                await _until_stopped(opened)
        finally:
            if opened is not None:
                await opened.stop()
            await deployment.stop()

    run(work, verbose=verbose)


async def _show(reactor: Any, console: Console, deployment: Deployment) -> None:
    def step(text: str) -> None:
        console.print(Text.assemble(("✓", "green"), f" {text}"), soft_wrap=True)

    with console.status("starting"):
        obtained = await _in_time(reactor, deployment.start(step))
    for line in _certificate_lines(obtained[0]):
        console.print(line, soft_wrap=True)
    by_autotls = [] if deployment.autotls_client is None else [deployment.autotls_client]
    for client in (*deployment.clients, *by_autotls):
        for address in client.addresses:
            step(f"WSS at {address}")
    for client in (deployment.client, *by_autotls):
        with console.status("a second peer looks for a client"):
            visit = await _in_time(reactor, deployment.visit(client))
        step(f"a second peer heard of {visit.address} over pubsub")
        step(f"and dialled it over verified TLS: ping in {visit.round_trip_seconds * 1000:.1f} ms")
    step(f"the page is at {deployment.page_url}; --browser opens one in which that name leads here")


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


def _open(browser: Browser, deployment: Deployment) -> None:
    own, url = deployment.issue.own, deployment.page_url
    if own is None or own.current is None or url is None:
        raise RuntimeError("the page is opened before it is there")
    browser.start(browser_arguments(ZONE, browser.profile, own.current.chain.authorities[0], url))


def _ending(browser: Browser | None) -> str:
    end = "" if browser is None else ", and so does closing the browser"
    return f"Everything runs. [bold]Ctrl-C[/bold] ends it{end}."


async def _until_stopped(browser: Browser | None) -> None:
    """Returns when the browser is closed, or on Ctrl-C or SIGTERM, which cancel what `run` runs: the expected end."""
    with suppress(CancelledError):
        await (Deferred() if browser is None else browser.closed())
