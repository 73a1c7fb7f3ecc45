"""The issue server: it checks proofs, runs the ACME order with the CA, and hands the certificate to the peer.

In reading order:

* `errors`: a refusal, with the error number that the peer gets
* `keys`: which key algorithms there are, which one is taken, and what is read from a CSR (pure)
* `decide`: from a request to the order that it entitles to, or a refusal (pure)
* `nonces`: the nonces of `IssueInfo`, each good for one request (pure)
* `quota`: what an order draws from the CA's limits and from the operator's, and what it gets back (pure)
* `challenges/`: tells the DNS servers which challenges to answer, also one that was down meanwhile
* `account`: our account at the CA
* `orders`: from an order to a certificate: store, CA, and one order for two identical requests
* `protocol`: the libp2p protocols `/p2p/nodetrust/issue/info/1.0.0` and `/p2p/nodetrust/issue/1.0.0`
* `service`: the life of the server
* `settings`, `options`: what an operator may say, and `twistd nodetrust-issue`
"""
