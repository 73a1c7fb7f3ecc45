"""The certificate of a server's own names: the stored one, and the next one in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from nodetrust.certificates import CertificateKey, Chain, InvalidCertificate
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.messages import ECDSA_P256
from nodetrust.own.files import OWN_FILE, OwnCertificate, load, next_key, save
from nodetrust.own.plan import LOOK_SECONDS, seconds_to_renewal, seconds_to_retry

CRYPTO = ECDSA_P256
"""The algorithm of its keys; every browser takes it, and it is the fastest."""


class Source(Protocol):
    """Where certificates come from."""

    async def order(self, names: Sequence[str], key: CertificateKey) -> Chain:
        """A certificate; raises `NodetrustError`, whose `retry_after_seconds` counts where it has that."""

    async def renew_at(self, names: Sequence[str], chain: Chain) -> datetime | None:
        """When the CA wants this one renewed, if it has said so."""


@dataclass(frozen=True, slots=True)
class Self:
    """Who the server is."""

    whose: str
    """For the log: "the issue server's own"."""
    names: tuple[str, ...]
    """Sorted, in lower case."""
    state: Path


class OwnUpkeep:
    """`run` goes on until it is cancelled; `use` is called with each certificate, which raises `Libp2pError` if it is
    none that TLS can use.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        who: Self,
        source: Source,
        use: Callable[[OwnCertificate], None],
    ) -> None:
        self.current: OwnCertificate | None = None
        self._reactor = reactor
        self._who = who
        self._source = source
        self._use = use
        self._random = SystemRandom().random
        self._chance = 0.0

    def use_stored(self) -> None:
        """Serve with the certificate of an earlier run, if it is still good; reads a file."""
        try:
            stored = load(self._who.state)
            if stored is not None and stored.chain.not_after > self._now():
                self._take(stored)
        except (InvalidCertificate, Libp2pError, OSError) as error:
            self.log.warn("{file} is not used: {reason}", file=str(self._who.state / OWN_FILE), reason=str(error))

    async def run(self) -> None:
        """Order when it is time, and again after a while where that fails."""
        failures = 0
        while True:
            if not failures:
                await self._until_due()
            try:
                await self._order()
                failures = 0
            except (NodetrustError, Libp2pError, OSError) as error:
                failures += 1
                await deferLater(self._reactor, self._pause_after(error, failures))

    async def _until_due(self) -> None:
        """The CA may move the time: it is looked up now and again."""
        current = self.current
        if current is None or current.chain.names != frozenset(self._who.names):
            return
        while True:
            renew_at = await self._source.renew_at(self._who.names, current.chain)
            wait = seconds_to_renewal(current.chain, renew_at, self._now(), self._chance)
            if wait <= 0:
                return
            await deferLater(self._reactor, min(wait, LOOK_SECONDS))

    async def _order(self) -> None:
        who = self._who
        key = await self._in_thread(next_key, who.state, CRYPTO)
        own = OwnCertificate(key, await self._source.order(who.names, key))
        if not own.chain.is_for(key):
            raise InvalidCertificate("the certificate is for another key")
        self._take(own)
        await self._in_thread(save, who.state, own)

    def _take(self, own: OwnCertificate) -> None:
        self._use(own)
        self.current, self._chance = own, self._random()
        self.log.info(
            "{whose} certificate is for {names}, good until {until}",
            whose=self._who.whose,
            names=", ".join(sorted(own.chain.names)),
            until=own.chain.not_after.isoformat(),
        )

    def _pause_after(self, error: Exception, failures: int) -> float:
        left = 0.0
        if self.current is not None:
            left = max(0.0, (self.current.chain.not_after - self._now()).total_seconds())
        asked = getattr(error, "retry_after_seconds", None)
        wait = seconds_to_retry(failures, left, asked, self._random())
        self.log.error(
            "no certificate for {whose} {names}: {reason}; {left}, and it is tried again in {wait} s",
            whose=self._who.whose,
            names=", ".join(self._who.names),
            reason=str(error),
            left=f"the one in use is good for {left / 3600:.1f} hours" if left else "there is no good one",
            wait=round(wait),
        )
        return wait

    def _in_thread(self, call: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), partial(call, *arguments))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._reactor.seconds(), UTC)
