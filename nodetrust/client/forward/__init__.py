"""WSS in front of a libp2p node that knows nothing of nodetrust: what comes out of TLS and WebSocket goes to the node's
TCP listener as it is, and back.

The bytes are the libp2p connection between a browser and the node, which Noise or TLS has encrypted: the node proves
its own peer ID, and nothing here can read or change what they say (libp2p/specs `websockets/README.md`).

In reading order:

* `errors`: nobody is behind
* `target`: where the node listens (pure)
* `connect`: a connection to it
* `pipe`: one browser, one connection to the node, and what goes between them
* `forwarder`: listens for WSS, and makes a pipe for everybody who comes
* `behind`: which peer the node is, and whether it is there
"""

from nodetrust.client.forward.behind import NodeBehind, node_peer
from nodetrust.client.forward.errors import InvalidTarget, NoNode
from nodetrust.client.forward.forwarder import Forwarder
from nodetrust.client.forward.target import Target

__all__ = ["Forwarder", "InvalidTarget", "NoNode", "NodeBehind", "Target", "node_peer"]
