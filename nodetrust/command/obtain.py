"""`nodetrust obtain`: a certificate into a folder."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, get_args

import click

from nodetrust.certificates import CRYPTO_NAMES, CertificateKey, CryptoName, key_crypto, make_key
from nodetrust.client.errors import IssuerUnreachable, NoIssuer, NoProofs, Refused
from nodetrust.client.files import load_key, make_folder, save
from nodetrust.client.issuers import Issuer, Issuers
from nodetrust.client.obtain import Obtained
from nodetrust.client.obtain import obtain as obtain_certificate
from nodetrust.command.obtain_shown import Shown
from nodetrust.command.parameters import HOST_PORT, MULTIADDR
from nodetrust.command.run import run
from nodetrust.errors import NodetrustError
from nodetrust.keyfile import load_or_create
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.names import NameChoice
from nodetrust.service import AGENT_VERSION, KEY_FILE, dial_options
from nodetrust.settings import HostPort, SettingsError

STATUSES: dict[type[Exception], int] = {SettingsError: 2, IssuerUnreachable: 3, NoProofs: 4, Refused: 5}
"""Exit statuses; 1 is any other failure, 2 a wrong option."""


@click.command()
@click.option(
    "--issuer",
    "issuers",
    type=MULTIADDR,
    multiple=True,
    required=True,
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
@click.option("--nameserver", type=HOST_PORT, help="A DNS server to ask in place of the system's.")
@click.option(
    "--trust-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A PEM file with further roots to trust when dialling WSS, for tests and private CAs.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON about the certificate.")
@click.option("-v", "--verbose", is_flag=True, help="Log what happens to stderr.")
def obtain(out: Path, as_json: bool, verbose: bool, **options: Any) -> None:
    """Obtain a certificate into a folder.

    It is for the addresses under which the proof servers see this machine. Writes cert.pem, chain.pem, fullchain.pem
    and key.pem (mode 0600), addresses.txt, and renew-at.txt with the time to run this again, by the issue server's
    word. With the key of an earlier run it hands out the same certificate until that is due.

    What goes on is shown on a terminal alone; errors go to stderr. The line of --json has `folder`, `names`,
    `addresses` (the proven ones), `not_after`, `renew_at` (null if the issue server has not said it), `from_cache`
    (whether the issue server had the certificate already) and `issuer` (the peer ID of the one that gave it); times
    are ISO 8601.

    Exit status: 0 done, 2 a wrong option, 3 the issue server is out of reach, 4 no proof server gave a proof, 5 the
    issue server refused, 1 anything else; of several issue servers, that of the one that came furthest.
    """
    shown = Shown()

    async def work(reactor: Any) -> int:
        try:
            with shown.spinner:
                issuer, obtained = await _obtain(reactor, shown, out, **options)
        except (NodetrustError, Libp2pError) as error:
            shown.fail(error)
            return status_of(error)
        shown.done(out, obtained)
        if as_json:
            click.echo(json.dumps(describe(out, issuer, obtained)))
        return 0

    run(work, verbose=verbose)


def status_of(error: Exception) -> int:
    """The exit status for what went wrong; the statuses grow with the way to the certificate."""
    if isinstance(error, NoIssuer):
        return max(map(status_of, error.reasons))
    return next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 1)


def describe(folder: Path, issuer: Issuer, obtained: Obtained) -> dict[str, Any]:
    """The certificate, for other programs."""
    return {
        "folder": str(folder),
        "names": sorted(obtained.chain.names),
        "addresses": list(map(str, obtained.addresses)),
        "not_after": obtained.chain.not_after.isoformat(),
        "renew_at": None if obtained.renew_at is None else obtained.renew_at.isoformat(),
        "from_cache": obtained.from_cache,
        "issuer": str(issuer[0].peer_id),
    }


async def _obtain(
    reactor: Any,
    shown: Shown,
    out: Path,
    *,
    issuers: tuple[Multiaddr, ...],
    peer_key: Path | None,
    crypto: CryptoName,
    new_key: bool,
    names: NameChoice,
    nameserver: HostPort | None,
    trust_file: Path | None,
) -> tuple[Issuer, Obtained]:
    dialling = dial_options(reactor, nameserver, trust_file)
    make_folder(out)
    identity = load_or_create(peer_key or out / KEY_FILE)
    key = _certificate_key(out, CRYPTO_NAMES[crypto], new_key=new_key)
    host = Host(reactor, identity, agent_version=AGENT_VERSION, **dialling)

    async def ask(issuer: Issuer) -> tuple[Issuer, Obtained]:
        shown.step(f"asking the issue server {issuer[0].peer_id}")
        obtained = await obtain_certificate(
            host, issuer, key, CRYPTO_NAMES[crypto], clock=reactor, names=names, progress=shown.step
        )
        return issuer, obtained

    try:
        issuer, obtained = await Issuers(issuers, time.monotonic).first(ask)
    finally:
        await host.stop()
    save(out, obtained)
    return issuer, obtained


def _certificate_key(out: Path, crypto: int, *, new_key: bool) -> CertificateKey:
    key = None if new_key else load_key(out)
    return key if key is not None and key_crypto(key) == crypto else make_key(crypto)
