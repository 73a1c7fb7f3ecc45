"""The proof server: it tells a peer, in a signed document, which address it saw the peer come from.

In reading order:

* `keys`: the keys that it signs with, one after the other
* `decide`: from a connection's address to the signed answer (pure)
* `service`: the libp2p protocols `/p2p/nodetrust/proof/1.0.0` and `1.1.0`, and the life of the server
* `settings`: what an operator may say
* `options`: `twistd nodetrust-proof`
"""
