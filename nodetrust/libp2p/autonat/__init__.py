"""AutoNAT version 2, the side that asks: a peer that we are connected to dials us back, at one address.

Specification: <https://github.com/libp2p/specs/blob/master/autonat/autonat-v2.md>. In reading order:

* `wire`: the messages (pure)
* `client`: one question, and the stream on which the peer comes back
"""

from nodetrust.libp2p.autonat.client import AutoNat, Reached
from nodetrust.libp2p.autonat.wire import DIAL_REQUEST

__all__ = ["DIAL_REQUEST", "AutoNat", "Reached"]
