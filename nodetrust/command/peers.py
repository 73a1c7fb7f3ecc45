"""`nodetrust peers`: who is announced now."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from typing import Any

import click
from rich.console import Console
from twisted.internet.defer import CancelledError, Deferred, FirstError, gatherResults
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from nodetrust.command.parameters import HOST_PORT, MULTIADDR, ZONE
from nodetrust.command.peers_shown import Json, Lines, Shown, Table
from nodetrust.command.run import run
from nodetrust.discovery import Discovery, Wanted, start_pubsub
from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import readable
from nodetrust.service import AGENT_VERSION, dial_options
from nodetrust.settings import HostPort

UNREACHABLE = 3
"""The exit status that `nodetrust obtain` has, too, where the issue server is out of reach."""

RECONNECT_SECONDS = 10.0
"""How often servers without a connection are dialled again."""

TICK_SECONDS = 1.0
"""How often the table is drawn anew, with how long ago each peer was heard of."""

Say = Callable[[str], None]

log = Logger()


@click.command()
@click.option(
    "--issuer",
    "servers",
    type=MULTIADDR,
    multiple=True,
    required=True,
    help="An address of an issue server, or of any other peer that carries announcements, with its /p2p peer ID; may "
    "be given several times, for several servers too.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(1, 3600),
    default=12.0,
    show_default=True,
    help="How long to listen; clients announce themselves every 5 seconds.",
)
@click.option("--watch", is_flag=True, help="Listen until Ctrl-C, and tell who comes, moves and goes.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document; with --watch, a line of JSON for each event."
)
@click.option(
    "--zone",
    "zones",
    type=ZONE,
    multiple=True,
    help="Only names of this zone, and addresses; may be given several times.",
)
@click.option("--nameserver", type=HOST_PORT, help="A DNS server to ask in place of the system's.")
@click.option("-v", "--verbose", is_flag=True, help="Log what happens to stderr.")
def peers(
    *,
    servers: tuple[Multiaddr, ...],
    seconds: float,
    watch: bool,
    as_json: bool,
    zones: tuple[str, ...],
    nameserver: HostPort | None,
    verbose: bool,
) -> None:
    """Show who is announced now.

    Listens to the announcements of certified peers, over any server that carries them. On a terminal they are shown in
    a table while they come. Elsewhere each peer is a line when the time is over: its ID and its addresses; with
    --watch, each event is a line, which begins with found, changed or gone. All else is said on stderr.

    Nobody has looked whether the peers can be dialled: an announcement is the word of whoever has signed it.

    Exit status: 0 done, also if nobody is announced and when Ctrl-C ends --watch, 2 a wrong option, 3 no server can be
    reached, 130 Ctrl-C or SIGTERM before the end, 141 nobody reads the output any more, 1 anything else.
    """
    screen, aside = Console(highlight=False), Console(stderr=True, highlight=False)
    on_screen = screen.is_terminal and not as_json
    shown: Shown = Json(watch) if as_json else Table(screen) if on_screen else Lines(watch)

    def say(text: str) -> None:
        (screen if on_screen else aside).print(readable(text), style="dim", markup=False, soft_wrap=True)

    async def work(reactor: Any) -> int:
        options = dial_options(reactor, nameserver, None)
        host = Host(reactor, PrivateKey.generate(), agent_version=AGENT_VERSION, **options)
        visitor = Visitor(reactor, host, Wanted(frozenset(zones) or None), shown, say)
        progress = nullcontext() if on_screen else aside.status("listening")
        with shown, progress:
            try:
                return await visitor.visit(servers, None if watch else seconds)
            finally:
                await visitor.leave()

    run(work, verbose=verbose)


class Visitor:
    """A host that is connected to servers for a while, and shows what it hears there."""

    def __init__(self, reactor: Any, host: Host, wanted: Wanted, shown: Shown, say: Say) -> None:
        self._reactor = reactor
        self._host = host
        self._shown = shown
        self._say = say
        self._servers: dict[PeerId | None, list[Multiaddr]] = {}
        self._pubsub = start_pubsub(host, reactor)
        self._discovery = Discovery(self._pubsub, reactor, wanted)
        self._loops: list[LoopingCall] = []
        self._listening: Deferred[None] = Deferred()
        self._doing = "connecting"
        self._ends: float | None = None
        self._leaving = False

    async def visit(self, servers: Iterable[Multiaddr], seconds: float | None) -> int:
        """Connect, and listen for so long, or until this is cancelled; returns the exit status."""
        for address in servers:
            self._servers.setdefault(address.peer_id, []).append(address)
        self._listen_in()
        if not await self._connect():
            return UNREACHABLE
        self._host.on_disconnected(self._lost)
        self._every(RECONNECT_SECONDS, lambda: Deferred.fromCoroutine(self._connect()))
        self._doing = "listening until Ctrl-C" if seconds is None else f"listening for {seconds:g} seconds"
        self._say(self._doing)
        self._ends = None if seconds is None else self._discovery.seconds() + seconds
        await self._wait(seconds)
        peers = self._discovery.peers()
        self._show(lambda now: self._shown.end(peers, now))
        if not peers:
            self._say("nobody is announced")
        return 0

    async def leave(self) -> None:
        """Close everything."""
        self._leaving = True
        for loop in self._loops:
            if loop.running:
                loop.stop()
        self._discovery.stop()
        self._pubsub.stop()
        await self._host.stop()

    def _listen_in(self) -> None:
        discovery = self._discovery
        discovery.on_found(lambda peer: self._show(lambda now: self._shown.news("found", peer, now)))
        discovery.on_changed(lambda peer: self._show(lambda now: self._shown.news("changed", peer, now)))
        discovery.on_gone(lambda peer: self._show(lambda now: self._shown.news("gone", peer, now)))
        discovery.start()
        self._every(TICK_SECONDS, lambda: self._show(self._tick))

    def _tick(self, now: float) -> None:
        doing = self._doing if self._ends is None else f"listening for {max(self._ends - now, 0):.0f} seconds more"
        self._shown.tick(self._discovery.peers(), now, doing)

    async def _wait(self, seconds: float | None) -> None:
        if seconds is not None:
            timer = self._reactor.callLater(seconds, self._over)
            try:
                await self._listening
            finally:
                if timer.active():
                    timer.cancel()
        else:
            with suppress(CancelledError):  # Ctrl-C and SIGTERM are the expected end
                await self._listening

    def _over(self) -> None:
        if not self._listening.called:
            self._listening.callback(None)

    def _show(self, what: Callable[[float], None]) -> None:
        try:
            what(self._discovery.seconds())
        except BrokenPipeError:  # whoever read it has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self._over()

    # Connections.

    def _every(self, seconds: float, action: Callable[[], object]) -> None:
        loop = LoopingCall(action)
        loop.clock = self._reactor
        self._loops.append(loop)
        loop.start(seconds, now=False).addErrback(lambda failure: log.failure("nodetrust peers has a bug", failure))

    async def _connect(self) -> bool:
        """Dial every server to which there is no connection; tells whether there is any connection then."""
        missing = [addresses for peer, addresses in self._servers.items() if not self._host.connections(peer)]
        dials = [Deferred.fromCoroutine(self._dial(addresses)) for addresses in missing]
        try:
            await gatherResults(dials, consumeErrors=True)
        except FirstError as first:  # cancelled, or a bug
            first.subFailure.raiseException()
        return bool(self._host.connections())

    async def _dial(self, addresses: list[Multiaddr]) -> None:
        try:
            await self._host.connect(addresses)
        except Libp2pError as error:
            self._say(str(error))
        else:
            self._say(f"connected to {addresses[0].peer_id}")

    def _lost(self, connection: Connection) -> None:
        peer = connection.remote_peer
        if not self._host.connections(peer) and not self._leaving:
            self._say(f"lost {peer}")
