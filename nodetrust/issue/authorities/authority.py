"""One CA: our client there, and whether it is left alone for a while because it failed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from twisted.logger import Logger

from nodetrust.acme import AcmeClient, AcmeError, AcmeProblem, Deadline
from nodetrust.issue.authorities.account import load_account, open_client, with_url
from nodetrust.issue.authorities.blame import Blame, blame
from nodetrust.issue.authorities.pauses import Pause, PauseBook, next_pause
from nodetrust.issue.authorities.refusals import place_of
from nodetrust.issue.authorities.rollover import roll_over
from nodetrust.issue.settings import CaSettings, IssueSettings
from nodetrust.messages import CertificateAuthority
from nodetrust.settings import SettingsError
from nodetrust.store import Store, StoredAccount, StoredTrouble, StoreError

PROBE_SECONDS = 30.0
"""After its pause a CA gets one order; who comes while that runs is told to come back in this time."""

READY_SECONDS = 60.0
"""For the directory and the account, which an order needs before it is opened."""

_Names = tuple[str, ...]


class Authority:
    """Orders run on `client` between `begin` and `worked` or `failed`; who begins asks `seconds_to_wait` before."""

    log = Logger()

    def __init__(self, settings: CaSettings, client: AcmeClient, account: StoredAccount, store: Store) -> None:
        self.settings = settings
        self.client = client
        self.directory_url = settings.directory
        self._account = account
        self._store = store
        self._pause: Pause | None = None
        self._probing = False
        self._refused = PauseBook()

    @property
    def place(self) -> str:
        """The CA as a person calls it."""
        return place_of(self.directory_url)

    def to_message(self) -> CertificateAuthority:
        """What peers may know: who may sign for their names, if they look at CAA records."""
        directory = self.client.last_directory
        identities = () if directory is None else directory.caa_identities
        return CertificateAuthority(caaIdentities=identities, account=self.client.account_url)

    @property
    def reason(self) -> str:
        """Why it is left alone, if it is."""
        return "" if self._pause is None else f"it is left alone for a while, because {self._pause.reason}"

    def seconds_to_wait(self, now: float) -> float:
        """0 if it may be asked now."""
        if self._pause is None:
            return 0.0
        return self._pause.seconds_left(now) or (PROBE_SECONDS if self._probing else 0.0)

    def refused(self, names: _Names, now: float) -> Pause | None:
        """The pause for these names alone, if there is one: it refused them, or could not validate them."""
        pause = self._refused.get(names)
        return pause if pause is not None and pause.seconds_left(now) else None

    def begin(self) -> None:
        """An order begins; the first after a pause goes alone."""
        self._probing = self._pause is not None

    async def greet(self) -> None:
        """Fetch the directory ahead of the first order: peers are told from it who is to sign for them."""
        if self.seconds_to_wait(self.client.clock.seconds()) > 0:
            return
        try:
            await self.client.directory(Deadline(self.client.clock, READY_SECONDS))
        except AcmeError as error:
            self.log.warn(
                "{url} was asked for its directory: {reason}; it will be asked again for the first certificate",
                url=self.directory_url,
                reason=str(error),
            )

    async def ready(self) -> None:
        """Have the directory and the account, and the account's URL in the store. Raises `AcmeError`, `StoreError`."""
        deadline = Deadline(self.client.clock, READY_SECONDS)
        await self.client.directory(deadline)
        if self._account.next_key_pem is not None:
            self._account = await roll_over(self.client, self._store, self._account, deadline)
        if self.client.account_url is None:
            await self.client.register(deadline)
        await self.keep_account_url()

    async def keep_account_url(self) -> None:
        """Store the account's URL if the CA has given it another one."""
        if self.client.account_url != self._account.account_url:
            account = with_url(self._account, self.client.account_url)
            await self._store.save_account(account)
            self._account = account

    async def worked(self, names: _Names) -> None:
        """An order brought a certificate."""
        self._refused.forget(names)
        self.released()
        if self._pause is not None:
            self._pause = None
            self.log.info("{place} works again", place=self.place)
            await self._remember()
        try:
            await self.keep_account_url()
        except StoreError as error:
            self.log.warn("the account at {place} could not be stored: {reason}", place=self.place, reason=str(error))

    def released(self) -> None:
        """An order has ended in a way that says nothing about the CA."""
        self._probing = False

    async def failed(self, names: _Names, error: AcmeError, began: float) -> float | None:
        """An order that `began` then has ended with this error; returns when it may be tried again: in seconds."""
        self.released()
        now = self.client.clock.seconds()
        asked = error.retry_after_seconds if isinstance(error, AcmeProblem) else None
        if blame(error, names) is Blame.REQUEST:
            return self._refused.failed(names, began, now, str(error), asked).seconds_left(now)
        before, self._pause = self._pause, next_pause(self._pause, began, now, str(error), asked)
        if before is None or before.failures != self._pause.failures or before.until != self._pause.until:
            self.log.error(
                "{place} is left alone for {seconds:.0f} s: {reason}",
                place=self.place,
                seconds=self._pause.seconds_left(now),
                reason=str(error),
            )
            await self._remember()
        return self._pause.seconds_left(now)

    async def recall(self) -> None:
        """Take over the pause that is in the store: of an earlier life, or of another server. Raises `StoreError`."""
        trouble = await self._store.trouble(self.directory_url)
        if trouble is None:
            self._pause = None
        elif self._pause is None or trouble.failures != self._pause.failures:
            until = trouble.until.timestamp()
            self._pause = Pause(trouble.failures, until, self.client.clock.seconds(), trouble.reason)

    async def _remember(self) -> None:
        pause = self._pause
        try:
            if pause is None:
                await self._store.forget_trouble(self.directory_url)
            else:
                until = datetime.fromtimestamp(pause.until, UTC)
                await self._store.save_trouble(StoredTrouble(self.directory_url, pause.failures, until, pause.reason))
        except StoreError as error:
            self.log.warn("the pause of {place} could not be stored: {reason}", place=self.place, reason=str(error))


async def open_authorities(reactor: Any, settings: IssueSettings, store: Store) -> Sequence[Authority]:
    """All CAs of the settings, best first; none is spoken to yet. Raises `StoreError`, and `SettingsError`."""
    authorities = []
    for ca in settings.cas:
        account = await load_account(store, ca.directory)
        try:
            client = open_client(reactor, settings, ca, account)
        except AcmeError as error:
            raise SettingsError(f"{settings.key_of_ca('directory')}: {ca.directory}: {error}") from error
        authority = Authority(ca, client, account, store)
        await authority.recall()
        authorities.append(authority)
    return authorities
