"""`nodetrust name`: from an address or a peer ID to its name, and back."""

from __future__ import annotations

from ipaddress import ip_address

import click

from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.names import (
    InvalidName,
    address_from_label,
    check_zone,
    name_for_address,
    name_for_peer,
    peer_from_label,
)


@click.command()
@click.argument("what", metavar="ADDRESS-OR-PEER-OR-LABEL")
@click.option(
    "--zone", metavar="NAME", required=True, help="The zone in which names are given, such as ip.example.org."
)
def name(what: str, zone: str) -> None:
    """Turn addresses and peers into names, and back.

    Shows the name of an IP address or a peer ID, or what a label or a whole name stands for.
    """
    try:
        click.echo(translate(what, check_zone(zone)))
    except InvalidName as error:
        raise click.ClickException(str(error)) from None


def translate(what: str, zone: str) -> str:
    """The name of an address or a peer in `zone`, or the address or peer that a label or name spells.

    Raises `click.ClickException` for what is neither, and `InvalidName` for a name too long.
    """
    try:
        return name_for_address(ip_address(what), zone)
    except ValueError:
        pass  # not an address: it may be a peer or a label
    try:
        return name_for_peer(PeerId.parse(what), zone)
    except Libp2pError:
        pass  # not a peer ID: it may be a label
    label, _, rest = what.removesuffix(".").partition(".")
    if rest and rest.lower() != zone and not rest.lower().endswith(f".{zone}"):
        raise click.ClickException(f"{what} is not in the zone {zone}")
    found = address_from_label(label) or peer_from_label(label)
    if found is None:
        raise click.ClickException(f"{what} is no IP address, no peer ID, and no label that spells one")
    return str(found)
