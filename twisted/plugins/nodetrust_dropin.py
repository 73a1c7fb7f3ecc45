"""The twistd commands of nodetrust. It imports nothing of nodetrust, so that `twistd --help` stays quick."""

from twisted.application.service import ServiceMaker

dns = ServiceMaker(
    "nodetrust-dns",
    "nodetrust.dns.options",
    "The DNS server of nodetrust: names that spell addresses and peer IDs, and ACME challenges",
    "nodetrust-dns",
)
proof = ServiceMaker(
    "nodetrust-proof",
    "nodetrust.proof.options",
    "The proof server of nodetrust: signs for a peer which address it comes from",
    "nodetrust-proof",
)
issue = ServiceMaker(
    "nodetrust-issue",
    "nodetrust.issue.options",
    "The issue server of nodetrust: checks proofs and gets certificates from an ACME CA",
    "nodetrust-issue",
)
autotls = ServiceMaker(
    "nodetrust-autotls",
    "nodetrust.autotls.options",
    "The AutoTLS broker of nodetrust: answers the ACME challenges of js-libp2p, Kubo and others for them",
    "nodetrust-autotls",
)
client = ServiceMaker(
    "nodetrust-client",
    "nodetrust.client.options",
    "The client of nodetrust: obtains a certificate, serves WSS with it and announces itself",
    "nodetrust-client",
)
