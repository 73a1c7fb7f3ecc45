"""`nodetrust obtain`: a certificate into a folder."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import Any, get_args

import click

from nodetrust.certificates import CRYPTO_NAMES, CertificateKey, CryptoName, key_crypto, make_key
from nodetrust.client.errors import IssuerUnreachable, NoIssuer, NoProofs, Refused
from nodetrust.client.files import load_key, make_folder, save
from nodetrust.client.issuers import Issuer, Issuers
from nodetrust.client.obtain import Obtained
from nodetrust.client.obtain import obtain as obtain_certificate
from nodetrust.client.settings import LETS_ENCRYPT, LIBP2P_DIRECT, ClientSettings
from nodetrust.command.obtain_shown import Shown
from nodetrust.command.parameters import HOST_PORT, MULTIADDR, ZONE
from nodetrust.command.run import run
from nodetrust.errors import NodetrustError
from nodetrust.keyfile import load_or_create
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.names import NameChoice
from nodetrust.service import AGENT_VERSION, KEY_FILE, dial_options
from nodetrust.settings import HostPort, SettingsError, from_values

STATUSES: dict[type[Exception], int] = {SettingsError: 2, IssuerUnreachable: 3, NoProofs: 4, Refused: 5}
"""Exit statuses; 1 is any other failure, 2 a wrong option."""

AUTOTLS_KEYS = ("broker", "domain", "acme_directory", "forge_token", "listen", "announce", "allow_private")
"""Settings of the client, which are options for AutoTLS here."""


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
@click.option("--nameserver", type=HOST_PORT, help="A DNS server to ask in place of the system's.")
@click.option(
    "--trust-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A PEM file with further roots to trust when dialling WSS, for tests and private CAs.",
)
@click.option("--autotls", is_flag=True, help="Order the certificate by AutoTLS, in place of asking an issue server.")
@click.option(
    "--broker",
    multiple=True,
    help="With --autotls: the URL of a broker; of several, the next is asked where one fails. "
    "[default: https://registration.DOMAIN]",
)
@click.option(
    "--domain", type=ZONE, default=LIBP2P_DIRECT, show_default=True, help="With --autotls: where the names are."
)
@click.option(
    "--acme-directory",
    default=LETS_ENCRYPT,
    show_default=True,
    help="With --autotls: the CA, whose terms of service you agree to.",
)
@click.option(
    "--forge-token", envvar="FORGE_ACCESS_TOKEN", default="", help="With --autotls: the broker's access token."
)
@click.option(
    "--listen",
    multiple=True,
    default=("/ip4/0.0.0.0/tcp/0",),
    show_default=True,
    help="With --autotls: a multiaddr at which the broker finds this machine. A router is asked to forward the port.",
)
@click.option(
    "--announce", multiple=True, help="With --autotls: a multiaddr under which others reach it, where it is another."
)
@click.option(
    "--allow-private", is_flag=True, help="With --autotls: private addresses will do, as for your own broker."
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON about the certificate.")
@click.option("-v", "--verbose", is_flag=True, help="Log what happens to stderr.")
def obtain(out: Path, autotls: bool, as_json: bool, verbose: bool, **options: Any) -> None:
    """Obtain a certificate into a folder.

    It is for the addresses under which the proof servers see this machine; with --autotls for *.PEER.DOMAIN, where a
    broker must be able to connect to this machine while the command runs. Writes cert.pem, chain.pem, fullchain.pem
    and key.pem (mode 0600), addresses.txt, and renew-at.txt with the time to run this again, by the issue server's
    or CA's word. With the key of an earlier run it hands out the same certificate until that is due.

    What goes on is shown on a terminal alone; errors go to stderr. The line of --json has `folder`, `names`,
    `addresses` (the proven ones), `not_after`, `renew_at` (null if the issue server has not said it), `from_cache`
    (whether the certificate was there already) and `issuer` (the peer ID of the issue server that gave it, or the
    broker's URL); times are ISO 8601.

    Exit status: 0 done, 2 a wrong option, 3 the issue server or broker is out of reach, 4 no proof server gave a proof
    or no public address is known, 5 the issue server, broker or CA refused, 1 anything else; of several servers, that
    of the one that came furthest.
    """
    shown = Shown()
    by_autotls = {key: options.pop(key) for key in AUTOTLS_KEYS}
    ask = partial(_obtain_by_autotls, by_autotls) if autotls else _obtain

    async def work(reactor: Any) -> int:
        try:
            with shown.spinner:
                issuer, obtained = await ask(reactor, shown, out, **options)
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
) -> tuple[str, Obtained]:
    if not issuers:
        raise SettingsError("expected --issuer, or --autotls")
    host = _open_host(reactor, out, peer_key, dial_options(reactor, nameserver, trust_file))
    key = _certificate_key(out, CRYPTO_NAMES[crypto], new_key=new_key)

    async def ask(issuer: Issuer) -> tuple[str, Obtained]:
        shown.step(f"asking the issue server {issuer[0].peer_id}")
        obtained = await obtain_certificate(
            host, issuer, key, CRYPTO_NAMES[crypto], clock=reactor, names=names, progress=shown.step
        )
        return str(issuer[0].peer_id), obtained

    try:
        issuer, obtained = await Issuers(issuers, time.monotonic).first(ask)
    finally:
        await host.stop()
    save(out, obtained)
    return issuer, obtained


async def _obtain_by_autotls(
    by_autotls: dict[str, Any],
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
) -> tuple[str, Obtained]:
    from nodetrust.command.obtain_autotls import obtain_by_autotls  # noqa: PLC0415  # all that speaks HTTP

    if issuers:
        raise SettingsError("expected --issuer or --autotls, not both: `twistd nodetrust-client` takes both")
    given = {**by_autotls, "crypto": crypto, "nameserver": nameserver, "trust_file": trust_file}
    values = {key: value for key, value in given.items() if value is not None}
    settings = from_values(ClientSettings, {"autotls": True, "state": out, "wss_listen": (), **values})
    host = _open_host(reactor, out, peer_key, dial_options(reactor, nameserver, trust_file))
    try:
        return await obtain_by_autotls(reactor, shown, host, settings, new_key=new_key)
    finally:
        await host.stop()


def _open_host(reactor: Any, out: Path, peer_key: Path | None, dialling: dict[str, Any]) -> Host:
    make_folder(out)
    identity = load_or_create(peer_key or out / KEY_FILE)
    return Host(reactor, identity, agent_version=AGENT_VERSION, **dialling)


def _certificate_key(out: Path, crypto: int, *, new_key: bool) -> CertificateKey:
    key = None if new_key else load_key(out)
    return key if key is not None and key_crypto(key) == crypto else make_key(crypto)
