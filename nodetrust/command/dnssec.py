"""`nodetrust key dnssec [new]|show`."""

from __future__ import annotations

from pathlib import Path

import click

from nodetrust.dns.dnssec.keys import TEXT_SUFFIX, ZoneKey, create, load, public_text
from nodetrust.dns.records import Name, parse_name
from nodetrust.errors import NodetrustError
from nodetrust.names import check_zone

_NEW = "new"


class _NewUnlessSaid(click.Group):
    """`dnssec FILE --zone ZONE` is `dnssec new FILE --zone ZONE`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [_NEW, *args]
        return super().parse_args(ctx, args)


def _read_zone(ctx: click.Context, parameter: click.Parameter, value: str) -> Name:
    try:
        return parse_name(check_zone(value))
    except (NodetrustError, ValueError) as error:
        raise click.BadParameter(str(error)) from None


_file = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
_zone = click.option("--zone", callback=_read_zone, required=True, help="The zone that the key signs.")


@click.group(cls=_NewUnlessSaid)
def dnssec() -> None:
    """Make and show the keys of zones (DNSSEC).

    With them a DNS server signs its answers. Without a subcommand: new.
    """


@dnssec.command(_NEW)
@_file
@_zone
def new(file: Path, zone: Name) -> None:
    """Make a key and print its records.

    An ECDSA P-256 key in FILE, which must not exist yet; its records are DNSKEY and DS. Give FILE to the server as
    dnssec_key. When it answers with signatures, have the parent zone publish the DS record; parents that read CDS or
    CDNSKEY records find them by themselves. The records stand in FILE.txt, too.
    """
    try:
        made = create(file, zone)
    except NodetrustError as error:
        raise click.ClickException(str(error)) from None
    _show(made, zone)
    click.echo(f"{file} has the key, which nobody else may see; {file}{TEXT_SUFFIX} has these records.", err=True)


@dnssec.command()
@_file
@_zone
def show(file: Path, zone: Name) -> None:
    """Print the records of a key.

    Those are DNSKEY and DS; never the key itself.
    """
    try:
        found = load(file)
    except NodetrustError as error:
        raise click.ClickException(str(error)) from None
    _show(found, zone)


def _show(key: ZoneKey, zone: Name) -> None:
    click.echo(public_text(key, zone), nl=False)
