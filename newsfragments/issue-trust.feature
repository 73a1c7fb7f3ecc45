`quorum` proof servers must agree on an address; proofs of 2018 are good once; denylists and allowlists name peers as well as prefixes, and proof and issue servers heed them.
