"""`OrderClient`: orders and the authorizations in them. RFC 8555 §7.4 and §7.5."""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count

from acme import messages

from nodetrust.acme import wire
from nodetrust.acme.account import AccountClient
from nodetrust.acme.challenges import OpenChallenge, failed_try, failure_of, is_answered
from nodetrust.acme.deadline import Deadline
from nodetrust.acme.errors import (
    AcmeMisbehaved,
    AcmeOrderLost,
    AcmeOrderNotReady,
    AcmeProblem,
    AcmeRefused,
    AcmeServerTrouble,
    AcmeUnreachable,
)
from nodetrust.acme.links import linked
from nodetrust.acme.problems import problem_inside
from nodetrust.acme.profiles import choose_profile
from nodetrust.acme.renewal import is_refusal_of_replaces
from nodetrust.acme.retries import LOOK_AGAIN_PAUSES, Retries, jittered
from nodetrust.acme.transport import HttpResponse

_MAX_PAGES = 1000  # of an account's orders; Pebble shows three a page
_MAX_LISTED = 200  # orders that are looked at, newest first
_MAX_PLACED = 1000  # whose URLs are remembered
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


class OrderClient(AccountClient):
    """Places and advances orders; any number may be open side by side."""

    async def new_order(
        self, names: Sequence[str], deadline: Deadline, *, profile: str | None = None, replaces: str | None = None
    ) -> PlacedOrder:
        """Order a certificate for these names (lower case, wildcards as `*.a.example`). RFC 8555 §7.4.

        `replaces` is the `ari_id` of the certificate to be renewed (see `renewal.replaces`); it is dropped where the CA
        will not have it. An order whose answer did not come is looked for before another is placed.
        """
        directory = await self.directory(deadline)
        chosen = choose_profile(directory.profiles, profile)
        retries = Retries(self.random)
        while True:
            payload = wire.new_order(names, chosen, replaces)
            try:
                answer = await self.post(directory.new_order, payload, deadline, is_repeatable=False)
                return self._remembered(PlacedOrder(self.origin.check(answer.location), self._order(answer)), names)
            except (AcmeUnreachable, AcmeServerTrouble) as error:
                await self.pause_or_raise(error, retries, deadline)
                if (found := await self.find_order(names, deadline, besides=self._placed)) is not None:
                    return self._remembered(found, names)
                if isinstance(error, AcmeServerTrouble):
                    replaces = None  # Pebble answers so to the certificate of another CA
            except AcmeProblem as refused:
                if replaces is None or not is_refusal_of_replaces(refused):
                    raise
                replaces = None

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
        except (AcmeOrderLost, AcmeRefused, AcmeMisbehaved):
            pass  # a list, or an order in it, that went away meanwhile, is not for us, or makes no sense
        return None

    async def authorization(self, url: str, deadline: Deadline) -> messages.Authorization:
        """The authorization at `url`. RFC 8555 §7.5."""
        return wire.parse_authorization((await self.post(url, b"", deadline)).body)

    async def answer_challenge(self, challenge: OpenChallenge, deadline: Deadline) -> None:
        """Tell the CA that it may look for the proof, and wait until it agrees. RFC 8555 §7.5.1.

        A CA that has looked in vain and leaves it at that is told again: its resolver may have an old answer.
        """
        doing = f"waiting for the CA to validate {challenge.name}"
        if not challenge.answered:
            await self._begin_validation(challenge, deadline, doing)
        pauses = iter(LOOK_AGAIN_PAUSES)
        for polls in count():
            answer = await self.post(challenge.authorization_url, b"", deadline)
            authorization = wire.parse_authorization(answer.body)
            if authorization.status == messages.STATUS_VALID:
                return
            if authorization.status not in _WAITING:
                raise failure_of(authorization)
            if (failed := failed_try(authorization, challenge.url)) is None:
                await self.pause(polls, answer, deadline, doing)
                continue
            if (seconds := next(pauses, None)) is None:
                raise failed
            await deadline.sleep(jittered(seconds, self.random), doing)
            await self._begin_validation(challenge, deadline, doing)

    async def settled_order(self, url: str, deadline: Deadline) -> PlacedOrder:
        """The order once it is `ready` or `valid`; the error for one that became invalid. RFC 8555 §7.4."""
        polls = 0
        while True:
            answer = await self.post(url, b"", deadline)
            order = self._order(answer)
            if order.status in (messages.STATUS_READY, messages.STATUS_VALID):
                return PlacedOrder(url, order)
            if order.status not in _WAITING:
                raise problem_inside("the CA made the order invalid", order.error)
            await self.pause(polls, answer, deadline, "waiting for the CA to process the order")
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

    @cached_property
    def _placed(self) -> deque[str]:
        return deque(maxlen=_MAX_PLACED)

    def _order(self, answer: HttpResponse) -> messages.Order:
        return wire.parse_order(answer.body, self.origin)

    def _remembered(self, order: PlacedOrder, names: Collection[str]) -> PlacedOrder:
        self._placed.append(order.url)
        if not order.is_for(names):
            raise AcmeMisbehaved("the CA made an order for other names than ours")
        return order

    async def _begin_validation(self, challenge: OpenChallenge, deadline: Deadline, doing: str) -> None:
        try:
            answer = await self.post(challenge.url, b"{}", deadline)
        except AcmeRefused:
            # An earlier try may have arrived although its answer did not; a CA may refuse the second.
            authorization = await self.authorization(challenge.authorization_url, deadline)
            if not is_answered(authorization, challenge.url):
                raise
            return
        # Asked at once, a CA that is about to look says how long to wait, and that is seconds.
        await self.pause(0, answer, deadline, doing)

    async def _listed_orders(self, deadline: Deadline) -> list[str]:
        page = (await self.account(deadline)).orders
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
        await self.pause(0, answer, deadline, "waiting for the CA to issue the certificate")
        return await self.issued_order(order.url, deadline)
