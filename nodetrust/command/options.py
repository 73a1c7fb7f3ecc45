"""Options that several subcommands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from nodetrust.client.settings import LIBP2P_DIRECT
from nodetrust.command.parameters import HOST_PORT, ZONE
from nodetrust.ordering import LETS_ENCRYPT

C = TypeVar("C", bound=Callable[..., Any])

AUTOTLS_KEYS = ("broker", "domain", "acme_directory", "forge_token", "announce", "allow_private")
"""Settings of the client that `autotls_options` adds."""


def dial_options(command: C) -> C:
    """How names are found, and whom TLS trusts."""
    for option in (
        click.option(
            "--trust-file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="A PEM file with further roots to trust in TLS, for tests and private CAs.",
        ),
        click.option("--nameserver", type=HOST_PORT, help="A DNS server to ask in place of the system's."),
    ):
        command = option(command)
    return command


def autotls_options(command: C) -> C:
    """Which broker and CA, and where this machine is."""
    for option in (
        click.option(
            "--allow-private",
            is_flag=True,
            help="With --autotls: private addresses will do, as for your own broker.",
        ),
        click.option(
            "--announce",
            multiple=True,
            help="With --autotls: a multiaddr under which others reach this machine, where it does not know it itself.",
        ),
        click.option(
            "--forge-token", envvar="FORGE_ACCESS_TOKEN", default="", help="With --autotls: the broker's access token."
        ),
        click.option(
            "--acme-directory",
            default=LETS_ENCRYPT,
            show_default=True,
            help="With --autotls: the CA, whose terms of service you agree to where you order.",
        ),
        click.option(
            "--domain", type=ZONE, default=LIBP2P_DIRECT, show_default=True, help="With --autotls: where the names are."
        ),
        click.option(
            "--broker",
            multiple=True,
            help="With --autotls: the URL of a broker; of several, the next is asked where one fails. "
            "[default: https://registration.DOMAIN]",
        ),
    ):
        command = option(command)
    return command
