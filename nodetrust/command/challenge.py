"""`nodetrust challenge set|remove`: what the hooks of an ACME client of any make call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from nodetrust.challenges.errors import DnsServerError
from nodetrust.challenges.servers import DnsServers
from nodetrust.command.parameters import HOST_PORT, MULTIADDR
from nodetrust.command.run import run
from nodetrust.command.spinner import Spinner
from nodetrust.errors import NodetrustError
from nodetrust.keyfile import load
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import readable
from nodetrust.names import CHALLENGE_PREFIX, InvalidName, check_zone
from nodetrust.service import AGENT_VERSION, dial_options
from nodetrust.settings import HostPort

UNREACHABLE, REFUSED = 3, 5
"""Exit statuses; those of `nodetrust obtain`."""

REMOVE_SECONDS = 20.0
"""For servers to confirm that a value is gone: three times what reaching one may take."""

AS_A_HOOK = {"ignore_unknown_options": True, "help_option_names": ["--help"]}
"""No option has a short form: one value in 64 begins with a hyphen, and is no option."""

C = TypeVar("C", bound=Callable[..., Any])


class _NameType(click.ParamType[str]):
    """The name that a challenge is for, whether its hook was given that, a wildcard, or the TXT record's own name."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            name = check_zone(value.removeprefix("*."))
        except InvalidName as error:
            self.fail(str(error), param, ctx)
        return name.removeprefix(f"{CHALLENGE_PREFIX}.")


def _hook(command: C) -> C:
    """What both hooks are told."""
    for decorate in (
        click.option("--verbose", is_flag=True, help="Log what happens to stderr."),
        click.option("--nameserver", type=HOST_PORT, help="A DNS server to ask in place of the system's."),
        click.option(
            "--peer-key",
            envvar="NODETRUST_PEER_KEY",
            required=True,
            show_envvar=True,
            type=click.Path(path_type=Path, dir_okay=False),
            help="The file with the key of an admin of these servers; `nodetrust key new` makes one.",
        ),
        click.option(
            "--dns-server",
            "servers",
            envvar="NODETRUST_DNS_SERVERS",
            required=True,
            show_envvar=True,
            multiple=True,
            type=MULTIADDR,
            help="An address of a DNS server, with its /p2p peer ID; give it once more for each of them, for the CA may"
            " ask any.",
        ),
        click.argument("value"),
        click.argument("name", type=_NameType()),
    ):
        command = decorate(command)
    return command


@click.group()
def challenge() -> None:
    """Set and remove ACME challenges of your own.

    For certificates that an ACME client of another make, such as certbot or lego, orders for names of the zone: its
    hooks for dns-01 call this. The DNS servers must have the peer ID of --peer-key among their `admins` and, unless it
    spells an address or a peer ID, the name among their `challenge_names`.
    """


@challenge.command("set", context_settings=AS_A_HOOK)
@_hook
def set_challenge(*, name: str, value: str, **asked: Any) -> None:
    """Have every DNS server answer with a value.

    VALUE is what the CA looks for in the TXT record of _acme-challenge.NAME; that prefix may stand in front of NAME,
    and so may a wildcard's. Returns when every server answers with it; one that cannot be reached is waited for up to a
    minute. They forget it by themselves within the hour.

    Exit status: 0 done, 2 a wrong option, 3 a DNS server cannot be reached, 5 one has refused, 130 Ctrl-C or SIGTERM,
    1 anything else.
    """

    async def publish(servers: DnsServers) -> None:
        await servers.publish([(name, value)])

    _tell(publish, f"setting the challenge of {name}", **asked)


@challenge.command(context_settings=AS_A_HOOK)
@_hook
def remove(*, name: str, value: str, **asked: Any) -> None:
    """Have every DNS server forget a value.

    Other values of NAME stay. What is not there is removed, too.

    Exit status: 0 done, 2 a wrong option, 3 a DNS server cannot be reached, 5 one has refused, 130 Ctrl-C or SIGTERM,
    1 anything else.
    """
    values = [(name, value)]

    async def withdraw(servers: DnsServers) -> None:
        await servers.withdraw(values, REMOVE_SECONDS)
        if servers.owes(values):
            troubles = [server.trouble for server in servers.states if server.trouble]
            raise DnsServerError("; ".join(troubles) or "the DNS servers are too slow")

    _tell(withdraw, f"removing the challenge of {name}", **asked)


def _tell(
    what: Callable[[DnsServers], Any],
    doing: str,
    *,
    servers: tuple[Multiaddr, ...],
    peer_key: Path,
    nameserver: HostPort | None,
    verbose: bool,
) -> None:
    """Connect as the admin, do it, and end the process."""
    key = _load(peer_key)
    console = Console(stderr=True, highlight=False)
    spinner = Spinner(console)

    async def work(reactor: Any) -> int:
        host = Host(reactor, key, agent_version=AGENT_VERSION, **dial_options(reactor, nameserver, None))
        told = DnsServers(reactor, host, servers)
        try:
            with spinner:
                spinner.say(doing)
                await what(told)
        except DnsServerError as error:
            console.print(readable(str(error)), style="red", markup=False, soft_wrap=True)
            return REFUSED if all(one.answers for one in told.states) else UNREACHABLE
        finally:
            await told.stop()
            await host.stop()
        return 0

    run(work, verbose=verbose)


def _load(file: Path) -> PrivateKey:
    try:
        return load(file)
    except (NodetrustError, Libp2pError) as error:
        raise click.BadParameter(str(error), param_hint="--peer-key") from None
