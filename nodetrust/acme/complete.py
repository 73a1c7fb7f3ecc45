"""`complete`: from an order, in whatever state it is, to a checked certificate."""

from collections.abc import Awaitable, Callable, Sequence

from acme import messages
from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from nodetrust.acme import wire
from nodetrust.acme.certificate import IssuedCertificate, check_chain, check_csr, is_for_key, top_issuer
from nodetrust.acme.challenges import ChallengeType, Dns01Record, OpenChallenge, Prover, open_challenges
from nodetrust.acme.client import AcmeClient
from nodetrust.acme.deadline import Deadline, in_parallel
from nodetrust.acme.errors import (
    AcmeError,
    AcmeMisbehaved,
    AcmeOrderLost,
    AcmeRateLimited,
    AcmeServerTrouble,
    AcmeTimedOut,
    AcmeUnreachable,
    AcmeUsageError,
)
from nodetrust.acme.orders import PlacedOrder

DEFAULT_SECONDS = 300.0
"""A whole order. Let's Encrypt takes 5 to 20 seconds."""

_WITHDRAW_SECONDS = 30.0
_UNDECIDED = (CancelledError, AcmeUnreachable, AcmeTimedOut, AcmeMisbehaved, AcmeServerTrouble, AcmeRateLimited)
_FINALIZED = (messages.STATUS_PROCESSING, messages.STATUS_VALID)

Publish = Callable[[Sequence[Dns01Record]], Awaitable[None]]

_log = Logger()


async def complete(
    client: AcmeClient,
    order: PlacedOrder | str,
    names: Sequence[str],
    csr_der: bytes,
    *,
    publish: Publish,
    withdraw: Publish,
    challenge: ChallengeType = "dns-01",
    chain: str = "",
    timeout_seconds: float = DEFAULT_SECONDS,
) -> IssuedCertificate:
    """The certificate of an order for exactly `names`, as `new_order` gave it, or by its URL in a later life.

    Whatever was done before is not done again: names that are proved are not published, a challenge that the CA was
    told of is only waited for, and an order that was finalized is only downloaded.

    `challenge`: "dns-persist-01" for a zone that names this account as one that may order; where the CA does not offer
    it, dns-01 all the same. `chain`: the common name of the issuer whose chain to take, if the CA offers several.

    `publish` gets all records that are still needed in one call, and returns when every DNS server answers with them.
    `withdraw` gets the same records in the end, even if `publish` failed half-way; what it raises is logged. But they
    stay where the CA was told to look and it is unknown whether it has, because we were cancelled or it does not answer
    as it should: not to find them would be a failed validation, and the end of an order that can still be taken up.

    Raises `AcmeOrderLost` where the CA forgot the order, or it was finalized with another key (then a new order is
    needed), another `AcmeError`, and what `publish` raises.
    """
    check_request(names, csr_der)
    deadline = Deadline(client.clock, timeout_seconds)
    work = Work(
        client,
        names,
        csr_der,
        publish=publish,
        withdraw=withdraw,
        challenge=challenge,
        chain=chain,
        deadline=deadline,
        is_resumable=True,
    )
    return await work.complete(order if isinstance(order, PlacedOrder) else await client.order(order, deadline))


def check_request(names: Sequence[str], csr_der: bytes) -> None:
    """`AcmeUsageError` unless an order can have these names, and the CSR is for just them."""
    if not 1 <= len(names) <= wire.MAX_NAMES or len(set(names)) != len(names):
        raise AcmeUsageError(f"an order has 1 to {wire.MAX_NAMES} different names")
    check_csr(csr_der, names)


class Work:
    """What all steps of an order need to know."""

    def __init__(
        self,
        client: AcmeClient,
        names: Sequence[str],
        csr_der: bytes,
        *,
        publish: Publish,
        withdraw: Publish,
        challenge: ChallengeType,
        chain: str,
        deadline: Deadline,
        is_resumable: bool,
    ) -> None:
        self._deadline = deadline
        self._client = client
        self._names = names
        self._csr_der = csr_der
        self._publish = publish
        self._withdraw = withdraw
        self._challenge = challenge
        self._chain = chain
        self._is_resumable = is_resumable

    async def complete(self, order: PlacedOrder) -> IssuedCertificate:
        """As `complete` above."""
        if not order.is_for(self._names):
            raise AcmeMisbehaved("the CA's order is for other names than ours")
        finalized_before = order.body.status in _FINALIZED
        if order.body.status == messages.STATUS_PENDING:
            await self._prove(await self._open_challenges(order))
        issued = await self._issued(order)
        chain_pem, alternates = await self._client.download(issued, self._deadline)
        if finalized_before and not is_for_key(chain_pem, self._csr_der):
            raise AcmeOrderLost("the order was finalized before, with another key")
        certificate = self._checked(chain_pem)
        if self._chain and top_issuer(certificate) != self._chain:
            return await self._with_chain(certificate, alternates)
        return certificate

    def _checked(self, chain_pem: bytes) -> IssuedCertificate:
        return check_chain(chain_pem, self._csr_der, self._names, self._client.now())

    async def _with_chain(self, certificate: IssuedCertificate, alternates: Sequence[str]) -> IssuedCertificate:
        """The certificate with the chain that was asked for, or as it is: it is issued, and worth more than a wish."""
        for url in alternates:
            try:
                other = self._checked(await self._client.download_alternate(url, self._deadline))
            except AcmeError as error:
                _log.warn("An alternate chain of the CA cannot be used: {error}", error=error)
                continue
            if other.certificate_pem == certificate.certificate_pem and top_issuer(other) == self._chain:
                return other
        _log.warn("The CA has no chain of the issuer {chain}; its usual one is taken", chain=self._chain)
        return certificate

    async def _open_challenges(self, order: PlacedOrder) -> tuple[OpenChallenge, ...]:
        urls = order.body.authorizations
        found = await in_parallel(self._client.authorization(url, self._deadline) for url in urls)
        client = self._client
        prover = Prover(client.account_key, client.account_url, client.origin, self._challenge)
        return open_challenges(list(zip(urls, found, strict=True)), self._names, prover)

    async def _prove(self, challenges: Sequence[OpenChallenge]) -> None:
        records = [challenge.record for challenge in challenges if challenge.record is not None]
        stay = False
        try:
            if records:
                await self._deadline.limit(self._publish(records), "publishing the challenges")
            try:
                await in_parallel(self._client.answer_challenge(one, self._deadline) for one in challenges)
            except _UNDECIDED:
                stay = self._is_resumable
                raise
        finally:
            if records and not stay:
                await self._withdraw_all(records)

    async def _withdraw_all(self, records: Sequence[Dns01Record]) -> None:
        patience = Deadline(self._client.clock, _WITHDRAW_SECONDS)
        try:
            await patience.limit(self._withdraw(records), "withdrawing the challenges")
        except CancelledError:
            raise
        except Exception as error:
            # The caller's own code; the certificate matters more than a record that times out by itself.
            _log.warn("Could not withdraw ACME challenges: {error}", error=error)

    async def _issued(self, order: PlacedOrder) -> PlacedOrder:
        match order.body.status:
            case messages.STATUS_VALID:
                return order
            case messages.STATUS_PENDING | messages.STATUS_READY:
                # All names are proved: the CA is not asked whether it has noticed, for `finalize` finds out.
                return await self._client.finalize(order, self._csr_der, self._deadline)
        return await self._client.issued_order(order.url, self._deadline)
