"""From an order to a certificate, so that a kill at any point loses nothing and nothing is ordered twice.

In reading order:

* `requests`: what makes two requests the same, and the answer (pure)
* `tools`: what all orders need
* `queue`, `turns`: so many orders at a time, one after the other of all networks
* `waiting`: work that is done once for all who ask for the same
* `unsaved`, `cache`: certificates that are there already
* `steps`: the durable way of one order; the table there says what a kill leaves, and what the next life does
* `cleaning`: the end of an order's row
* `endings`: what becomes of an order's row: its certificate, its end, or another try later
* `placing`: a new order, at one CA after the other
* `resuming`: an order that was left open
* `issuing`: these two, and an order of another server
* `upkeep`: what happens by itself: signs of life, orders of dead servers, clearing
* `orders`: all of it together
"""

from nodetrust.issue.orders.orders import Orders

__all__ = ["Orders"]
