"""`AcmeClient`: one account at one CA, and the requests of RFC 8555. Several orders may run on it side by side."""

import random as random_module
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from random import Random

from acme import messages
from josepy.jwk import JWK
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IAgent

from nodetrust.acme import wire
from nodetrust.acme.certificate import ari_id
from nodetrust.acme.challenges import Dns01Challenge, failure_of, is_answered
from nodetrust.acme.deadline import Deadline
from nodetrust.acme.errors import (
    AcmeAccountUnknown,
    AcmeError,
    AcmeMisbehaved,
    AcmeOrderLost,
    AcmeOrderNotReady,
    AcmeProblem,
    AcmeRefused,
    AcmeReplacesRefused,
)
from nodetrust.acme.jws import signed_request
from nodetrust.acme.links import linked
from nodetrust.acme.nonces import NoncePool
from nodetrust.acme.problems import problem_inside, problem_of_response
from nodetrust.acme.profiles import choose_profile
from nodetrust.acme.retries import Retries, parse_retry_after, poll_pause
from nodetrust.acme.transport import HttpResponse, HttpTransport
from nodetrust.acme.urls import Origin

CHAIN_TYPE = "application/pem-certificate-chain"

_JSON = "application/json"
_PROBLEM = "application/problem+json"
_DIRECTORY_SECONDS = 3600.0  # how long a directory is believed
_MAX_PAGES = 1000  # of an account's orders; Pebble shows three a page
_MAX_LISTED = 200  # orders that are looked at, newest first
_UNTOUCHED = (messages.STATUS_PENDING, messages.STATUS_READY)
_WAITING = (messages.STATUS_PENDING, messages.STATUS_PROCESSING)


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """An order as the CA last showed it."""

    url: str
    body: messages.Order

    def is_for(self, names: Collection[str]) -> bool:
        """Whether its identifiers are exactly these."""
        return sorted(identifier.value for identifier in self.body.identifiers or ()) == sorted(names)


