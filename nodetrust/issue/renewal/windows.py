"""Asks the CAs when the certificates in the store should be renewed, and says when very many are due. RFC 9773."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import SystemRandom
from typing import Any, Protocol

from twisted.internet.task import deferLater
from twisted.logger import Logger

from nodetrust.acme import AcmeError, AcmeOrderLost, AcmeUsageError, Deadline, RenewalInfo
from nodetrust.acme.wire import RenewalWindow
from nodetrust.errors import NodetrustError
from nodetrust.issue.quota import HOUR, REPLACEMENTS_PER_HOUR
from nodetrust.issue.renewal.haste import Haste, tell
from nodetrust.quotas import Limit
from nodetrust.renewal import renewal_time
from nodetrust.store import StoredCertificate, StoreError

ASK_AGAIN_SECONDS = 6 * HOUR
"""The pace of all, as Let's Encrypt asks for it; where a CA's Retry-After is another one, that is kept to."""

LATEST_SECONDS = 24 * HOUR

ASKS_PER_SECOND = 4.0
"""All certificates together: in six hours, 86,000; more than that are asked for less often."""

ANSWER_SECONDS = 20.0
"""For one answer, the client's own repeats included."""

MOST_AT_ONCE = 100
"""Certificates read from the store at one time."""

IDLE_SECONDS = 60.0
"""When nothing is left to ask. A new certificate is asked about within a minute or so."""

FIRST_PAUSE_SECONDS = 600.0
"""A CA that failed to answer is left alone for so long, for twice as long the next time, and at last for a day."""

TELL_AGAIN_SECONDS = HOUR


class Client(Protocol):
    """An ACME client, as far as it matters here."""

    async def renewal_window(self, certificate_pem: bytes, deadline: Deadline) -> RenewalInfo | None:
        """What the CA says; None where it has no ARI. Raises `AcmeError`."""


class Ca(Protocol):
    """One of the CAs, as far as it matters here."""

    @property
    def client(self) -> Client:
        """Our client there."""

    @property
    def directory_url(self) -> str:
        """By which the store knows it."""

    @property
    def reason(self) -> str:
        """Why it is left alone, if it is."""

    def seconds_to_wait(self, now: float) -> float:
        """0 if it may be asked now."""


class KeepsCertificates(Protocol):
    """The store, as far as it matters here."""

    async def certificates_to_check(self, checked_before: datetime, most: int) -> list[StoredCertificate]:
        """Those that are good and not replaced, longest unchecked first."""

    async def save_renewal(self, id: int, renew_at: datetime | None, checked_at: datetime) -> None:
        """When to renew one of them, as of `checked_at`; None leaves it as it is."""

    async def check_again(self, checked_after: datetime) -> int:
        """Have those checked again that say a time after this one."""

    async def count_due_early(self, now: datetime) -> tuple[int, int]:
        """How many are due by a CA's word, of how many."""


