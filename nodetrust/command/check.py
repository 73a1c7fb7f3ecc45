"""`nodetrust check`: why a peer has no certificate, or cannot be dialled."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import click
from twisted.internet.defer import Deferred, TimeoutError

from nodetrust.client.diagnosis.steps import Area, Outcome, Step
from nodetrust.client.diagnosis.stored import read_stored
from nodetrust.client.diagnosis.walk import Subject, Walk
from nodetrust.client.diagnosis.walked import Walked
from nodetrust.client.issuers import by_server
from nodetrust.client.lookup.resolver import DNS_PORT
from nodetrust.client.settings import STATE_FOLDER
from nodetrust.command.check_asked import Asked, Walking
from nodetrust.command.check_shown import Shown, shown_as
from nodetrust.command.options import AUTOTLS_KEYS, autotls_options, dial_options
from nodetrust.command.parameters import HOST_PORT, MULTIADDR
from nodetrust.command.run import run
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.settings import HostPort, SettingsError

WALK_SECONDS = 60.0
"""For all of it: each step has its own limit, and nobody waits longer for a diagnosis."""

FAILED, WRONG_OPTION, NO_ISSUER, NO_PROOFS, DNS_WRONG, NOT_REACHABLE = 1, 2, 3, 4, 6, 7
"""Exit statuses. 3 and 4 are those of `nodetrust obtain`, whose 5 only an order can meet."""


@click.command()
@click.argument("issuers", nargs=-1, type=MULTIADDR, metavar="[ISSUER]...")
@click.option(
    "--issuer",
    "more_issuers",
    type=MULTIADDR,
    multiple=True,
    help="An address of an issue server, with its /p2p peer ID; may be given several times, as may ISSUER.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=STATE_FOLDER,
    help="The folder of the client, or that of `obtain --out`; nothing in it is changed. "
    "[default: ~/.nodetrust/client]",
)
@click.option(
    "--wss",
    type=HOST_PORT,
    multiple=True,
    help="Where this peer serves WSS, as others dial it; may be given several times. "
    "[default: port 4443 of each proven address that the certificate names]",
)
@click.option(
    "--dns-port",
    type=click.IntRange(1, 65535),
    default=DNS_PORT,
    show_default=True,
    help="Where the zone's name servers answer, for tests.",
)
@dial_options
@click.option("--autotls", is_flag=True, help="Walk the path of a certificate by AutoTLS.")
@autotls_options
@click.option(
    "--bootstrap",
    multiple=True,
    help="With --autotls: a multiaddr of a peer that speaks AutoNAT, and is asked to dial this peer back.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document at the end, and nothing else.")
@click.option("-v", "--verbose", is_flag=True, help="Log what happens to stderr.")
def check(
    *,
    issuers: tuple[Multiaddr, ...],
    more_issuers: tuple[Multiaddr, ...],
    autotls: bool,
    bootstrap: tuple[str, ...],
    as_json: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Find out why a peer has no certificate, or cannot be dialled.

    Walks the whole path that its certificate depends on: the issue servers, the proof servers that they name, the DNS
    for its names, the CAA records that say which CA may sign, the certificate in its folder, and its WSS address as
    seen from outside. With --autotls it is the path by AutoTLS: the brokers, the CA, and then the same; an ISSUER, if
    one is named, only dials the WSS address. Says for each step whether it is well, or what is wrong and what to do.
    Takes no more than a minute and changes nothing.

    On a terminal the steps are shown as they go; else each is a line that begins with ok, warn, FAIL or skip. The
    document of --json has `status` (the exit status), `peer`, `zones`, `addresses` (the proven ones; by AutoTLS, those
    that are known) and `steps`, each with `area` (peer, issuer, proofs, broker, ca, dns, caa, certificate, outside),
    `title`, `outcome` (ok, warn, fail, skip), `found`, `advice` and `facts`.

    Exit status: 0 nothing has failed, 2 a wrong option, 3 no issue server gives information or no broker is well, 4 no
    address is proven, 6 the DNS is wrong, 7 not reachable from outside, 1 something else has failed; of several, the
    first in this order. 130 Ctrl-C or SIGTERM, 141 nobody reads the output any more.
    """
    by_autotls = {"bootstrap": bootstrap, **{key: options.pop(key) for key in AUTOTLS_KEYS}}
    addresses = (*issuers, *more_issuers)
    if not addresses and not autotls:
        raise click.UsageError("Missing argument 'ISSUER': an address of an issue server, or --autotls.")
    asked = Asked(issuers=addresses, **options)
    if asked.nameserver is not None:
        _check_ip(asked.nameserver)
    shown = shown_as(as_json)

    async def work(reactor: Any) -> int:
        try:
            with shown:
                return await _walk(reactor, shown, asked, by_autotls if autotls else None)
        except NodetrustError as error:
            shown.fail(str(error))
            return WRONG_OPTION if isinstance(error, SettingsError) else FAILED

    run(work, verbose=verbose)


async def _walk(reactor: Any, shown: Shown, asked: Asked, by_autotls: Mapping[str, object] | None) -> int:
    host = asked.open_host(reactor)
    try:
        if by_autotls is None:
            walk = _by_issuers(reactor, shown, asked, host)
        else:
            from nodetrust.command.check_autotls import walk_by_autotls  # noqa: PLC0415  # all that speaks HTTP

            walk = walk_by_autotls(reactor, shown, asked, host, by_autotls)
        try:
            await Deferred.fromCoroutine(walk.run()).addTimeout(WALK_SECONDS, reactor)
        except TimeoutError:
            late = f"the rest was not looked at, since all of it took more than {WALK_SECONDS:g} seconds"
            step = Step(Area.PEER, "time", Outcome.FAIL, late, "see what of the above is slow, and try again")
            walk.walked.steps.append(step)
            shown.tell(step)
    finally:
        await host.stop()
    status = exit_status(walk.walked)
    shown.end(walk.walked, host.peer_id, status)
    return status


def _by_issuers(reactor: Any, shown: Shown, asked: Asked, host: Host) -> Walking:
    subject = Subject(by_server(asked.issuers), read_stored(asked.state), asked.key_file, asked.wss)
    return Walk(reactor, host, asked.names(reactor), subject, shown)


def exit_status(walked: Walked) -> int:
    """That of the failure which is to be mended first."""
    failed = {step.area for step in walked.steps if step.outcome is Outcome.FAIL}
    if not walked.served:
        return NO_ISSUER
    if walked.wants_proof and not walked.addresses:
        return NO_PROOFS
    for area, status in ((Area.DNS, DNS_WRONG), (Area.OUTSIDE, NOT_REACHABLE)):
        if area in failed:
            return status
    return FAILED if failed else 0


def _check_ip(nameserver: HostPort) -> None:
    try:
        ip_address(nameserver.host)
    except ValueError:
        raise click.BadParameter(
            f"expected an IP address and a port, got {nameserver}", param_hint="--nameserver"
        ) from None
