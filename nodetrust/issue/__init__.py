"""The issue server: it checks proofs, runs the ACME order with the CA, and hands the certificate to the peer.

In reading order:

* `errors`: a refusal, with the error number that the peer gets
* `keys`: which key algorithms there are, which one is taken, and what is read from a CSR (pure)
* `evidence/`: what a peer's proofs are worth: whose word counts, and that each counts once
* `decide`: from a request to the order that it entitles to, or a refusal (pure)
* `sharing`: work that is done once for all who ask for the same
* `quota`: what an order draws from the CA's limits and from the operator's, and what it gets back (pure)
* `challenges/`: tells the DNS servers which challenges to answer, also one that was down meanwhile
* `authorities/`: the CAs in order of preference, our accounts there, and the pauses of those that failed
* `orders/`: from an order to a certificate, so that a kill at any point loses nothing and nothing is ordered twice
* `renewal/`: when to renew, by the CA's word, and how long it takes when very many are due
* `protocol`: the libp2p protocols `/p2p/nodetrust/issue/info/1.0.0` and `/p2p/nodetrust/issue/1.0.0`
* `own/`: the server's own name: its certificate, WSS and HTTPS
* `service`: the life of the server
* `settings`, `options`: what an operator may say, and `twistd nodetrust-issue`
"""
