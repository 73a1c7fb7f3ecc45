"""The way to a certificate by a nodetrust issue server, which wants proofs and orders it from the CA itself."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from twisted.logger import Logger

from nodetrust.certificates import CertificateKey
from nodetrust.client.contacts import connect
from nodetrust.client.errors import IssuerUnreachable, OtherCertificate, OtherZone
from nodetrust.client.issuers import Issuer, by_server
from nodetrust.client.obtain import Obtained, obtain_with
from nodetrust.client.prove import Proofs, ask_info, peer_of, prove
from nodetrust.client.ways import Claim
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.names import NameChoice, certificate_names


class ByIssuer:
    """One issue server, which is asked for those names that are chosen."""

    log = Logger()

    def __init__(
        self, clock: Any, host: Host, issuer: Issuer, names: NameChoice, known: Collection[PeerId] = ()
    ) -> None:
        """`known` are all issue servers of this client."""
        self._clock = clock
        self._peer = peer_of(issuer)
        self._known = known
        self._host = host
        self._issuer = issuer
        self._names = names

    def __str__(self) -> str:
        return str(self._peer)

    async def claim(self, *, anew: bool = False) -> Claim:
        """Proofs of where this peer is."""
        if anew:
            await self._dial_anew()
        proofs = await prove(self._host, self._issuer, clock=self._clock, progress=self._log_step)
        names = certificate_names(self._host.peer_id, proofs.addresses, proofs.zone, self._names)

        async def order(key: CertificateKey, crypto: int, current: Obtained | None) -> Obtained:
            return await self._order(proofs, key, crypto)

        return Claim(proofs.addresses, names, order)

    async def _order(self, proofs: Proofs, key: CertificateKey, crypto: int) -> Obtained:
        return await obtain_with(
            proofs, self._host, self._issuer, key, crypto, names=self._names, progress=self._log_step
        )

    async def _dial_anew(self) -> None:
        """A connection from where we were is dead, which may take most of a minute to show.

        A brief one is somebody's, who closes it.
        """
        before = [connection for connection in self._host.connections(self._peer) if not connection.brief]
        try:
            await connect(self._host, self._issuer, anew=True)
        except Libp2pError as error:
            raise IssuerUnreachable(f"the issue server {self._peer} cannot be reached: {error}") from error
        for connection in before:
            connection.close()

    async def renew_at(self, current: Obtained, *, is_newest: bool = True) -> int | None:
        """What the server says of this certificate: it has given it, as the last one, for names in its zone.

        Else it means another, which was due long ago if the server was away then.
        """
        if current.issuer in self._known and current.issuer != self._peer:
            raise OtherCertificate("the certificate is of another issue server")
        if not is_newest:
            raise OtherCertificate("it has given a newer one, for another place")
        info = await ask_info(self._host, self._issuer)
        names = current.chain.names
        if names and not any(name.endswith(f".{info.domain}") for name in names):
            raise OtherZone(f"the certificate has no name in {info.domain}")
        return info.renewAt if info.HasField("renewAt") else None

    def _log_step(self, step: str) -> None:
        self.log.info("{step}", step=step)


def by_issuers(clock: Any, host: Host, addresses: Sequence[Multiaddr], names: NameChoice) -> list[ByIssuer]:
    """A way for each issue server, in the order in which they are first named."""
    issuers = by_server(addresses)
    known = frozenset(map(peer_of, issuers))
    return [ByIssuer(clock, host, issuer, names, known) for issuer in issuers]
