"""The way to a certificate by a nodetrust issue server, which wants proofs and orders it from the CA itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.logger import Logger

from nodetrust.certificates import CertificateKey
from nodetrust.client.errors import OtherZone
from nodetrust.client.issuers import Issuer, by_server
from nodetrust.client.obtain import Obtained, obtain_with
from nodetrust.client.prove import Proofs, ask_info, prove
from nodetrust.client.ways import Claim
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.names import NameChoice, certificate_names


class ByIssuer:
    """One issue server, which is asked for those names that are chosen."""

    log = Logger()

    def __init__(self, clock: Any, host: Host, issuer: Issuer, names: NameChoice) -> None:
        self._clock = clock
        self._host = host
        self._issuer = issuer
        self._names = names

    def __str__(self) -> str:
        return str(self._issuer[0].peer_id)

    async def claim(self) -> Claim:
        """Proofs of where this peer is."""
        proofs = await prove(self._host, self._issuer, clock=self._clock, progress=self._log_step)
        names = certificate_names(self._host.peer_id, proofs.addresses, proofs.zone, self._names)

        async def order(key: CertificateKey, crypto: int, current: Obtained | None) -> Obtained:
            return await self._order(proofs, key, crypto)

        return Claim(proofs.addresses, names, order)

    async def _order(self, proofs: Proofs, key: CertificateKey, crypto: int) -> Obtained:
        return await obtain_with(
            proofs, self._host, self._issuer, key, crypto, names=self._names, progress=self._log_step
        )

    async def renew_at(self, current: Obtained | None) -> int | None:
        """The word of a server that may speak of this certificate: it gives names in the same zone."""
        info = await ask_info(self._host, self._issuer)
        names = () if current is None else current.chain.names
        if names and not any(name.endswith(f".{info.domain}") for name in names):
            raise OtherZone(f"the certificate has no name in {info.domain}")
        return info.renewAt if info.HasField("renewAt") else None

    def _log_step(self, step: str) -> None:
        self.log.info("{step}", step=step)


def by_issuers(clock: Any, host: Host, addresses: Sequence[Multiaddr], names: NameChoice) -> list[ByIssuer]:
    """A way for each issue server, in the order in which they are first named."""
    return [ByIssuer(clock, host, issuer, names) for issuer in by_server(addresses)]
