"""The client: it obtains a certificate for the addresses a peer proves, serves WSS with it, and announces itself.

In reading order:

* `errors`: why there is no certificate, or no client
* `prove`: issue info, and proofs in parallel: of each family, over new connections
* `obtain`: CSR and certificate; usable alone with any host
* `ways`, `by_issuer`, `issuers`: ways to a certificate, best first; the one by an issue server
* `autotls`: the way by an AutoTLS broker, with an ACME account of the peer's own
* `files`: a certificate and its key in a folder
* `renewal`, `plan`: when to ask for the next certificate, or for new proofs (pure)
* `upkeep`: the stored certificate, the next one in time, another after a move
* `forward`: WSS in front of a node that knows nothing of this
* `announced`, `edge`: where browsers come in, and under which addresses (the first is pure)
* `reach`, `reaching`, `outside`: which of those others can dial (the first is pure)
* `whereabouts`, `hook`: this machine's own addresses change; a command runs after each certificate
* `presence`: all of that together, from the certificate to addresses that others reach
* `contacts`, `company`: connections to those whom the user named, announcements, and who is announced
* `newest`, `client`: what programs see; `on_asyncio`: the same where asyncio runs the program
* `settings`, `options`, `service`: what a user may say, and `twistd nodetrust-client`
* `lookup`, `diagnosis`: questions to a certain DNS server, and why a peer has no certificate or cannot be dialled
"""
