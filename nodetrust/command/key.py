"""`nodetrust key new|show|rotate|dnssec`."""

from __future__ import annotations

from pathlib import Path

import click

from nodetrust.command.dnssec import dnssec
from nodetrust.command.rotate import rotate
from nodetrust.errors import NodetrustError
from nodetrust.keyfile import load, load_or_create
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.keys import KeyType, PrivateKey
from nodetrust.names import label_for_peer

TYPES = {"ed25519": KeyType.ED25519, "secp256k1": KeyType.SECP256K1, "ecdsa": KeyType.ECDSA, "rsa": KeyType.RSA}


@click.group()
def key() -> None:
    """Make, change and show keys of peers and zones.

    The private keys of libp2p peers, and with dnssec those with which a zone is signed. A peer's key file holds the
    base64 of a libp2p PrivateKey, as Kubo's configuration does. The servers make theirs by themselves, as peer.key in
    their state folder; rotate gives a proof server another one for its proofs.
    """


key.add_command(dnssec)
key.add_command(rotate)


@key.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--type", "kind", type=click.Choice(list(TYPES)), default="ed25519", show_default=True, help="The kind of key."
)
def new(file: Path, kind: str) -> None:
    """Make a key and show its peer ID.

    FILE must not exist yet: no key is ever overwritten.
    """
    if file.exists():
        raise click.ClickException(f"{file}: exists already; a key is never overwritten")
    try:
        made = load_or_create(file, TYPES[kind])
    except (NodetrustError, OSError) as error:
        raise click.ClickException(str(error)) from None
    _show(made)


@key.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def show(file: Path) -> None:
    """Show the peer ID of a key.

    In all its forms; never the key itself.
    """
    try:
        found = load(file)
    except (NodetrustError, Libp2pError) as error:
        raise click.ClickException(str(error)) from None
    _show(found)


def _show(private: PrivateKey) -> None:
    peer = private.peer_id
    click.echo(f"peer ID  {peer}")
    click.echo(f"CID      {peer.to_cid_base36()}")
    click.echo(f"label    {label_for_peer(peer)}")
    click.echo(f"type     {private.public_key.type.name.lower()}")
