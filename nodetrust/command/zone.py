"""`nodetrust zone check|export`: what a DNS server makes of its zone file, without starting it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from nodetrust.dns.authority import read_zone
from nodetrust.dns.records import parse_name
from nodetrust.dns.settings import DnsSettings
from nodetrust.dns.zone.zone import Zone
from nodetrust.dns.zone.zonefile import load_zone, zone_to_text
from nodetrust.errors import NodetrustError
from nodetrust.names import check_zone
from nodetrust.settings import build, read_file


@click.group()
def zone() -> None:
    """Check and show a DNS server's zone file.

    The names that spell addresses and peer IDs are not among them: the server makes those up as they are asked for.
    """


def _which_zone(command: Callable[..., None]) -> Callable[..., None]:
    """The two ways to say which zone is meant: the server's own configuration, or a file and a name."""
    path = click.Path(path_type=Path, dir_okay=False)
    for decorate in (
        click.argument("file", type=path, required=False),
        click.option("--zone", "name", help="The zone's name; with FILE."),
        click.option("--config", "-c", type=path, help="The TOML file of the DNS server, in place of FILE and --zone."),
    ):
        command = decorate(command)
    return command


@zone.command()
@_which_zone
def check(file: Path | None, name: str | None, config: Path | None) -> None:
    """Check that a DNS server would take it.

    At its start or at SIGHUP; else say which line it would refuse.
    """
    found = _read(file, name, config)
    click.echo(f"serial {found.serial}, {len(found.nodes)} names")


@zone.command()
@_which_zone
def export(file: Path | None, name: str | None, config: Path | None) -> None:
    """Print all its records, one a line.

    As a plain zone file, for other name servers and checking tools.
    """
    click.echo(zone_to_text(_read(file, name, config)), nl=False)


def _read(file: Path | None, name: str | None, config: Path | None) -> Zone:
    try:
        if config is not None and file is None and name is None:
            values: dict[str, Any] = read_file(DnsSettings, config)
            return read_zone(build(DnsSettings, values))
        if config is None and file is not None and name is not None:
            return load_zone(file, parse_name(check_zone(name)))
    except NodetrustError as error:
        raise click.ClickException(str(error)) from None
    raise click.UsageError("give either FILE and --zone, or --config")
