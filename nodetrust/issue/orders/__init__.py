"""From an order to a certificate."""

from nodetrust.issue.orders.orders import Orders

__all__ = ["Orders"]
