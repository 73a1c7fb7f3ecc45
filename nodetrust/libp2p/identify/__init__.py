"""identify: what a peer tells about itself, and the address it sees us at, on every connection and when it changes.

Specification: https://github.com/libp2p/specs/blob/master/identify/README.md

Read in this order: `wire` (the value and its bytes), `service` (asking, answering, pushing).
"""

from nodetrust.libp2p.identify.service import IdentifyService
from nodetrust.libp2p.identify.wire import IDENTIFY, PUSH, Identify

__all__ = ["IDENTIFY", "PUSH", "Identify", "IdentifyService"]