class AcmeClient:
    """Speaks to the CA whose directory is at `directory_url`, as the account of `account_key`.

    `trust_root_pem`: the only roots to trust, PEM (None: the system's). `account_url`: what `register` returned in an
    earlier life, if it was kept. `contact`: `mailto:` URLs. `agent`: another way to do HTTP. The reactor's clock must
    show the time of day, for certificates are checked with it. Raises `AcmeUsageError` for a URL without https.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        directory_url: str,
        account_key: JWK,
        *,
        account_url: str | None = None,
        contact: Sequence[str] = (),
        trust_root_pem: bytes | None = None,
        allow_loopback_http: bool = False,
        agent: IAgent | None = None,
        random: Random | None = None,
    ) -> None:
        self.clock = reactor
        self.account_key = account_key
        self.origin = Origin.of_directory(directory_url, allow_loopback_http=allow_loopback_http)
        self._directory_url = directory_url
        self._account_url = account_url
        self._contact = tuple(contact)
        self._transport = HttpTransport(reactor, self.origin, trust_root_pem, agent)
        self._random = random_module.SystemRandom() if random is None else random
        self._nonces = NoncePool()
        self._directory: tuple[float, wire.Directory] | None = None

    @property
    def account_url(self) -> str | None:
        """The account's URL once it is known; worth keeping, it saves a request after a restart."""
        return self._account_url

    def now(self) -> datetime:
        """The reactor's time of day."""
        return datetime.fromtimestamp(self.clock.seconds(), UTC)

    async def directory(self, deadline: Deadline) -> wire.Directory:
        """The CA's directory, fetched at most once an hour."""
        if self._directory is None or self.clock.seconds() - self._directory[0] > _DIRECTORY_SECONDS:
            answer = await self._get(self._directory_url, deadline)
            self._directory = (self.clock.seconds(), wire.parse_directory(answer.body, self.origin))
        return self._directory[1]

    async def register(self, deadline: Deadline) -> str:
        """The account's URL: made now, or found again by its key. The CA's terms are agreed to. RFC 8555 §7.3."""
        directory = await self.directory(deadline)
        answer = await self._send(directory.new_account, wire.new_account(self._contact), deadline, None)
        self._account_url = self.origin.check(answer.location)
        return self._account_url

    async def new_order(
        self, names: Sequence[str], deadline: Deadline, *, profile: str | None = None, replaces: str | None = None
    ) -> PlacedOrder:
        """Order a certificate for these names (lower case, wildcards as `*.a.example`). RFC 8555 §7.4.

        `replaces` is the `ari_id` of the certificate to be renewed; it is dropped where the CA will not have it.
        """
        directory = await self.directory(deadline)
        chosen = choose_profile(directory.profiles, profile)
        try:
            answer = await self.post(directory.new_order, wire.new_order(names, chosen, replaces), deadline)
        except (AcmeReplacesRefused, AcmeRefused) as refused:
            if replaces is None or (isinstance(refused, AcmeRefused) and refused.kind != "malformed"):
                raise
            return await self.new_order(names, deadline, profile=profile)
        order = PlacedOrder(self.origin.check(answer.location), self._order(answer))
        if not order.is_for(names):
            raise AcmeMisbehaved("the CA made an order for other names than ours")
        return order

    async def order(self, url: str, deadline: Deadline) -> PlacedOrder:
        """The order at `url`, whatever its status; `AcmeOrderLost` where the CA knows it no longer. RFC 8555 §7.1.3."""
        return PlacedOrder(url, self._order(await self.post(self.origin.check(url), b"", deadline)))

    async def find_order(
        self, names: Sequence[str], deadline: Deadline, *, besides: Collection[str] = ()
    ) -> PlacedOrder | None:
        """An order for exactly these names that nobody has finalized, `pending` or `ready`, and is not in `besides`.

        The newest one of the account's list; None where there is none, or the CA keeps no list, as Let's Encrypt.
        For an order whose URL was lost with the answer to `new_order`: one that is further on than `ready` was known to
        somebody. RFC 8555 §7.1.2.1.
        """
        try:
            urls = await self._listed_orders(deadline)
            for url in urls:
                if url in besides:
                    continue
                order = await self.order(url, deadline)
                if order.body.status in _UNTOUCHED and order.is_for(names):
                    return order
        except AcmeOrderLost:
            pass  # a list, or an order in it, that went away meanwhile
        return None

    async def authorization(self, url: str, deadline: Deadline) -> messages.Authorization:
        """The authorization at `url`. RFC 8555 §7.5."""
        return wire.parse_authorization((await self.post(url, b"", deadline)).body)

    async def answer_challenge(self, challenge: Dns01Challenge, deadline: Deadline) -> None:
        """Tell the CA that the TXT value is there, and wait until it agrees. RFC 8555 §7.5.1."""
        if not challenge.answered:
            await self._begin_validation(challenge, deadline)
        for polls in count():
            answer = await self.post(challenge.authorization_url, b"", deadline)
            authorization = wire.parse_authorization(answer.body)
            if authorization.status == messages.STATUS_VALID:
                return
            if authorization.status not in _WAITING:
                raise failure_of(authorization)
            await self._pause(polls, answer, deadline, f"waiting for the CA to validate {challenge.record.fqdn}")

    async def settled_order(self, url: str, deadline: Deadline) -> PlacedOrder:
        """The order once it is `ready` or `valid`; the error for one that became invalid. RFC 8555 §7.4."""
        polls = 0
        while True:
            answer = await self.post(url, b"", deadline)
            order = self._order(answer)
            if order.status in (messages.STATUS_READY, messages.STATUS_VALID):
                return PlacedOrder(url, order)
            if order.status not in _WAITING:
                raise problem_inside("order", order.error)
            await self._pause(polls, answer, deadline, "waiting for the CA to process the order")
            polls += 1

    async def finalize(self, order: PlacedOrder, csr_der: bytes, deadline: Deadline) -> PlacedOrder:
        """Send the CSR of an order whose names are all proved; returns the `valid` order. RFC 8555 §7.4."""
        try:
            return await self._finalized(order, csr_der, deadline)
        except AcmeOrderNotReady:
            # The CA has not noticed yet; or an earlier try arrived although its answer did not.
            found = await self.settled_order(order.url, deadline)
        if found.body.status == messages.STATUS_VALID:
            return found
        return await self._finalized(found, csr_der, deadline)

    async def issued_order(self, url: str, deadline: Deadline) -> PlacedOrder:
        """The order, which was finalized before, once it is `valid`. RFC 8555 §7.4."""
        order = await self.settled_order(url, deadline)
        if order.body.status != messages.STATUS_VALID:
            raise AcmeMisbehaved("the CA took back an order that it had begun to process")
        return order

    async def download(self, order: PlacedOrder, deadline: Deadline) -> bytes:
        """The chain of a `valid` order, PEM as it came: unchecked. RFC 8555 §7.4.2."""
        url = self.origin.check(order.body.certificate)
        answer = await self.post(url, b"", deadline, accept=CHAIN_TYPE)
        return answer.body

    async def renewal_window(self, certificate_pem: bytes, deadline: Deadline) -> wire.RenewalWindow | None:
        """When the CA wants this certificate renewed; None where it has no opinion (RFC 9773 §4)."""
        directory = await self.directory(deadline)
        if directory.renewal_info is None:
            return None
        answer = await self._get(f"{directory.renewal_info.rstrip('/')}/{ari_id(certificate_pem)}", deadline)
        return wire.parse_renewal_window(answer.body)

    async def post(self, url: str, payload: bytes, deadline: Deadline, *, accept: str = _JSON) -> HttpResponse:
        """A request in the account's name (`b""`: POST-as-GET); an account that the CA lost is made again, once."""
        account_url = self._account_url or await self.register(deadline)
        try:
            return await self._send(url, payload, deadline, account_url, accept)
        except AcmeAccountUnknown:
            if self._account_url == account_url:
                self._account_url = None
        return await self._send(url, payload, deadline, self._account_url or await self.register(deadline), accept)

    async def close(self) -> None:
        """Close idle connections."""
        await self._transport.close()

    def _order(self, answer: HttpResponse) -> messages.Order:
        return wire.parse_order(answer.body, self.origin)

    async def _begin_validation(self, challenge: Dns01Challenge, deadline: Deadline) -> None:
        try:
            await self.post(challenge.url, b"{}", deadline)
        except AcmeRefused:
            # An earlier try may have arrived although its answer did not; a CA may refuse the second.
            authorization = await self.authorization(challenge.authorization_url, deadline)
            if not is_answered(authorization, challenge.url):
                raise

    async def _listed_orders(self, deadline: Deadline) -> list[str]:
        account_url = self._account_url or await self.register(deadline)
        page: str | None = wire.parse_account((await self.post(account_url, b"", deadline)).body, self.origin).orders
        newest: deque[str] = deque(maxlen=_MAX_LISTED)
        for _ in range(_MAX_PAGES):
            if page is None:
                break
            answer = await self.post(page, b"", deadline)
            newest.extend(wire.parse_orders(answer.body, self.origin))
            page = next(iter(linked(answer.links, "next", page, self.origin)), None)
        return list(reversed(newest))

    async def _finalized(self, order: PlacedOrder, csr_der: bytes, deadline: Deadline) -> PlacedOrder:
        answer = await self.post(self.origin.check(order.body.finalize), wire.finalize(csr_der), deadline)
        if (body := self._order(answer)).status == messages.STATUS_VALID:
            return PlacedOrder(order.url, body)
        await self._pause(0, answer, deadline, "waiting for the CA to issue the certificate")
        return await self.issued_order(order.url, deadline)

    async def _pause(self, polls: int, answer: HttpResponse, deadline: Deadline, doing: str) -> None:
        asked = parse_retry_after(answer.retry_after, self.now())
        await deadline.sleep(poll_pause(polls, asked, self._random), doing)

    async def _get(self, url: str, deadline: Deadline) -> HttpResponse:
        retries = Retries(self._random)
        while True:
            try:
                return self._judged(await self._transport.request("GET", url, deadline), _JSON)
            except AcmeError as error:
                await self._pause_or_raise(error, retries, deadline)

    async def _send(
        self, url: str, payload: bytes, deadline: Deadline, account_url: str | None, accept: str = _JSON
    ) -> HttpResponse:
        retries = Retries(self._random)
        while True:
            try:
                nonce = self._nonces.take() or await self._fresh_nonce(deadline)
                body = signed_request(payload, self.account_key, url=url, nonce=nonce, account_url=account_url)
                answer = await self._transport.request("POST", url, deadline, body=body, accept=accept)
                self._nonces.put(answer.nonce)
                return self._judged(answer, accept)
            except AcmeError as error:
                await self._pause_or_raise(error, retries, deadline)

    async def _pause_or_raise(self, error: AcmeError, retries: Retries, deadline: Deadline) -> None:
        pause = retries.pause_after(error)
        if pause is None or pause >= deadline.remaining_seconds:
            raise error
        if pause > 0:
            await deadline.sleep(pause, "waiting to ask the CA again")

    async def _fresh_nonce(self, deadline: Deadline) -> str:
        answer = await self._transport.request("HEAD", (await self.directory(deadline)).new_nonce, deadline)
        if answer.status >= 400:
            raise self._problem(answer)
        self._nonces.put(answer.nonce)
        nonce = self._nonces.take()
        if nonce is None:
            raise AcmeMisbehaved("the CA gave no nonce")
        return nonce

    def _judged(self, answer: HttpResponse, expected: str) -> HttpResponse:
        if answer.status >= 400:
            raise self._problem(answer)
        if answer.body and answer.media_type != expected:
            raise AcmeMisbehaved(f"the CA sent another type than {expected}")
        return answer

    def _problem(self, answer: HttpResponse) -> AcmeProblem:
        document = None
        if answer.media_type == _PROBLEM:
            try:
                document = wire.parse_document(answer.body)
            except AcmeMisbehaved:
                document = None  # the status alone still says enough
        return problem_of_response(answer.status, parse_retry_after(answer.retry_after, self.now()), document)
