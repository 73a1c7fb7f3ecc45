"""From an order to a certificate: out of the store, or from the CA, and once for two requests that want the same."""

from __future__ import annotations

import hashlib
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, gatherResults
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.acme import AcmeClient, AcmeError, AcmeRateLimited, IssuedCertificate
from nodetrust.acme import obtain as obtain_from_ca
from nodetrust.certificates import CertificateKey, Chain, key_to_pem, make_csr, make_key, public_key_der
from nodetrust.errors import NodetrustError
from nodetrust.issue.authorities.account import keep_account_url, open_client
from nodetrust.issue.decide import Order
from nodetrust.issue.challenges.servers import DnsServers
from nodetrust.issue.errors import Refusal, Unavailable
from nodetrust.issue.settings import IssueSettings
from nodetrust.messages import E_OTHER, E_RATE_LIMIT, OK, IssueResponse
from nodetrust.settings import SettingsError
from nodetrust.store import Store, StoredCertificate, StoreError

MAX_OPEN_ORDERS = 100
"""Orders with the CA at one time; more are told to come back. Let's Encrypt takes 300 new orders in three hours."""

BUSY_RETRY_SECONDS = 60.0

STOPPING = "the issue server is stopping: come back later"

GIVE_UP_SECONDS = 1.0
"""What a stop gives the DNS servers to forget the challenges of open orders; they forget them by themselves later."""

_Same = tuple[bytes, tuple[str, ...], int, bytes]
"""What makes two orders the same: peer, names, algorithm and, if the peer sent a CSR, its key."""


class Orders:
    """Made with `open`; `fulfil` may run many times side by side."""

    log = Logger()

    def __init__(self, reactor: Any, settings: IssueSettings, dns: DnsServers, store: Store, ca: AcmeClient) -> None:
        self._reactor = reactor
        self._settings = settings
        self._dns = dns
        self._store = store
        self._ca = ca
        self._account_url = ca.account_url
        self._closing = False
        self._open: dict[_Same, _OpenOrder] = {}

    @classmethod
    async def open(cls, reactor: Any, settings: IssueSettings, dns: DnsServers, store: Store) -> Orders:
        """Open the account. Raises `NodetrustError`."""
        try:
            return cls(reactor, settings, dns, store, await open_client(reactor, settings, store))
        except AcmeError as error:
            raise SettingsError(f"acme_directory: {error}") from error

    async def give_up(self) -> None:
        """Take no orders any more and cancel the open ones; returns when their challenges are withdrawn, or soon."""
        self._closing = True
        ended = [order.ended() for order in self._open.values()]
        for order in list(self._open.values()):
            order.running.cancel()
        with suppress(TimeoutError):
            await gatherResults(ended).addTimeout(GIVE_UP_SECONDS, self._reactor)

    async def close(self) -> None:
        """After `give_up`: close the connections to the CA."""
        await self._ca.close()

    async def fulfil(self, order: Order) -> IssueResponse:
        """The response with the certificate; raises `Refusal`, or another `NodetrustError` of the store."""
        if self._closing:
            raise Refusal(E_OTHER, STOPPING)
        same = _same(order)
        waiting = self._open.get(same)
        if waiting is None:
            if len(self._open) >= MAX_OPEN_ORDERS:
                raise Refusal(E_RATE_LIMIT, "too many orders are open: come back later", BUSY_RETRY_SECONDS)
            waiting = self._open[same] = _OpenOrder(self._from_store_or_ca(order))
            waiting.running.addBoth(self._done, same)
        return await waiting.result()

    def _done(self, result: IssueResponse | Failure, same: _Same) -> None:
        if isinstance(result, Failure):
            result = self._explained(result)
        self._open.pop(same).finish(result)

    def _explained(self, failure: Failure) -> Failure:
        """A failure that can be told to peers."""
        if failure.check(CancelledError):
            return Failure(Refusal(E_OTHER, STOPPING))
        if failure.check(NodetrustError):
            return failure
        self.log.failure("an order failed in a way that is a bug", failure=failure)
        return Failure(Unavailable("the issue server has failed; its log says how"))

    async def _from_store_or_ca(self, order: Order) -> IssueResponse:
        return await self._stored(order) or await self._order(order)

    async def _stored(self, order: Order) -> IssueResponse | None:
        """A fresh certificate for the same peer, names and key, if there is one; without a CSR the key is forgotten."""
        if order.csr is None:
            return None
        now = self._now()
        fingerprint = hashlib.sha256(order.csr.public_key_der).digest()
        stored = await self._store.newest_certificate(order.peer.multihash, order.names, fingerprint, now)
        if stored is None:
            return None
        chain = Chain.from_pem(stored.certificate_pem + stored.issuers_pem)
        if not chain.is_fresh(now):
            return None
        response = _response(order, chain)
        response.fromCache = True
        return response

    async def _order(self, order: Order) -> IssueResponse:
        key, csr_der = await self._key_and_csr(order)
        issued = await self._ask_ca(order, csr_der)
        chain = Chain.from_pem(issued.chain_pem)
        await self._keep(order, chain)
        self.log.info("certificate for {peer}: {names}", peer=str(order.peer), names=", ".join(order.names))
        response = _response(order, chain)
        if key is not None:
            response.key = key_to_pem(key)
        return response

    async def _key_and_csr(self, order: Order) -> tuple[CertificateKey | None, bytes]:
        if order.csr is not None:
            return None, order.csr.der

        def make() -> tuple[CertificateKey, bytes]:
            key = make_key(order.crypto)
            return key, make_csr(key, order.names)

        made: tuple[CertificateKey, bytes] = await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), make)
        return made

    async def _ask_ca(self, order: Order, csr_der: bytes) -> IssuedCertificate:
        try:
            return await obtain_from_ca(
                self._ca,
                order.names,
                csr_der,
                self._dns.publish,
                self._dns.withdraw,
                profile=self._settings.acme_profile or None,
            )
        except AcmeRateLimited as error:
            raise Unavailable(f"the CA has no room now: {error}", E_RATE_LIMIT, error.retry_after_seconds) from error
        except AcmeError as error:
            raise Unavailable(f"the CA gave no certificate: {error}") from error
        finally:
            self._account_url = await keep_account_url(self._ca, self._settings, self._store, self._account_url)

    async def _keep(self, order: Order, chain: Chain) -> None:
        """Store the certificate, and forget those that have ended: so the store does not grow for ever."""
        certificate = StoredCertificate(
            peer_id=order.peer.multihash,
            names=order.names,
            public_key_sha256=hashlib.sha256(public_key_der(chain.leaf.public_key())).digest(),
            crypto=order.crypto,
            certificate_pem=chain.leaf_pem,
            issuers_pem=chain.authorities_pem,
            not_before=chain.not_before,
            not_after=chain.not_after,
            from_csr=order.csr is not None,
        )
        try:
            await self._store.save_certificate(certificate)
            await self._store.forget_certificates(self._now())
        except StoreError as error:
            # The CA has counted it: the peer gets it all the same, and only a second request costs another order.
            self.log.error("a certificate could not be stored: {reason}", reason=str(error))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._reactor.seconds(), UTC)


