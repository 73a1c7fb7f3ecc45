"""`nodetrust obtain`: a certificate into a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import click

from nodetrust.certificates import CRYPTO_NAMES
from nodetrust.client.errors import IssuerUnreachable, NoIssuer, NoProofs, Refused
from nodetrust.client.obtain import Obtained
from nodetrust.command.obtain_asked import Asked
from nodetrust.command.obtain_issuer import obtain_by_issuer
from nodetrust.command.obtain_shown import Shown
from nodetrust.command.options import AUTOTLS_KEYS, autotls_options, dial_options
from nodetrust.command.parameters import MULTIADDR
from nodetrust.command.run import run
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.names import NameChoice
from nodetrust.service import KEY_FILE
from nodetrust.settings import SettingsError

STATUSES: dict[type[Exception], int] = {SettingsError: 2, IssuerUnreachable: 3, NoProofs: 4, Refused: 5}
"""Exit statuses; 1 is any other failure, 2 a wrong option."""


@click.command()
@click.option(
    "--issuer",
    "issuers",
    type=MULTIADDR,
    multiple=True,
    help="An address of an issue server, with its /p2p peer ID; may be given several times. Of several servers, the "
    "first is asked first, and the next where it fails.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="The folder for the certificate."
)
@click.option(
    "--peer-key",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"The file with the peer's key; made if it is not there. [default: {KEY_FILE} in the folder of --out]",
)
@click.option(
    "--crypto",
    type=click.Choice(list(CRYPTO_NAMES)),
    default="ecdsa-p256",
    show_default=True,
    help="The key's algorithm.",
)
@click.option("--new-key", is_flag=True, help="Make a new key even if the folder has one.")
@click.option(
    "--names",
    type=click.Choice(get_args(NameChoice)),
    default="addresses",
    show_default=True,
    help="Names of the proven addresses, of the peer and everything below it, or both; the issue server says which it "
    "gives.",
)
@dial_options
@click.option("--autotls", is_flag=True, help="Order the certificate by AutoTLS, in place of asking an issue server.")
@autotls_options
@click.option(
    "--listen",
    multiple=True,
    default=("/ip4/0.0.0.0/tcp/0",),
    show_default=True,
    help="With --autotls: a multiaddr at which the broker finds this machine. A router is asked to forward the port.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON about the certificate.")
@click.option("-v", "--verbose", is_flag=True, help="Log what happens to stderr.")
def obtain(
    *,
    issuers: tuple[Multiaddr, ...],
    names: NameChoice,
    autotls: bool,
    as_json: bool,
    verbose: bool,
    listen: tuple[str, ...],
    **options: Any,
) -> None:
    """Obtain a certificate into a folder.

    It is for the addresses under which the proof servers see this machine; with --autotls for *.PEER.DOMAIN, where a
    broker must be able to connect to this machine while the command runs. Writes cert.pem, chain.pem, fullchain.pem,
    key.pem and combined.pem, which is both (mode 0600), addresses.txt, and renew-at.txt with the time to run this
    again, by the issue server's or CA's word. With the key of an earlier run it hands out the same certificate until
    that is due.

    What goes on is shown on a terminal alone; errors go to stderr. The line of --json has `folder`, `names`,
    `addresses` (the proven ones), `not_after`, `renew_at` (null if the issue server has not said it), `from_cache`
    (whether the certificate was there already) and `issuer` (the peer ID of the issue server that gave it, or the
    broker's URL); times are ISO 8601.

    Exit status: 0 done, 2 a wrong option, 3 the issue server or broker is out of reach, 4 no proof server gave a proof
    or no public address is known, 5 the issue server, broker or CA refused, 130 Ctrl-C or SIGTERM, 141 nobody reads
    the output any more, 1 anything else; of several servers, that of the one that came furthest.
    """
    shown = Shown()
    by_autotls = {"listen": listen, **{key: options.pop(key) for key in AUTOTLS_KEYS}}
    asked = Asked(**options)

    async def ask(reactor: Any) -> tuple[str, Obtained]:
        if autotls and issuers:
            raise SettingsError("expected --issuer or --autotls, not both: `twistd nodetrust-client` takes both")
        if autotls:
            from nodetrust.command.obtain_autotls import obtain_by_autotls  # noqa: PLC0415  # all that speaks HTTP

            return await obtain_by_autotls(reactor, shown, asked, by_autotls)
        if not issuers:
            raise SettingsError("expected --issuer, or --autotls")
        return await obtain_by_issuer(reactor, shown, asked, issuers, names)

    async def work(reactor: Any) -> int:
        try:
            with shown.spinner:
                issuer, obtained = await ask(reactor)
        except (NodetrustError, Libp2pError) as error:
            shown.fail(error)
            return status_of(error)
        shown.done(asked.out, obtained)
        if as_json:
            click.echo(json.dumps(describe(asked.out, issuer, obtained)))
        return 0

    run(work, verbose=verbose)


def status_of(error: Exception) -> int:
    """The exit status for what went wrong; the statuses grow with the way to the certificate."""
    if isinstance(error, NoIssuer):
        return max(map(status_of, error.reasons))
    return next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 1)


def describe(folder: Path, issuer: str, obtained: Obtained) -> dict[str, Any]:
    """The certificate, for other programs."""
    return {
        "folder": str(folder),
        "names": sorted(obtained.chain.names),
        "addresses": list(map(str, obtained.addresses)),
        "not_after": obtained.chain.not_after.isoformat(),
        "renew_at": None if obtained.renew_at is None else obtained.renew_at.isoformat(),
        "from_cache": obtained.from_cache,
        "issuer": issuer,
    }
