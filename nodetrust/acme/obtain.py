"""`obtain`: a whole order, from names to a checked certificate."""

from collections.abc import Sequence

from nodetrust.acme.certificate import IssuedCertificate
from nodetrust.acme.challenges import ChallengeType
from nodetrust.acme.client import AcmeClient
from nodetrust.acme.complete import DEFAULT_SECONDS, Publish, Work, check_request
from nodetrust.acme.deadline import Deadline
from nodetrust.acme.errors import AcmeOrderLost

_MAX_ORDERS = 3  # a CA that forgets three orders in a row is not asked again


async def obtain(
    client: AcmeClient,
    names: Sequence[str],
    csr_der: bytes,
    publish: Publish,
    withdraw: Publish,
    *,
    profile: str | None = None,
    replaces: str | None = None,
    challenge: ChallengeType = "dns-01",
    chain: str = "",
    timeout_seconds: float = DEFAULT_SECONDS,
) -> IssuedCertificate:
    """A certificate for exactly `names`, which are also the CSR's: `new_order` and `complete`, which explains the rest.

    What was published is withdrawn in any case. Where the CA forgets the order it is made again, within the same time.
    `replaces`: `ari_id` of the certificate that this one renews. Raises `AcmeError`, and what `publish` raises.
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
        is_resumable=False,  # nobody else knows of the order
    )
    orders_left = _MAX_ORDERS
    while True:
        orders_left -= 1
        try:
            return await work.complete(await client.new_order(names, deadline, profile=profile, replaces=replaces))
        except AcmeOrderLost:
            if not orders_left:
                raise
