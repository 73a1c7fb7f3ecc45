"""The subcommands of `nodetrust`."""

from __future__ import annotations

import click

from nodetrust import __version__
from nodetrust.command.ca import ca
from nodetrust.command.challenge import challenge
from nodetrust.command.check import check
from nodetrust.command.demo import demo
from nodetrust.command.key import key
from nodetrust.command.name import name
from nodetrust.command.obtain import obtain
from nodetrust.command.peers import peers
from nodetrust.command.zone import zone


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Names and browser-trusted certificates for libp2p nodes that prove their address.

    The servers, and the client that keeps its certificate fresh, are run by twistd: see `twistd nodetrust-dns --help`,
    and likewise nodetrust-proof, nodetrust-issue, nodetrust-autotls and nodetrust-client.
    """


for subcommand in (demo, obtain, check, peers, ca, challenge, key, name, zone):
    main.add_command(subcommand)
