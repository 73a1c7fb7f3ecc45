"""`nodetrust obtain`: a certificate into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click
from rich.console import Console

from nodetrust.certificates import CRYPTO_NAMES, CertificateKey, CryptoName, key_crypto, make_key
from nodetrust.client.errors import IssuerUnreachable, NoProofs, Refused
from nodetrust.client.files import load_key, make_folder, save
from nodetrust.client.obtain import Obtained
from nodetrust.client.obtain import obtain as obtain_certificate
from nodetrust.command.parameters import HOST_PORT, MULTIADDR
from nodetrust.command.run import run
from nodetrust.errors import NodetrustError
from nodetrust.keyfile import load_or_create
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.names import NameChoice
from nodetrust.service import AGENT_VERSION, KEY_FILE, dial_options
from nodetrust.settings import HostPort

STATUSES: dict[type[NodetrustError], int] = {IssuerUnreachable: 3, NoProofs: 4, Refused: 5}
"""Exit statuses; 1 is any other failure, 2 a wrong option."""


@click.command()
@click.option(
    "--issuer",
    "issuers",
    type=MULTIADDR,
    multiple=True,
    required=True,
    help="An address of the issue server, with its /p2p peer ID; may be given several times.",
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
@click.option("-v", "--verbose", is_flag=True, help="Log what happens to stderr.")
def obtain(out: Path, verbose: bool, **options: Any) -> None:
    """Obtain a certificate into a folder.

    It is for the addresses under which the proof servers see this machine. Writes cert.pem, chain.pem, fullchain.pem
    and key.pem (mode 0600), addresses.txt, and renew-at.txt with the time to run this again, by the issue server's
    word. With the key of an earlier run it hands out the same certificate until that is due.

    Exit status: 0 done, 2 a wrong option, 3 the issue server is out of reach, 4 no proof server gave a proof, 5 the
    issue server refused, 1 anything else.
    """
    console = Console(stderr=True)

    async def work(reactor: Any) -> int:
        try:
            obtained = await _obtain(reactor, console, out, **options)
        except (NodetrustError, Libp2pError) as error:
            console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
            return next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 1)
        until = obtained.chain.not_after.strftime("%Y-%m-%d %H:%M UTC")
        known = ", which the issue server had already" if obtained.from_cache else ""
        done = f"certificate in {out}, good until {until}{known}"
        console.print(done, style="green", markup=False, highlight=False, soft_wrap=True)
        return 0

    run(work, verbose=verbose)


async def _obtain(
    reactor: Any,
    console: Console,
    out: Path,
    *,
    issuers: tuple[Multiaddr, ...],
    peer_key: Path | None,
    crypto: CryptoName,
    new_key: bool,
    names: NameChoice,
    nameserver: HostPort | None,
) -> Obtained:
    make_folder(out)
    identity = load_or_create(peer_key or out / KEY_FILE)
    key = _certificate_key(out, CRYPTO_NAMES[crypto], new_key=new_key)
    host = Host(reactor, identity, agent_version=AGENT_VERSION, **dial_options(reactor, nameserver, None))
    try:
        obtained = await obtain_certificate(
            host,
            issuers,
            key,
            CRYPTO_NAMES[crypto],
            clock=reactor,
            names=names,
            progress=lambda step: console.print(step, markup=False, highlight=False, soft_wrap=True),
        )
    finally:
        await host.stop()
    save(out, obtained)
    return obtained


def _certificate_key(out: Path, crypto: int, *, new_key: bool) -> CertificateKey:
    key = None if new_key else load_key(out)
    return key if key is not None and key_crypto(key) == crypto else make_key(crypto)
