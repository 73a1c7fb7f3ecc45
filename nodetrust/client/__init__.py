"""The client: it obtains a certificate for the addresses a peer proves, serves WSS with it, and announces itself.

In reading order:

* `errors`: why there is no certificate
* `prove`: issue info, and proofs in parallel: of each family, over new connections
* `obtain`: CSR and certificate; usable alone with any host
* `ways`, `by_issuer`: a way to a certificate, of which there are several kinds; that by an issue server
* `files`: a certificate and its key in a folder
* `renewal`: when to ask for the next certificate, or for new proofs (pure)
* `plan`: the plan for the next certificate, which the issue server may move (pure)
* `upkeep`: the stored certificate, the next one in time, another after a move
* `announced`: which addresses others are told (pure)
* `service`: WSS with whatever certificate is the newest, and the announcements
* `lookup`: questions to a certain DNS server
* `diagnosis`: why a peer has no certificate, or cannot be dialled
* `settings`, `options`: what a user may say, and `twistd nodetrust-client`
"""
