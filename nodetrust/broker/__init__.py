"""The AutoTLS broker: with its help js-libp2p, Kubo, nim-libp2p and others get certificates, unmodified.

Such a node is its own ACME client. It asks the broker, over HTTP, to answer the CA's dns-01 challenge in its name, at
`_acme-challenge.<peer>.<zone>`; the broker dials the node first. The protocol is p2p-forge's
(<https://github.com/ipshipyard/p2p-forge>, <https://github.com/libp2p/specs/blob/master/tls/autotls-client.md>).

In reading order:

* `errors`, `wire`: what is refused, and bodies (pure)
* `sources`, `decide`, `quota`, `targets`: where a request comes from, what is dialled for it, what it costs who asks,
  and how often an address is dialled, whoever asks (pure)
* `ours`, `dialback`: dialling the node
* `broker`: what is done for a peer that has proven who it is
* `metrics`, `pages`: what is counted, and HTTP
* `settings`, `service`: all of it together, with what the role that runs it has: a host, a store, DNS servers, lists
"""
