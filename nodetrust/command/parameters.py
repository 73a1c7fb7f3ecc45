"""Kinds of values that several subcommands take."""

from __future__ import annotations

from typing import Any

import click

from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.names import InvalidName, check_zone
from nodetrust.settings import HostPort


class _MultiaddrType(click.ParamType[Multiaddr]):
    name = "multiaddr"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Multiaddr:
        try:
            address = Multiaddr.parse(value)
        except Libp2pError as error:
            self.fail(str(error), param, ctx)
        if address.peer_id is None:
            self.fail(f"{value} does not end in /p2p/PEER-ID", param, ctx)
        return address


class _HostPortType(click.ParamType[HostPort]):
    name = "host:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> HostPort:
        try:
            return HostPort.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _ZoneType(click.ParamType[str]):
    name = "zone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return check_zone(value)
        except InvalidName as error:
            self.fail(str(error), param, ctx)


MULTIADDR = _MultiaddrType()
"""With its /p2p."""

HOST_PORT = _HostPortType()

ZONE = _ZoneType()
"""In lower case and without a final dot."""
