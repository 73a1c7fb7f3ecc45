"""`AccountClient`: one account at one CA. RFC 8555 §7.3."""

from collections.abc import Awaitable, Callable, Sequence
from random import Random

from josepy.jwk import JWK
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IAgent

from nodetrust.acme import wire
from nodetrust.acme.deadline import Deadline, Shared
from nodetrust.acme.errors import (
    AcmeAccountRefused,
    AcmeAccountUnknown,
    AcmeError,
    AcmeMisbehaved,
    AcmeProblem,
    AcmeRefused,
    AcmeUsageError,
)
from nodetrust.acme.jws import ExternalAccount, key_change
from nodetrust.acme.requests import JSON_TYPE, Requests, Signer
from nodetrust.acme.transport import HttpResponse


class AccountClient(Requests):
    """Speaks to a CA as the account of `account_key`.

    `account_url`: what `register` returned in an earlier life, if it was kept. `contact`: `mailto:` URLs.
    `external_account`: what the CA gave out, where it makes accounts only for those whom it knows. With
    `agree_to_terms` the CA is told that its terms of service, whose URL is in its directory, are agreed to; without,
    it makes no account (`AcmeUserActionRequired`). The rest is as in `Requests`.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        directory_url: str,
        account_key: JWK,
        *,
        account_url: str | None = None,
        contact: Sequence[str] = (),
        external_account: ExternalAccount | None = None,
        agree_to_terms: bool = True,
        trust_root_pem: bytes | None = None,
        allow_loopback_http: bool = False,
        agent: IAgent | None = None,
        random: Random | None = None,
    ) -> None:
        super().__init__(
            reactor,
            directory_url,
            trust_root_pem=trust_root_pem,
            allow_loopback_http=allow_loopback_http,
            agent=agent,
            random=random,
        )
        self.account_key = account_key
        self._account_url = account_url
        self._contact = tuple(contact)
        self._external_account = external_account
        self._agree_to_terms = agree_to_terms
        self._registering: Shared[str] = Shared()

    @property
    def account_url(self) -> str | None:
        """The account's URL once it is known; worth keeping, it saves a request after a restart."""
        return self._account_url

    async def register(self, deadline: Deadline) -> str:
        """The account's URL: made now, or found again by its key. RFC 8555 §7.3.

        `AcmeAccountRefused`, or one of its kinds, where an operator must do something first.
        """
        url = (await self.directory(deadline)).new_account
        external = self._external_account
        binding = None if external is None else external.binding(self.account_key, url)
        payload = wire.new_account(self._contact, agreed=self._agree_to_terms, binding=binding)
        try:
            self._account_url = await self._account_of(self.account_key, payload, deadline)
        except AcmeRefused as refused:
            if refused.kind != "unauthorized":  # a binding that does not hold, an account that was deactivated
                raise
            raise AcmeAccountRefused(str(refused), kind=refused.kind, status=refused.status) from refused
        return self._account_url

    async def find_account(self, deadline: Deadline) -> str | None:
        """The account's URL if the CA knows our key; it makes none. RFC 8555 §7.3.1."""
        self._account_url = await self._existing(self.account_key, deadline)
        return self._account_url

    async def account(self, deadline: Deadline) -> wire.Account:
        """The account as the CA has it; made where there is none."""
        return await self._post_to_account(b"", deadline)

    async def update_contact(self, contact: Sequence[str], deadline: Deadline) -> wire.Account:
        """Replace the account's contacts (`mailto:` URLs). RFC 8555 §7.3.2."""
        self._contact = tuple(contact)
        return await self._post_to_account(wire.account_update(contact), deadline)

    async def change_key(self, new_key: JWK, deadline: Deadline) -> None:
        """Put another key in the place of `account_key`. RFC 8555 §7.3.5.

        Store the new key beside the old one before, and let no order be open: the values of its challenges hang on the
        key. Where it is unknown whether an earlier try arrived, whether in this life or in another, call it again
        with the same two keys: a CA that has the new key already is as good as one that takes it now.
        """
        directory = await self.directory(deadline)
        if directory.key_change is None:
            raise AcmeUsageError("the CA cannot change an account's key")
        account_url = self._account_url or await self.find_account(deadline)
        if account_url is not None:
            payload = key_change(self.account_key, new_key, account_url, directory.key_change)
            signer = Signer(self.account_key, account_url)
            refusal: AcmeError = AcmeMisbehaved("the CA took the new key and does not know it")
            try:
                await self.send(directory.key_change, payload, signer, deadline)
            except AcmeProblem as refused:
                # Signed with a key that the CA may have forgotten in favour of the new one. (Not by `post`, which
                # would make an account where there is none.)
                refusal = refused
            # Asked after a success, too: Pebble says 200 to the key of another account, and changes nothing.
            if (found := await self._existing(new_key, deadline)) != account_url:
                raise refusal if found is None else AcmeAccountRefused("the new key is that of another account")
        elif (account_url := await self._existing(new_key, deadline)) is None:
            raise AcmeUsageError("the CA has no account with either key")
        self.account_key, self._account_url = new_key, account_url

    async def deactivate(self, deadline: Deadline) -> None:
        """End the account for good: the CA refuses its key from now on. RFC 8555 §7.3.6."""
        account_url = self._account_url or await self.find_account(deadline)
        if account_url is None:
            raise AcmeUsageError("the CA has no account with this key")
        await self.send(account_url, wire.deactivation(), Signer(self.account_key, account_url), deadline)

    async def post(
        self, url: str, payload: bytes, deadline: Deadline, *, accept: str = JSON_TYPE, is_repeatable: bool = True
    ) -> HttpResponse:
        """A request in the account's name (`b""`: POST-as-GET); an account that the CA lost is made again, once."""
        return await self._in_our_name(
            lambda signer: self.send(url, payload, signer, deadline, accept=accept, is_repeatable=is_repeatable),
            deadline,
        )

    async def _post_to_account(self, payload: bytes, deadline: Deadline) -> wire.Account:
        answer = await self._in_our_name(
            lambda signer: self.send(str(signer.account_url), payload, signer, deadline), deadline
        )
        return wire.parse_account(answer.body, self.origin)

    async def _in_our_name(
        self, request: Callable[[Signer], Awaitable[HttpResponse]], deadline: Deadline
    ) -> HttpResponse:
        account_url = await self._known_url(deadline)
        try:
            return await request(Signer(self.account_key, account_url))
        except AcmeAccountUnknown:
            if self._account_url == account_url:
                self._account_url = None
        return await request(Signer(self.account_key, await self._known_url(deadline)))

    async def _known_url(self, deadline: Deadline) -> str:
        if self._account_url is not None:
            return self._account_url
        return await self._registering.result(self.register, deadline, "waiting for our account with the CA")

    async def _existing(self, key: JWK, deadline: Deadline) -> str | None:
        try:
            return await self._account_of(key, wire.existing_account(), deadline)
        except AcmeAccountUnknown:
            return None

    async def _account_of(self, key: JWK, payload: bytes, deadline: Deadline) -> str:
        directory = await self.directory(deadline)
        answer = await self.send(directory.new_account, payload, Signer(key), deadline)
        return self.origin.check(answer.location)
