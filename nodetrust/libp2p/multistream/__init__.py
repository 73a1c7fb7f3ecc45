"""multistream-select 1.0.0: two peers agree on the protocol that a channel speaks from here on.

Specification: https://github.com/multiformats/multistream-select and libp2p/specs `connections/README.md`.

Read in this order: `wire` (one message), `machine` (`Dialer`, `Listener`: bytes in, events out), `transport`
(`select_outbound`, `select_inbound`, `LazyChannel`: on a channel).
"""

from nodetrust.libp2p.multistream.transport import LazyChannel, select_inbound, select_outbound

__all__ = ["LazyChannel", "select_inbound", "select_outbound"]
