"""`nodetrust ca show|contact|rollover|revoke|deactivate`: the issue server's accounts at its CAs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from rich.console import Console

from nodetrust.acme import AcmeAlreadyRevoked, AcmeClient, AcmeError, Deadline, persist_value
from nodetrust.command.run import run
from nodetrust.errors import NodetrustError
from nodetrust.issue.authorities.account import load_account, open_client
from nodetrust.issue.authorities.rollover import roll_over
from nodetrust.issue.settings import CaSettings, IssueSettings
from nodetrust.settings import SettingsError, build, read_file
from nodetrust.store import Store, StoredAccount

CA_SECONDS = 60.0
"""For all that one command asks of a CA."""

REASONS = {
    "unspecified": 0,
    "key-compromise": 1,
    "affiliation-changed": 3,
    "superseded": 4,
    "cessation-of-operation": 5,
}
"""Those of RFC 5280 §5.3.1 that CAs take from subscribers."""


class _Place:
    """One CA, our account there, and where it is kept."""

    def __init__(self, settings: CaSettings, client: AcmeClient, account: StoredAccount, store: Store) -> None:
        self.settings = settings
        self.client = client
        self.account = account
        self.store = store

    @property
    def deadline(self) -> Deadline:
        """For a command that begins now."""
        return Deadline(self.client.clock, CA_SECONDS)


_Work = Callable[[_Place], Awaitable[None]]


def _at_a_ca(command: Callable[..., None]) -> Callable[..., None]:
    for decorate in (
        click.option(
            "--config",
            "-c",
            required=True,
            type=click.Path(path_type=Path, dir_okay=False),
            help="The TOML file of the issue server.",
        ),
        click.option("--directory", help="Which of its CAs, by its ACME directory.  [default: the first]"),
    ):
        command = decorate(command)
    return command


@click.group()
def ca() -> None:
    """See and change the issue server's accounts at its CAs.

    All but show and revoke want the issue server stopped: it holds the account's key, too.

    Exit status: 0 done, 2 a wrong option, 130 Ctrl-C or SIGTERM, 141 nobody reads the output any more, 1 anything else.
    """


@ca.command()
@_at_a_ca
def show(config: Path, directory: str | None) -> None:
    """Show a CA and our account there.

    What it offers, and the values for the DNS servers' `caa` and `persist` that let this account alone order.
    """

    async def work(place: _Place) -> None:
        offered = await place.client.directory(place.deadline)
        account_url = await place.client.find_account(place.deadline)
        _say("directory", place.settings.directory)
        _say("terms of service", offered.terms_of_service or "none")
        _say("profiles", ", ".join(offered.profiles) or "none")
        _say("renewal information", "yes" if offered.renewal_info else "no")
        _say("external account", "required" if offered.external_account_required else "not required")
        if account_url is None:
            _say("account", "none yet: it is made with the first order")
            return
        account = await place.client.account(place.deadline)
        _say("account", f"{account_url} ({account.status})")
        _say("contact", ", ".join(account.contact) or "none")
        for issuer in offered.caa_identities:
            _say("caa", f"{issuer}; accounturi={account_url}")
            _say("persist", persist_value(issuer, account_url))

    _run(work, config, directory)


@ca.command()
@_at_a_ca
@click.argument("addresses", nargs=-1)
def contact(config: Path, directory: str | None, addresses: tuple[str, ...]) -> None:
    """Tell the CA other e-mail ADDRESSES.

    None at all takes them away. Put the same into the configuration, as `contact`.
    """

    async def work(place: _Place) -> None:
        account = await place.client.update_contact([f"mailto:{one}" for one in addresses], place.deadline)
        _say("contact", ", ".join(account.contact) or "none")

    _run(work, config, directory)


@ca.command()
@_at_a_ca
def rollover(config: Path, directory: str | None) -> None:
    """Give the account a new key.

    For a key that may have been seen by others. After a failure run it again: it goes on where it was.
    """

    async def work(place: _Place) -> None:
        await _alone(place)
        await roll_over(place.client, place.store, place.account, place.deadline)
        click.echo("the account has a new key; the CA no longer knows the old one")

    _run(work, config, directory)


@ca.command()
@_at_a_ca
@click.option(
    "--reason",
    type=click.Choice(list(REASONS)),
    default="unspecified",
    show_default=True,
    help="What the CA publishes.",
)
@click.argument("certificate", type=click.Path(path_type=Path, dir_okay=False, exists=True))
def revoke(config: Path, directory: str | None, reason: str, certificate: Path) -> None:
    """Revoke a CERTIFICATE (a PEM file) that this account has ordered.

    Only the first one in the file. The issue server gives its peer another one, when it asks next.
    """

    async def work(place: _Place) -> None:
        content = certificate.read_bytes()
        said = "revoked"
        try:
            await place.client.revoke(content, place.deadline, reason=REASONS[reason])
        except AcmeAlreadyRevoked:
            said = "it was revoked before"
        as_saved = load_pem_x509_certificate(content).public_bytes(Encoding.PEM)
        await place.store.save_revocation(as_saved, datetime.now(UTC))
        click.echo(said)

    _run(work, config, directory)


@ca.command()
@_at_a_ca
@click.confirmation_option(prompt="End this account for good?")
def deactivate(config: Path, directory: str | None) -> None:
    """End the account at the CA for good.

    Its certificates stay valid. The next order makes another account, which CAA records and `persist` must then name.
    """

    async def work(place: _Place) -> None:
        await _alone(place)
        await place.client.deactivate(place.deadline)
        await place.store.forget_account(place.settings.directory)
        click.echo("the account has ended")

    _run(work, config, directory)


def _say(name: str, value: str) -> None:
    click.echo(f"{name:20} {value}")


async def _alone(place: _Place) -> None:
    if await place.store.living_servers(datetime.now(UTC)):
        raise SettingsError("an issue server is running with this store: stop it, wait half a minute, and try again")


def _run(work: _Work, config: Path, directory: str | None) -> None:
    settings = _read(config)
    which = next((ca for ca in settings.cas if directory in (None, ca.directory)), None)
    if which is None:
        raise click.BadParameter("the configuration has no such CA", param_hint="--directory")
    chosen = which

    async def main(reactor: Any) -> int:
        console = Console(stderr=True)
        try:
            await _with(reactor, settings, chosen, work)
        except BrokenPipeError:
            raise
        except (NodetrustError, AcmeError, OSError) as error:
            console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
            return 1
        return 0

    run(main, verbose=False)


async def _with(reactor: Any, settings: IssueSettings, chosen: CaSettings, work: _Work) -> None:
    store = await Store.open(reactor, settings.store_url)
    try:
        account = await load_account(store, chosen.directory)
        client = open_client(reactor, settings, chosen, account)
        try:
            await work(_Place(chosen, client, account, store))
        finally:
            await client.close()
    finally:
        await store.close()


def _read(config: Path) -> IssueSettings:
    try:
        return build(IssueSettings, read_file(IssueSettings, config))
    except NodetrustError as error:
        raise click.ClickException(str(error)) from None
