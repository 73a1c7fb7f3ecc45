"""Whether a WSS address can be dialled from outside: a peer asks an issue or proof server to dial it back.

The server dials what strangers ask it to dial, so it must be of no use to scan ports, to reach what only the server
can reach, or to send others more than the asker has sent: it dials the very IP address that the question came from and
no other, looks up no name, and does so seldom.

In reading order:

* `outcome`: what became of one address, and the same on the wire (pure)
* `errors`: a question that is refused, and one that no server answers
* `decide`: from who asks and for what to what is dialled (pure)
* `bounds`: how much is dialled at once, and how often (pure)
* `dial`: one connection, to see who answers
* `protocol`: `/p2p/nodetrust/check/1.0.0`, the server's side
* `ask`: the side of the peer that asks
* `advice`: what a person can do about an address that is not reachable (pure)
"""
