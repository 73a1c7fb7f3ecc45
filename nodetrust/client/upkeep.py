"""A certificate that is there when it is needed: the stored one, the next one in time, another after a move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from random import SystemRandom
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from nodetrust.certificates import CRYPTO_NAMES, make_key
from nodetrust.client.errors import ObtainError
from nodetrust.client.files import load, save
from nodetrust.client.obtain import Obtained, obtain_with
from nodetrust.client.prove import Proofs, prove
from nodetrust.client.renewal import seconds_to_renewal, seconds_to_reproof, seconds_to_retry
from nodetrust.client.settings import ClientSettings
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.names import IPAddress, certificate_names


class Upkeep:
    """Keeps a certificate for where the host is.

    `use` is called with each certificate, first the one of an earlier run; `failed` with what went wrong, after which
    it goes on trying.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: ClientSettings,
        host: Host,
        use: Callable[[Obtained], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.current: Obtained | None = None
        self._reactor = reactor
        self._settings = settings
        self._host = host
        self._use = use
        self._failed = failed
        self._chance = SystemRandom().random
        self._seen_at: IPAddress | None = None
        self._followed_at: float | None = None
        self._sleeping: Deferred[None] | None = None
        self._stopped = False

    async def run(self) -> None:
        """Go on until `stop`, and until what runs this is cancelled, which belongs to a stop."""
        self._use_stored()
        failures = 0
        moved_to: IPAddress | None = None
        while not self._stopped:
            if self.current is not None and failures == 0:
                moved_to = await self._until_due(self.current)
            try:
                await (self._renew() if moved_to is None else self._follow(moved_to))
                failures = 0
            except (NodetrustError, Libp2pError) as error:
                failures += 1
                wait = seconds_to_retry(failures, self._chance(), error)
                self.log.error(
                    "no certificate: {reason}; trying again in {wait} s", reason=str(error), wait=round(wait)
                )
                self._failed(error)
                if not self._stopped:
                    await deferLater(self._reactor, wait)

    def stop(self) -> None:
        """Begin nothing any more: cancelling does not reach a `run` that is itself calling `use` or `failed`."""
        self._stopped = True

    def seen_at(self, address: IPAddress) -> None:
        """The issue server, which we trust, says that we come from this address."""
        self._seen_at = address
        if self._sleeping is not None:
            self._sleeping.cancel()

    def _use_stored(self) -> None:
        try:
            stored = load(self._settings.state)
            if stored is not None and stored.chain.not_after > self._now():
                self._take(stored)
        except (ObtainError, Libp2pError) as error:
            self.log.warn("the stored certificate is not used: {reason}", reason=str(error))

    async def _until_due(self, current: Obtained) -> IPAddress | None:
        """Wait until the certificate is to be renewed, or until we seem to have moved: then return where to."""
        chain = current.chain
        wait = seconds_to_renewal(chain.not_before, chain.not_after, self._now(), self._chance())
        due_at = self._reactor.seconds() + wait
        while True:
            now = self._reactor.seconds()
            since_last = None if self._followed_at is None else now - self._followed_at
            reproof = seconds_to_reproof(self._seen_at, current.addresses, since_last)
            if reproof is not None and reproof <= 0:
                moved_to, self._seen_at, self._followed_at = self._seen_at, None, now
                return moved_to
            if now >= due_at:
                return None
            await self._sleep(due_at - now if reproof is None else min(due_at - now, reproof))

    async def _sleep(self, seconds: float) -> None:
        """Wait so long, or until `seen_at` is called."""
        self._sleeping = deferLater(self._reactor, seconds)
        try:
            await self._sleeping
        except CancelledError:
            if self._stopped:
                raise
        finally:
            self._sleeping = None

    async def _renew(self) -> None:
        await self._order(await self._prove())

    async def _follow(self, address: IPAddress) -> None:
        """Prove that we are at `address`; take another certificate only if that is so, and the names do not fit."""
        proofs = await self._prove()
        current = self.current
        names = certificate_names(self._host.peer_id, proofs.addresses, proofs.zone, self._settings.names)
        if current is None or address not in proofs.addresses:
            self.log.info("the issue server sees this peer at {address}, but nobody proves that", address=str(address))
        elif current.chain.names >= names:
            await self._keep(replace(current, addresses=proofs.addresses))
        else:
            await self._order(proofs)

    async def _prove(self) -> Proofs:
        return await prove(self._host, self._settings.issuer, clock=self._reactor, progress=self._log_step)

    async def _order(self, proofs: Proofs) -> None:
        settings = self._settings
        crypto = CRYPTO_NAMES[settings.crypto]
        key = await self._in_thread(make_key, crypto)
        obtained = await obtain_with(
            proofs, self._host, settings.issuer, key, crypto, names=settings.names, progress=self._log_step
        )
        await self._keep(obtained)

    async def _keep(self, obtained: Obtained) -> None:
        await self._in_thread(save, self._settings.state, obtained)
        self._take(obtained)

    def _take(self, obtained: Obtained) -> None:
        self.current = obtained
        self._use(obtained)

    def _log_step(self, step: str) -> None:
        self.log.info("{step}", step=step)

    def _in_thread(self, call: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), call, *arguments)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._reactor.seconds(), UTC)
