"""`obtain`: a whole order, from names to a checked certificate."""

from collections.abc import Awaitable, Callable, Sequence

from acme import messages
from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from nodetrust.acme import wire
from nodetrust.acme.certificate import IssuedCertificate, check_chain, check_csr
from nodetrust.acme.challenges import Dns01Challenge, Dns01Record, open_challenges
from nodetrust.acme.client import AcmeClient, PlacedOrder
from nodetrust.acme.deadline import Deadline, in_parallel
from nodetrust.acme.errors import AcmeOrderLost, AcmeUsageError

DEFAULT_SECONDS = 300.0
"""A whole order. Let's Encrypt takes 5 to 20 seconds."""

_MAX_ORDERS = 3  # a CA that forgets three orders in a row is not asked again
_WITHDRAW_SECONDS = 30.0

Publish = Callable[[Sequence[Dns01Record]], Awaitable[None]]

_log = Logger()


async def obtain(
    client: AcmeClient,
    names: Sequence[str],
    csr_der: bytes,
    publish: Publish,
    withdraw: Publish,
    *,
    profile: str | None = None,
    replaces: str | None = None,
    timeout_seconds: float = DEFAULT_SECONDS,
) -> IssuedCertificate:
    """A certificate for exactly `names`, which are also the CSR's.

    `publish` gets all records of an order in one call, and returns when every DNS server answers with them; it is not
    called where all names are still authorized. `withdraw` gets the same records in the end, whatever happened since,
    even if `publish` failed half-way; what it raises is logged.

    `replaces`: `ari_id` of the certificate that this one renews. Raises `AcmeError`, and what `publish` raises.
    """
    if not 1 <= len(names) <= wire.MAX_NAMES or len(set(names)) != len(names):
        raise AcmeUsageError(f"an order has 1 to {wire.MAX_NAMES} different names")
    check_csr(csr_der, names)
    deadline = Deadline(client.clock, timeout_seconds)
    for orders_left in reversed(range(_MAX_ORDERS)):
        try:
            order = await client.new_order(names, deadline, profile=profile, replaces=replaces)
            if challenges := await _open_challenges(client, order, names, deadline):
                await _prove(client, challenges, publish, withdraw, deadline)
            issued = ready = await client.settled_order(order.url, deadline)
            if ready.body.status != messages.STATUS_VALID:
                issued = await client.finalize(ready, csr_der, deadline)
            chain_pem = await client.download(issued, deadline)
            break
        except AcmeOrderLost:
            if not orders_left:
                raise
    return check_chain(chain_pem, csr_der, names, client.now())


async def _open_challenges(
    client: AcmeClient, order: PlacedOrder, names: Sequence[str], deadline: Deadline
) -> tuple[Dns01Challenge, ...]:
    urls = order.body.authorizations
    found = await in_parallel(client.authorization(url, deadline) for url in urls)
    return open_challenges(list(zip(urls, found, strict=True)), names, client.account_key, client.origin)


async def _prove(
    client: AcmeClient,
    challenges: Sequence[Dns01Challenge],
    publish: Publish,
    withdraw: Publish,
    deadline: Deadline,
) -> None:
    records = [challenge.record for challenge in challenges]
    try:
        await deadline.limit(publish(records), "publishing the challenges")
        await in_parallel(client.answer_challenge(challenge, deadline) for challenge in challenges)
    finally:
        await _withdraw_all(client, records, withdraw)


async def _withdraw_all(client: AcmeClient, records: Sequence[Dns01Record], withdraw: Publish) -> None:
    try:
        await Deadline(client.clock, _WITHDRAW_SECONDS).limit(withdraw(records), "withdrawing the challenges")
    except CancelledError:
        raise
    except (
        Exception
    ) as error:  # the caller's own code; the certificate matters more than a record that times out by itself
        _log.warn("Could not withdraw ACME challenges: {error}", error=error)
