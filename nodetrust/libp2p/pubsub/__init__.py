"""Publish and subscribe: gossipsub v1.2, and floodsub for peers that speak only that.

Specification: https://github.com/libp2p/specs/tree/master/pubsub

To read in this order:

* ``parameters``: protocol IDs, the specification's parameters, our limits
* ``wire``: RPCs, bytes ⇄ values
* ``signing`` and ``ids``: who wrote a message, and what it is called
* ``effects`` and ``machine``: the router, pure
* ``seen``, ``mcache``, ``gossip``, ``unwanted``, ``backoff``, ``checks``, ``rates`` and ``score``: its parts
* ``outbox`` and ``streams``: what waits for a slow peer, and the two streams to and from each
* ``messages`` and ``numbers``: what applications see of a message, and how messages are told from replays
* ``service``: :class:`~nodetrust.libp2p.pubsub.service.PubSub`, what applications use
"""

from nodetrust.libp2p.pubsub.machine import Verdict
from nodetrust.libp2p.pubsub.messages import PubSubMessage
from nodetrust.libp2p.pubsub.numbers import HighestNumbers, Numbers
from nodetrust.libp2p.pubsub.service import PubSub

__all__ = ["HighestNumbers", "Numbers", "PubSub", "PubSubMessage", "Verdict"]
