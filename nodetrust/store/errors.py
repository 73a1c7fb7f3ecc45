"""What can go wrong with the store."""

from nodetrust.errors import NodetrustError
from nodetrust.store.values import StoredOrder


class StoreError(NodetrustError):
    """The database cannot be opened, read or written. The text names the database.

    What was asked has not happened, but for one case that nobody can tell apart: the database went away, or was too
    slow, after it was told to commit. So ask what is there before a step that costs something is done again.
    """


class OrderTaken(StoreError):
    """The order is not ours any more: another server has taken it up, or has ended it. Do nothing further for it."""


class OrderIsOpen(NodetrustError):
    """There is an unfinished `order` for the same already.

    `owned_by_living`: another server that lives works on it; otherwise `claim_order` gives it to whoever asks.
    """

    def __init__(self, order: StoredOrder, owned_by_living: bool) -> None:
        super().__init__(f"order {order.id} is open for the same names and key")
        self.order = order
        self.owned_by_living = owned_by_living
