Each step of an order is in the store before it is relied on: after a kill at any moment the order is taken up where it was, and the CA sees no second one.
