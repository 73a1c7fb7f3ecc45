"""The durable way of one order: each step is in the store before it is relied on.

======================================  ==============================================================
a kill after                            and the next life
======================================  ==============================================================
the row is open                         orders: the quota is spent already
`placing` is noted                      looks for the order in the account's list, else orders; a CA
                                        without a list gives the pending order back by itself
the CA has taken it and told its URL    goes on from where the CA shows the order to be
the records are noted, then published   publishes them again, or withdraws them in the end
the CSR has gone to the CA              downloads the certificate: the CSR is in the row
certificate in the store, row settled   withdraws the records, and forgets the row
======================================  ==============================================================
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from nodetrust.acme import AcmeError, AcmeOrderLost, Deadline, Dns01Record, IssuedCertificate, PlacedOrder, complete
from nodetrust.issue.authorities import Authority
from nodetrust.issue.authorities.blame import is_no
from nodetrust.issue.orders.tools import Tools
from nodetrust.store import StoredOrder

ORDER_SECONDS = 300.0
"""A whole order. Let's Encrypt takes 5 to 20 seconds."""

MAX_ORDERS = 3
"""A CA that forgets three orders in a row is not asked again."""


class Reached(enum.Enum):
    """How far the CA has been asked."""

    NOTHING = "it has not taken the order, for sure"
    DOUBT = "its answer is not known"
    TAKEN = "it has taken the order"


class Steps:
    """Carries an order, new or taken up, to its certificate; `row` is as the store has it."""

    def __init__(self, tools: Tools, authority: Authority, row: StoredOrder, csr_der: bytes) -> None:
        self.row = row
        self.authority = authority
        self._epoch = tools.epoch
        self.reached = Reached.TAKEN if row.order_url else Reached.DOUBT if row.placing else Reached.NOTHING
        self._store = tools.store
        self._dns = tools.dns
        self._csr_der = csr_der
        self._records = set(row.records)

    async def run(self) -> IssuedCertificate:
        """The checked certificate. Raises `AcmeError`, `DnsServerError` and `StoreError`; the row stays open."""
        client, settings = self.authority.client, self.authority.settings
        deadline = Deadline(client.clock, ORDER_SECONDS)
        order = await self._known(deadline)
        for orders_left in reversed(range(MAX_ORDERS)):
            try:
                return await complete(
                    client,
                    order or await self._place(deadline),
                    self.row.request.names,
                    self._csr_der,
                    publish=self._publish,
                    withdraw=self._withdraw,
                    challenge=settings.challenge,
                    chain=settings.chain,
                    timeout_seconds=deadline.remaining_seconds,
                )
            except AcmeOrderLost:
                if not orders_left:
                    raise
                order = None
        raise AssertionError("the loop returns or raises")

    @property
    def records(self) -> tuple[tuple[str, str], ...]:
        """What is still published, as far as is known."""
        return tuple(sorted(self._records))

    async def _known(self, deadline: Deadline) -> PlacedOrder | str | None:
        """The order as an earlier life left it with the CA; None if it has to be placed."""
        if not self.row.placing:
            return self.row.order_url
        found = await self.authority.client.find_order(self.row.request.names, deadline)
        if found is not None:
            await self._store.note_placed(self.row.id, found.url, self._epoch)
            self.reached = Reached.TAKEN
        return found

    async def _place(self, deadline: Deadline) -> PlacedOrder:
        await self._store.note_placing(self.row.id, self._epoch)
        self.reached = Reached.DOUBT
        try:
            placed = await self.authority.client.new_order(
                self.row.request.names,
                deadline,
                profile=self.authority.settings.profile or None,
                replaces=self.row.replaces,
            )
        except AcmeError as error:
            if is_no(error):
                self.reached = Reached.NOTHING
            raise
        await self._store.note_placed(self.row.id, placed.url, self._epoch)
        self.reached = Reached.TAKEN
        return placed

    async def _publish(self, records: Sequence[Dns01Record]) -> None:
        self._records.update((record.fqdn, record.value) for record in records)
        await self._store.note_records(self.row.id, self.records, self._epoch)
        await self._dns.publish([(record.fqdn, record.value) for record in records])

    async def _withdraw(self, records: Sequence[Dns01Record]) -> None:
        pairs = [(record.fqdn, record.value) for record in records]
        await self._dns.withdraw(pairs)
        if not self._dns.owes(pairs):
            self._records.difference_update(pairs)
