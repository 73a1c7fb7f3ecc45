"""A certificate by AutoTLS: for `*.<CID of the peer>.<domain>`, ordered by the peer itself from an ACME CA.

Only the DNS is somebody else's: a broker connects to the peer, and then answers the CA's challenge for it. The first
broker is that of libp2p.direct. Specification: <https://github.com/libp2p/specs/blob/master/tls/autotls-client.md>;
the server: <https://github.com/ipshipyard/p2p-forge>.

In reading order:

* `errors`: why there is no certificate
* `wire`: what goes to a broker, and what its answers mean (pure)
* `agent`, `https`: connections, and requests, bounded
* `shown`: which certificate a server shows, trusted or not
* `broker`: is it well, and the registration of a value, and its removal, in the peer's name
* `removal`: after an order the value is taken back
* `places`: which addresses a broker is asked to connect to (pure)
* `reachable`: whether anybody could, as far as that is known
* `visible`: whether the DNS answers with the value
* `account`, `authority`: this peer's account at the CA, and orders
* `way`: all of it together
* `build`: from the settings to the ways
"""