class _OpenOrder:
    """An order with the CA, and everybody who waits for it."""

    def __init__(self, order: Coroutine[Any, Any, IssueResponse]) -> None:
        self.running: Deferred[IssueResponse] = Deferred.fromCoroutine(order)
        self._waiting: list[Deferred[IssueResponse]] = []
        self._outcome: IssueResponse | Failure | None = None

    def result(self) -> Deferred[IssueResponse]:
        """Fires with what comes of it; who gives up waiting does not end it for the others."""
        waiting: Deferred[IssueResponse] = Deferred(self._waiting.remove)
        if self._outcome is None:
            self._waiting.append(waiting)
        else:
            waiting.callback(self._outcome)
        return waiting

    def ended(self) -> Deferred[None]:
        """Fires when it is over, whatever came of it."""
        return self.result().addBoth(lambda _: None)

    def finish(self, outcome: IssueResponse | Failure) -> None:
        """Tell everybody who waits, and whoever is about to."""
        self._outcome = outcome
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(outcome)


def _same(order: Order) -> _Same:
    key = b"" if order.csr is None else order.csr.public_key_der
    return order.peer.multihash, order.names, order.crypto, key


def _response(order: Order, chain: Chain) -> IssueResponse:
    return IssueResponse(
        error=OK,
        cert=chain.leaf_pem,
        chain=chain.full_pem,
        ca=chain.authorities_pem,
        cn=order.common_name,
        altnames=order.names,
        validity=int(chain.not_after.timestamp() * 1000),
        fromCache=False,
        cryptoType=order.crypto,  # type: ignore[arg-type]  # an int is an enum here
    )
