"""`nodetrust check`: why a peer has no certificate, or cannot be dialled."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import click
from twisted.internet.defer import Deferred, TimeoutError

from nodetrust.client.diagnosis.names import Names
from nodetrust.client.diagnosis.steps import Area, Outcome, Step
from nodetrust.client.diagnosis.stored import read_stored
from nodetrust.client.diagnosis.walk import Subject, Walk
from nodetrust.client.diagnosis.walked import Walked
from nodetrust.client.issuers import by_server
from nodetrust.client.lookup.resolver import DNS_PORT, Resolver, system_resolvers
from nodetrust.client.settings import STATE_FOLDER
from nodetrust.command.check_shown import Shown, shown_as
from nodetrust.command.parameters import HOST_PORT, MULTIADDR
from nodetrust.command.run import run
from nodetrust.errors import NodetrustError
from nodetrust.keyfile import load
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.service import AGENT_VERSION, KEY_FILE, dial_options
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
@click.option("--nameserver", type=HOST_PORT, help="A DNS server to ask in place of the system's.")
@click.option(
    "--dns-port",
    type=click.IntRange(1, 65535),
    default=DNS_PORT,
    show_default=True,
    help="Where the zone's name servers answer, for tests.",
)
@click.option(
    "--trust-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A PEM file with further roots to trust when dialling WSS, for tests and private CAs.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document at the end, and nothing else.")
@click.option("-v", "--verbose", is_flag=True, help="Log what happens to stderr.")
def check(
    issuers: tuple[Multiaddr, ...],
    more_issuers: tuple[Multiaddr, ...],
    nameserver: HostPort | None,
    as_json: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Find out why a peer has no certificate, or cannot be dialled.

    Walks the whole path that its certificate depends on: the issue servers, the proof servers that they name, the DNS
    for its names, the CAA records that say which CA may sign, the certificate in its folder, and its WSS address as
    seen from outside. Says for each step whether it is well, or what is wrong and what to do. Takes no more than a
    minute and changes nothing.

    On a terminal the steps are shown as they go; else each is a line that begins with ok, warn, FAIL or skip. The
    document of --json has `status` (the exit status), `peer`, `zones`, `addresses` (the proven ones) and `steps`, each
    with `area` (peer, issuer, proofs, dns, caa, certificate, outside), `title`, `outcome` (ok, warn, fail, skip),
    `found`, `advice` and `facts`.

    Exit status: 0 nothing has failed, 2 a wrong option, 3 no issue server gives information, 4 no address is proven, 6
    the DNS is wrong, 7 not reachable from outside, 1 something else has failed; of several, the first on the path.
    """
    addresses = (*issuers, *more_issuers)
    if not addresses:
        raise click.UsageError("Missing argument 'ISSUER': an address of an issue server.")
    if nameserver is not None:
        _check_ip(nameserver)
    shown = shown_as(as_json)

    async def work(reactor: Any) -> int:
        try:
            with shown:
                return await _walk(reactor, shown, addresses, nameserver, **options)
        except NodetrustError as error:
            shown.fail(str(error))
            return WRONG_OPTION if isinstance(error, SettingsError) else FAILED

    run(work, verbose=verbose)


async def _walk(
    reactor: Any,
    shown: Shown,
    addresses: tuple[Multiaddr, ...],
    nameserver: HostPort | None,
    *,
    state: Path,
    wss: tuple[HostPort, ...],
    dns_port: int,
    trust_file: Path | None,
) -> int:
    key_file = state / KEY_FILE
    known = key_file.exists()
    identity = load(key_file) if known else PrivateKey.generate()
    subject = Subject(by_server(addresses), read_stored(state), key_file if known else None, wss)
    resolver = Resolver(reactor, system_resolvers() if nameserver is None else (nameserver,))
    host = Host(reactor, identity, agent_version=AGENT_VERSION, **dial_options(reactor, nameserver, trust_file))
    walk = Walk(reactor, host, Names(reactor, resolver, dns_port), subject, shown)
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


def exit_status(walked: Walked) -> int:
    """The first failure on the path."""
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
