"""`nodetrust obtain --issuer`: an issue server orders it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from nodetrust.certificates import CRYPTO_NAMES
from nodetrust.client.files import save
from nodetrust.client.issuers import Issuer, Issuers
from nodetrust.client.obtain import Obtained
from nodetrust.client.obtain import obtain as obtain_certificate
from nodetrust.command.obtain_asked import Asked
from nodetrust.command.obtain_shown import Shown
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.names import NameChoice


async def obtain_by_issuer(
    reactor: Any, shown: Shown, asked: Asked, issuers: Sequence[Multiaddr], names: NameChoice
) -> tuple[str, Obtained]:
    """The peer ID of the issue server, and the certificate, which is in the folder then. Raises `ObtainError`."""
    host = asked.open_host(reactor)
    crypto = CRYPTO_NAMES[asked.crypto]
    key = asked.certificate_key()

    async def ask(issuer: Issuer) -> tuple[str, Obtained]:
        shown.step(f"asking the issue server {issuer[0].peer_id}")
        obtained = await obtain_certificate(host, issuer, key, crypto, clock=reactor, names=names, progress=shown.step)
        return str(issuer[0].peer_id), obtained

    try:
        issuer, obtained = await Issuers(issuers, time.monotonic).first(ask)
    finally:
        await host.stop()
    save(asked.out, obtained)
    return issuer, obtained
