"""`Orders`: from what a peer may have to the certificate; once for all who ask for the same."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from twisted.internet.defer import CancelledError, TimeoutError, gatherResults
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.certificates import CertificateKey, key_to_pem, make_csr, make_key
from nodetrust.challenges.errors import DnsServerError
from nodetrust.errors import NodetrustError
from nodetrust.issue.authorities import open_authorities
from nodetrust.issue.decide import Order
from nodetrust.issue.errors import Refusal, Unavailable
from nodetrust.issue.orders.cache import Cache
from nodetrust.issue.orders.cleaning import Cleaning
from nodetrust.issue.orders.endings import Endings
from nodetrust.issue.orders.issuing import Issuing
from nodetrust.issue.orders.placing import Placing
from nodetrust.issue.orders.queue import network_of
from nodetrust.issue.orders.requests import request_of, response_with
from nodetrust.issue.orders.resuming import Resuming
from nodetrust.issue.orders.tools import Challenges, Tools
from nodetrust.issue.orders.turns import Turns
from nodetrust.issue.orders.unsaved import Unsaved
from nodetrust.issue.orders.upkeep import Upkeep
from nodetrust.issue.orders.waiting import Shared
from nodetrust.issue.settings import IssueSettings
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import E_OTHER, CertificateAuthority, IssueResponse
from nodetrust.store import Store, StoredCertificate, StoredOrder, StoreError

STOPPING = "the issue server is stopping: come back later"

GIVE_UP_SECONDS = 1.0
"""What a stop gives the DNS servers to forget the challenges of open orders; what is left is in the store."""

STORE_RETRY_SECONDS = 60.0

EPOCH_BYTES = 16


class Orders:
    """Made with `open`; `fulfil` may run many times side by side."""

    log = Logger()

    def __init__(self, tools: Tools, server: PeerId) -> None:
        self._tools = tools
        self._zone = tools.settings.zone
        self._closing = False
        self._open: dict[bytes, Shared[IssueResponse | None]] = {}
        self._turns = Turns(tools.settings.max_open_orders, tools.settings.max_waiting_orders)
        unsaved = Unsaved(tools.store)
        self._cleaning = Cleaning(tools.store, tools.dns)
        self._cache = Cache(tools.store, unsaved)
        endings = Endings(tools, unsaved, self._cleaning)
        self._resuming = Resuming(tools, endings)
        self._issuing = Issuing(
            tools, self._cache, Placing(tools, self._cache, endings), self._resuming, self._cleaning
        )
        self._upkeep = Upkeep(
            tools, server, unsaved=unsaved, cleaning=self._cleaning, endings=endings, resume=self._resume
        )

    @classmethod
    async def open(cls, reactor: Any, settings: IssueSettings, dns: Challenges, store: Store, server: PeerId) -> Orders:
        """Open the accounts, and begin with what an earlier life has left. Raises `StoreError`, `SettingsError`."""
        authorities = await open_authorities(reactor, settings, store)
        tools = Tools(reactor, settings, store, dns, authorities, os.urandom(EPOCH_BYTES))
        orders = cls(tools, server)
        await orders._upkeep.start()
        return orders

    @property
    def tools(self) -> Tools:
        """The CAs, the store and the DNS servers that it works with."""
        return self._tools

    def signers(self) -> list[CertificateAuthority]:
        """The CAs, for peers."""
        return [authority.to_message() for authority in self._tools.authorities]

    async def give_up(self) -> None:
        """Take no orders any more and cancel the open ones; returns when they have ended, or soon.

        What is in the store stays there for the next life, which goes on with it, and withdraws what is still published
        because the CA was looking at it.
        """
        self._closing = True
        self._upkeep.stop()
        ended = [order.ended() for order in self._open.values()]
        for order in list(self._open.values()):
            order.running.cancel()
        with suppress(TimeoutError):
            await gatherResults([*ended, self._cleaning.ended()]).addTimeout(GIVE_UP_SECONDS, self._tools.reactor)

    async def close(self) -> None:
        """After `give_up`: tell other servers that we end, and close the connections to the CAs."""
        await self._upkeep.leave()
        for authority in self._tools.authorities:
            await authority.client.close()

    async def fulfil(self, order: Order) -> IssueResponse:
        """The response with the certificate; raises `Refusal`."""
        same = request_of(order).same
        while True:
            if self._closing:
                raise Refusal(E_OTHER, STOPPING)
            if not self._upkeep.is_ours:
                raise Unavailable("another process runs with this peer's key")
            shared = self._open.get(same) or self._begin(
                same, Shared(lambda shared: self._answer(order, shared), idle=True)
            )
            response = await shared.result()
            if response is not None:
                return response

    def _begin(self, same: bytes, shared: Shared[IssueResponse | None]) -> Shared[IssueResponse | None]:
        self._open[same] = shared
        shared.running.addBoth(self._done, same)
        return shared

    def _done(self, result: IssueResponse | Failure | None, same: bytes) -> None:
        if isinstance(result, Failure):
            result = self._explained(result)
        self._open.pop(same).finish(result)

    def _explained(self, failure: Failure) -> Failure:
        """A failure that can be told to peers."""
        if failure.check(CancelledError):
            return Failure(Refusal(E_OTHER, STOPPING))
        if failure.check(StoreError):
            self.log.error("an order was not possible: {reason}", reason=failure.getErrorMessage())
            text = "the issue server's database is out of order: come back later"
            return Failure(Unavailable(text, retry_after_seconds=STORE_RETRY_SECONDS))
        if failure.check(DnsServerError):
            return Failure(Unavailable(failure.getErrorMessage()))
        if failure.check(NodetrustError):
            return failure
        self.log.failure("an order failed in a way that is a bug", failure=failure)
        return Failure(Unavailable("the issue server has failed; its log says how"))

    async def _answer(self, order: Order, shared: Shared[IssueResponse | None]) -> IssueResponse:
        """From the cache, or else when it is this order's turn."""
        ready = await self._cache.find(order, self._tools.now())
        if ready is not None:
            return self._response(ready, from_cache=True)
        await self._turns.enter(network_of(order), order.names, at_once=order.own)
        shared.idle = False
        try:
            return await self._order(order)
        finally:
            self._turns.leave(order.names, at_once=order.own)

    async def _order(self, order: Order) -> IssueResponse:
        key, csr_der = await self._key_and_csr(order)
        certificate, was_there = await self._issuing.certificate(order, csr_der)
        self.log.info("certificate for {peer}: {names}", peer=str(order.peer), names=", ".join(order.names))
        response = self._response(certificate, from_cache=was_there)
        if key is not None:
            response.key = key_to_pem(key)
        return response

    async def _key_and_csr(self, order: Order) -> tuple[CertificateKey | None, bytes]:
        """For a client of 2018 a new key, which is in memory alone.

        After a restart its order goes on with another key when the peer asks again; one that was finalized with the
        lost key is given up, and another one ordered.
        """
        if order.csr is not None:
            return None, order.csr.der

        def make() -> tuple[CertificateKey, bytes]:
            key = make_key(order.crypto)
            return key, make_csr(key, order.names)

        reactor = self._tools.reactor
        made: tuple[CertificateKey, bytes] = await deferToThreadPool(reactor, reactor.getThreadPool(), make)
        return made

    def _resume(self, row: StoredOrder) -> None:
        """Go on with an order of ours that has a CSR, and that nobody works on; peers may join in."""
        same = row.request.same
        if same not in self._open and not self._closing:
            self._begin(same, Shared(lambda _: self._resumed(row)))

    async def _resumed(self, row: StoredOrder) -> IssueResponse | None:
        """None, if nothing came of it: who joined in orders anew."""
        peer = PeerId(row.request.peer_id)
        await self._turns.enter(peer, row.request.names)
        try:
            certificate = await self._resuming.certificate(row)
        finally:
            self._turns.leave(row.request.names)
        if certificate is None:
            return None
        self.log.info(
            "certificate for {peer}: {names}, in an order that was left open",
            peer=str(peer),
            names=", ".join(row.request.names),
        )
        return self._response(certificate, from_cache=False)

    def _response(self, certificate: StoredCertificate, *, from_cache: bool) -> IssueResponse:
        return response_with(certificate, self._zone, from_cache=from_cache)
