`twistd nodetrust-autotls` is an AutoTLS broker: js-libp2p, Kubo and other nodes get certificates in your zone with the client that they have, see docs/autotls.md.