class Windows:
    """`run` goes on until it is cancelled."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        store: KeepsCertificates,
        cas: Sequence[Ca],
        chance: Callable[[], float] | None = None,
    ) -> None:
        self._reactor = reactor
        self._store = store
        self._cas = {ca.directory_url: ca for ca in cas}
        self._chance = chance or SystemRandom().random
        self._pauses: dict[str, _Pause] = {}
        self._haste = Haste()
        self._looked: datetime | None = None
        self._told_at = float("-inf")

    async def run(self) -> None:
        """Look after the windows for as long as the server runs."""
        while True:
            pause = IDLE_SECONDS
            try:
                if await self.look() == MOST_AT_ONCE:
                    pause = 0.0
                await self._tell_if_many()
            except StoreError as error:
                self.log.error("renewals are not looked after: {reason}", reason=str(error))
            await deferLater(self._reactor, pause * self._jitter())

    async def look(self) -> int:
        """Ask for the certificates whose time to be asked for has come, `MOST_AT_ONCE` at most; how many these were."""
        now = self._now()
        if self._looked is None or now < self._looked:  # the clock was set back, perhaps while we were not there
            await self._store.check_again(now + timedelta(seconds=2 * LATEST_SECONDS))
        self._looked = now
        found = await self._store.certificates_to_check(now - timedelta(seconds=ASK_AGAIN_SECONDS), MOST_AT_ONCE)
        for certificate in found:
            if await self._check(certificate):
                await deferLater(self._reactor, self._jitter() / ASKS_PER_SECOND)
        return len(found)

    async def _check(self, certificate: StoredCertificate) -> bool:
        """Save when this one is to be renewed; whether its CA was asked for that."""
        url = certificate.directory_url
        ca, pause = self._cas.get(url), self._pauses.get(url)
        left = 0.0 if pause is None else pause.seconds_left(self._reactor.seconds())
        if ca is None or left > 0:
            await self._save(certificate, None, LATEST_SECONDS if ca is None else left)
            return False
        try:
            info = await self._ask(ca, certificate)
        except NodetrustError as error:
            again = self._begin_pause(url)
            self.log.warn(
                "{ca} does not say when to renew: {reason}; asking again in {again}",
                ca=url,
                reason=str(error),
                again=str(timedelta(seconds=again)),
            )
            await self._save(certificate, None, again)
            return True
        self._pauses.pop(url, None)
        if info is None:
            await self._save(certificate, None, LATEST_SECONDS)
            return False
        await self._save(certificate, info.window, info.retry_after_seconds)
        return True

    async def _ask(self, ca: Ca, certificate: StoredCertificate) -> RenewalInfo | None:
        """None: this CA has nothing to say about this certificate."""
        if ca.seconds_to_wait(self._reactor.seconds()) > 0:
            raise NodetrustError(ca.reason)
        try:
            return await ca.client.renewal_window(certificate.certificate_pem, Deadline(self._reactor, ANSWER_SECONDS))
        except (AcmeOrderLost, AcmeUsageError):
            return None
        except AcmeError as error:
            raise NodetrustError(str(error)) from error

    async def _save(self, certificate: StoredCertificate, window: RenewalWindow | None, again_seconds: float) -> None:
        if certificate.id is None:
            return
        now, renew_at = self._now(), None
        if window is not None:
            renew_at = renewal_time(certificate, window, now, self._chance(), certificate.renew_at)
        # The store is asked at one pace for all; another one is told as an earlier or later look.
        checked_at = now + timedelta(seconds=again_seconds * self._jitter() - ASK_AGAIN_SECONDS)
        await self._store.save_renewal(certificate.id, renew_at, checked_at)
        if renew_at is not None:
            early = renew_at <= now < certificate.not_after - (certificate.not_after - certificate.not_before) / 3
            self._haste.asked(self._reactor.seconds(), early=early)

    def _begin_pause(self, url: str) -> float:
        """A pause for a CA that failed, longer than the last one; how long it is."""
        before = self._pauses.get(url)
        seconds = FIRST_PAUSE_SECONDS if before is None else min(2 * before.seconds, LATEST_SECONDS)
        self._pauses[url] = _Pause(self._reactor.seconds() + seconds, seconds)
        return seconds

    async def _tell_if_many(self) -> None:
        """Counts only when many were due among those just asked about: to count is to look at all."""
        now = self._reactor.seconds()
        if 0 <= now - self._told_at < TELL_AGAIN_SECONDS or not self._haste.is_many(now):
            return
        due, good = await self._store.count_due_early(self._now())
        self._told_at = now
        limits = [Limit(f"replacements/{url}", REPLACEMENTS_PER_HOUR, HOUR) for url in self._cas]
        self.log.warn("{estimate}", estimate=tell(self._haste.outlook(due, good, limits, now)))

    def _jitter(self) -> float:
        return 0.75 + 0.5 * self._chance()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._reactor.seconds(), UTC)


@dataclass(frozen=True, slots=True)
class _Pause:
    until: float
    seconds: float

    def seconds_left(self, now: float) -> float:
        """Never more than the whole, should the clock have been set back."""
        return min(self.until - now, self.seconds)
